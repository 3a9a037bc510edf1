// A running call on a page, whoever's it is: stage, chat, sharing, consent.
import { company, mediaOf } from "../state/media.js";
import { fault, mayAnswer, owesAnswer } from "../state/visit.js";
import { askConsent, askDevices, previewScreen } from "./asking.js";
import { deviceHints } from "./devicecheck.js";
import { fill, h } from "./dom.js";
import { t, wordsFor, wordsForReason } from "./i18n.js";
import { chatPanel } from "./panel.js";
import { Stage } from "./stage.js";
import { called } from "./tile.js";

/** @typedef {import("../call/session.js").Session} Session */

/**
 * @param {Session} session
 * @param {{title: (view: import("../state/visit.js").View) => string, extra?: HTMLElement[], onleave: () => void}} options
 */
export function callRoom(session, options) {
  const stage = new Stage(session, { ...options, onchat: toggleChat, onshare: toggleShare, ondevices: () => askDevices(session.devices, [stage.people]) });
  const chat = chatPanel(session, toggleChat);
  /** @type {MediaStreamTrack | null} */
  let screen = null;
  /** @type {{request: string, over: AbortController} | null} the question on the page */
  let open = null;
  const withdraw = h("button", { class: "small danger", type: "button", id: "withdraw", hidden: true, onclick: takeBack }, t("consent.withdraw"));
  const broken = h("span", { class: "chip danger", id: "fault", hidden: true });
  stage.light.after(broken, withdraw);
  const gone = new AbortController();
  const guide = deviceHints(session.devices, gone.signal, false);
  stage.stage.append(guide.element);
  session.addEventListener("quality", (event) => guide.saw({ kind: "quality", level: /** @type {CustomEvent} */ (event).detail }));

  function takeBack() {
    later = session.socket.connected ? "" : t("consent.withdraw.later");
    if (later) linked(false);
    return session.withdraw();
  }

  function toggleChat() {
    toggle(chat.panel);
    if (chat.panel.isConnected) chat.focus();
    stage.chat.disc.classList.remove("badge-dot");
  }

  /** One panel at a time. @param {HTMLElement} panel */
  function toggle(panel) {
    const shown = panel.isConnected;
    for (const other of stage.root.querySelectorAll(".panel")) other.remove();
    if (!shown) stage.root.append(panel);
    stage.chat.button.setAttribute("aria-pressed", String(chat.panel.isConnected));
    stage.root.dispatchEvent(new Event("panel"));
  }

  async function toggleShare() {
    if (screen) return stopShare();
    const track = await previewScreen();
    if (!track) return undefined;
    session.screen = true;
    if (!(await session.act("media", flags()))) {
      session.screen = false;
      track.stop();
      return stage.draw();
    }
    screen = track;
    track.addEventListener("ended", stopShare);
    await session.ways.share(track);
    return stage.draw();
  }

  async function stopShare() {
    screen?.stop();
    screen = null;
    session.screen = false;
    await session.ways.share(null);
    await session.tellMedia();
    stage.draw();
  }

  const flags = () => ({ audio: Boolean(session.devices.audio?.enabled), video: Boolean(session.devices.video), screen: session.screen });

  /** @param {import("../call/session.js").Asked} detail */
  async function asked(detail) {
    if (open?.request === detail.request) return;
    open?.over.abort();
    const mine = { request: detail.request, over: new AbortController() };
    open = mine;
    const answer = await askConsent(detail, mine.over.signal);
    if (open === mine) open = null;
    if (mine.over.signal.aborted || !mayAnswer(session.view, mine.request)) return;
    const taken = await session.answer(detail, answer ?? "no");
    if (!taken && session.view && owesAnswer(session.view, mine.request)) await asked(detail); // it was not heard: ask once more
  }

  /** @type {string | null} */
  let reason = null;
  let unseen = false;
  let missing = "";
  let apart = false;
  let later = "";
  session.addEventListener("asked", (event) => void asked(/** @type {CustomEvent} */ (event).detail));
  session.addEventListener("screenstop", () => { if (screen) void stopShare().then(() => stage.say(t("screen.stopped"))); });
  session.addEventListener("chat", () => {
    if (!chat.panel.isConnected) {
      stage.chat.disc.classList.add("badge-dot");
      stage.say(t("chat.new"));
    }
  });
  session.addEventListener("trouble", (event) => {
    const code = /** @type {CustomEvent} */ (event).detail;
    if (code !== "offline" || !apart) stage.say(wordsFor(code)); // it is said already, and stays
  });
  session.addEventListener("link", (event) => linked(/** @type {CustomEvent} */ (event).detail !== "lost"));
  session.addEventListener("straight", () => linked(session.socket.connected));

  /** How this page is connected, while that is not as it should be. @param {boolean} up */
  function linked(up) {
    const { straight } = session.ways;
    const them = called((session.view && company(session.view)[0]) ?? null);
    if (up) later = "";
    const how = up ? straight && t("call.straight.them", { name: them }) : t(straight ? "call.straight" : "call.lost");
    apart = Boolean(how);
    stage.stand("link", [how, later].filter(Boolean).join(" "));
  }

  session.addEventListener("view", () => {
    const view = session.view;
    if (!view) return;
    const without = mediaOf(view).without ?? [];
    if (without.join() !== missing) {
      missing = without.join();
      const names = company(view).filter((person) => without.includes(person.participant)).map(called).join(", ");
      const mine = without.includes(view.self.participant);
      stage.stand("without", mine ? t("call.without.me") : names && t("call.without", { name: names }));
    }
    if (open && open.request !== view.recording.request) open.over.abort();
    const why = fault(view.recording);
    broken.hidden = !why;
    broken.textContent = why ? wordsForReason(why) : "";
    withdraw.hidden = !["starting", "recording", "paused"].includes(view.recording.state);
    if (Boolean(view.identity_open) !== unseen) {
      unseen = Boolean(view.identity_open);
      stage.stand("identity", unseen ? t(view.self.role === "clinician" ? "identity.clinician" : "identity.patient") : "");
    }
    if (view.recording.reason !== reason) {
      reason = view.recording.reason;
      stage.say(reason ? wordsForReason(reason) : "");
    }
  });

  return {
    stage,
    toggle,
    show() {
      document.body.classList.add("in-call");
      fill(document.body, stage.root);
      stage.draw();
      if (session.view && session.question && owesAnswer(session.view, session.question.request)) void asked(session.question);
    },
    hide() {
      document.body.classList.remove("in-call");
      gone.abort();
      screen?.stop();
      stage.close();
    },
  };
}
