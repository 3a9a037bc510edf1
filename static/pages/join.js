// The patient's page: link → code → devices → waiting room → call, one thing at a time.
import { Devices } from "../call/devices.js";
import { Session } from "../call/session.js";
import { call, codeOf, Problem } from "../net/api.js";
import { DOTS, isWayOut, next, secondsUntil, START } from "../state/join.js";
import { place } from "../state/visit.js";
import { deviceChoices, levelMeter } from "../ui/asking.js";
import { callRoom } from "../ui/callroom.js";
import { chime } from "../ui/arrivals.js";
import { deviceHints } from "../ui/devicecheck.js";
import { field, fill, h, refill } from "../ui/dom.js";
import { confirmation, lostLink } from "../ui/lostlink.js";
import { clock, day, language, length, t, wordsFor } from "../ui/i18n.js";
import { about, openPage } from "../ui/shell.js";
import { ownRecordings } from "./own.js";

const { clinic, demo } = await about();
const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname); // the secret leaves the address bar at once
document.title = `${t("join.title")} · ${clinic.name}`;
let main = openPage(clinic, demo);
let way = START;
/** @type {any} */
let invitation = null;
const devices = new Devices();
/** @type {Session | null} */
let session = null;
/** @type {ReturnType<typeof callRoom> | null} */
let room = null;

/** @param {Parameters<typeof next>[1]} event */
function go(event) {
  const before = way.step;
  way = next(way, event);
  if (way.step !== before) draw();
}

function draw() {
  if (way.step !== "call" && room) {
    room.hide();
    room = null;
    main = openPage(clinic, demo);
  }
  /** @type {Record<string, () => void>} */
  const pages = { opening, early, code: askCode, devices: checkDevices, waiting, call: inCall, over, unknown, outside, replaced };
  pages[way.step]();
  if (way.step !== "call" && !main.contains(document.activeElement)) main.focus();
}

/** Whether somebody else than the patient is invited, and as what. */
const guest = () => (["interpreter", "relative", "colleague"].includes(invitation?.role) ? invitation.role : null);

/** @param {...(Node | string | false | null | undefined)} content */
function card(...content) {
  const at = DOTS[way.step];
  const dots = at === undefined ? null : h("ol", { class: "steps", "aria-label": t("join.steps") },
    ...["join.step.code", "join.step.devices", "join.step.waiting", "join.step.call"].map((key, index) =>
      h("li", { "aria-current": index === at ? "step" : null, class: index < at ? "done" : null },
        h("span", { class: "visually-hidden" }, t(/** @type {any} */ (key))))));
  fill(main, h("div", { class: "card stack", "data-step": way.step }, dots, ...content));
}

function opening() { card(h("p", { role: "status" }, t("join.opening"))); }

function early() {
  const rest = h("p", { class: "big-clock number" });
  const opens = way.opensAt ?? new Date().toISOString();
  card(h("h1", {}, t("join.early")), h("p", {}, t("join.early.text", { day: day(opens), time: clock(opens) })), rest,
    h("p", { class: "quiet" }, t("join.early.zone", { zone: Intl.DateTimeFormat().resolvedOptions().timeZone })));
  const count = () => {
    const seconds = secondsUntil(opens, Date.now());
    rest.textContent = seconds < 86_400 ? length(seconds) : "";
    return seconds;
  };
  count();
  const timer = setInterval(async () => {
    const seconds = count();
    if (way.step !== "early") clearInterval(timer);
    else if (seconds === 0) {
      clearInterval(timer);
      await open();
      if (way.step === "early") setTimeout(early, 3000);
    }
  }, 1000);
}

function askCode() {
  const passcode = invitation.channel === "passcode";
  const input = h("input", { id: "code", class: "code", dir: "ltr", required: true, maxlength: 64, autocapitalize: "none", spellcheck: "false",
    autocomplete: passcode ? "off" : "one-time-code", inputmode: passcode ? null : "numeric" });
  const confirmed = confirmation(invitation);
  const error = h("p", { class: "error", role: "alert", id: "code-error" });
  const button = h("button", { class: "primary wide", type: "submit" }, t("join.code.go"));
  const send = h("button", { class: "wide", type: "button", id: "send-code", onclick: mint }, t(/** @type {any} */ (`join.mint.${invitation.channel}`)));
  card(h("h1", {}, t("join.hello")), guest() && h("p", { class: "chip", id: "invited-as" }, t(/** @type {any} */ (`join.as.${guest()}`))),
    h("p", {}, t(/** @type {any} */ (`join.code.${invitation.channel}`))),
    !passcode && send,
    h("form", { class: "stack", onsubmit: verify }, field(t("join.code.label"), input), confirmed?.field, error, button),
    h("p", { class: "small quiet" }, h("a", { href: "/check", target: "_blank" }, t("check.link"))));
  input.focus();

  async function mint() {
    send.disabled = true;
    error.textContent = "";
    try {
      const minted = await call("POST", "/join/code");
      send.textContent = t("join.sent", { time: clock(minted.expires_at) });
      setTimeout(() => {
        send.disabled = false;
        send.textContent = t("join.again");
      }, minted.resend_after ? Math.max(1000, secondsUntil(minted.resend_after, Date.now()) * 1000) : 5000);
      input.focus();
    } catch (problem) {
      error.textContent = wordsFor(codeOf(problem));
      send.disabled = false;
    }
  }

  /** @param {Event} event */
  async function verify(event) {
    event.preventDefault();
    button.disabled = true;
    error.textContent = "";
    try {
      await call("POST", "/join/verify", { code: input.value.trim(), ...(confirmed ? { confirm: confirmed.input.value.trim() } : {}) });
      go({ kind: "verified" });
    } catch (problem) {
      const left = problem instanceof Problem ? problem.triesLeft : null;
      const said = confirmed && codeOf(problem) === "code_wrong" ? t("join.wrong") : wordsFor(codeOf(problem));
      error.textContent = [said, left !== null && t("join.tries", { count: left })].filter(Boolean).join(" ");
      input.value = "";
      input.focus();
      button.disabled = false;
      go({ kind: "refused", code: codeOf(problem) });
    }
  }
}

async function checkDevices() {
  const stop = new AbortController();
  let metering = new AbortController();
  const video = h("video", { autoplay: true, playsinline: true });
  video.muted = true;
  const trouble = h("p", { class: "note warn", role: "status", hidden: true });
  const fields = h("div", { class: "stack" });
  const level = h("div", { class: "field" });
  const sound = h("button", { class: "small", type: "button", onclick: chime }, t("devices.play"));
  const line = h("p", { class: "small quiet", role: "status", id: "line" }, t("devices.line.checking"));
  const where = h("input", { id: "where", required: true, maxlength: 200, autocomplete: "street-address" });
  const callback = h("input", { id: "callback-number", required: true, maxlength: 40, type: "tel", autocomplete: "tel" });
  const error = h("p", { class: "error", role: "alert" });
  const button = h("button", { class: "primary wide", type: "submit", id: "ready" }, t("join.ready"));
  const retry = h("button", { type: "button", hidden: true, onclick: () => devices.open() }, t("devices.retry"));
  const guide = deviceHints(devices, stop.signal, true);
  card(h("h1", {}, t("join.devices")), h("p", { class: "quiet" }, t("join.devices.text")),
    h("div", { class: "preview" }, h("span", {}, t("devices.nopicture")), video), level, trouble, guide.element, retry,
    h("div", { class: "actions between" }, line, sound),
    h("p", { class: "small" }, h("a", { href: "/check", target: "_blank" }, t("check.link"))),
    h("details", {}, h("summary", {}, t("devices.choose")), fields),
    h("form", { class: "stack", onsubmit: ready },
      ...(guest() ? [] : [field(t("join.where"), where, t("join.where.hint")), field(t("join.callback"), callback, t("join.callback.hint"))]), error, button));
  const show = async () => {
    video.srcObject = devices.video ? new MediaStream([devices.video]) : null;
    video.hidden = !devices.video;
    trouble.hidden = !devices.trouble;
    retry.hidden = !devices.trouble;
    trouble.textContent = devices.trouble ? t(/** @type {any} */ (`trouble.${devices.trouble}`)) : "";
    level.hidden = !devices.audio;
    metering.abort();
    metering = new AbortController();
    fill(level, h("span", { class: "small" }, t("devices.level")), levelMeter(devices.audio, AbortSignal.any([stop.signal, metering.signal])));
    refill(fields, ...deviceChoices(devices, await devices.list(), [video]));
  };
  devices.addEventListener("change", show, { signal: stop.signal });
  await devices.open();
  void checkLine(line).then((slow) => guide.saw({ kind: "line", slow }));

  /** @param {Event} event */
  async function ready(event) {
    event.preventDefault();
    button.disabled = true;
    try {
      if (!guest()) await call("POST", "/join/details", { location: where.value.trim(), callback: callback.value.trim() });
      stop.abort();
      sessionStorage.setItem("ready", "yes");
      go({ kind: "ready" });
      enter();
    } catch (problem) {
      error.textContent = wordsFor(codeOf(problem));
      button.disabled = false;
      go({ kind: "refused", code: codeOf(problem) });
    }
  }
}

/** Time three small answers and say in words how good the line is. @param {HTMLElement} line */
async function checkLine(line) {
  const times = [];
  for (let round = 0; round < 3; round += 1) {
    const began = performance.now();
    await fetch("/healthz", { cache: "no-store" }).then((answer) => answer.text(), () => null);
    times.push(performance.now() - began);
  }
  const best = Math.round(Math.min(...times));
  line.textContent = t(best < 400 ? "devices.line.good" : "devices.line.slow", { ms: best });
  return best >= 400;
}

function enter() {
  session = new Session({ join: true }, devices);
  const held = session;
  held.addEventListener("view", () => {
    if (held.view) go({ kind: "view", place: place(held.view) });
    const protect = document.getElementById("waiting-protect");
    if (protect) protect.textContent = t(protection());
  });
  held.addEventListener("ended", (event) => go({ kind: "ended", reason: /** @type {CustomEvent} */ (event).detail }));
  held.addEventListener("replaced", () => go({ kind: "replaced" }));
  held.addEventListener("link", (event) => {
    const status = document.getElementById("waiting-status");
    if (status) status.textContent = t(/** @type {CustomEvent} */ (event).detail === "lost" ? "call.lost" : waitingText());
  });
}

/** @returns {import("../ui/i18n.js").Key} */
const protection = () => (guest() || session?.view?.media.never_direct ? "protect.relayed" : "protect.direct");
const waitingText = () => /** @type {import("../ui/i18n.js").Key} */ (guest() ? "join.waiting.guest" : "join.waiting.text");

function waiting() {
  card(h("div", { class: "pulse", "aria-hidden": "true" }), h("h1", {}, t("join.waiting")),
    h("p", { id: "waiting-status", role: "status" }, t(waitingText())),
    h("p", { class: "quiet small", id: "waiting-protect" }, t(protection())),
    h("button", { type: "button", onclick: () => session?.leave() }, t("join.giveup")));
}

function inCall() {
  if (!session) return;
  chime();
  room = callRoom(session, { title: (view) => view.visit.clinician_name, onleave: () => session?.leave() });
  room.show();
}

function over() {
  devices.close();
  sessionStorage.removeItem("ready");
  const reason = way.reason ?? "ended";
  const good = ["ended", "left", "visit_over"].includes(reason);
  const again = ["left", "visit_full"].includes(reason) || !isWayOut(reason);
  card(h("h1", {}, t(good ? "over.title" : "over.sorry")), h("p", {}, isWayOut(reason) ? t(/** @type {any} */ (`over.${reason}`)) : wordsFor(reason)),
    again && h("button", { class: "primary", onclick: () => location.reload() }, t(reason === "left" ? "over.back" : "over.again")),
    ["ended", "visit_over"].includes(reason) && ownRecordings());
}

function unknown() {
  devices.close();
  card(h("h1", {}, t("join.unknown")), h("p", {}, t("join.unknown.text")), lostLink());
}

function outside() {
  devices.close();
  card(h("h1", {}, t("join.outside")), h("p", { role: "alert" }, wordsFor("outside_area")));
}

function replaced() {
  devices.close();
  card(h("h1", {}, t("over.replaced")), h("p", {}, t("over.replaced.text")),
    h("button", { class: "primary", onclick: () => location.reload() }, t("over.here")));
}

/** Open the link, or go on with the cookie held from before. */
async function open() {
  try {
    invitation = token ? await call("POST", "/join", { token, language }) : await call("GET", "/join");
    const resume = invitation.step === "device" && sessionStorage.getItem("ready") === "yes";
    go({ kind: "answer", step: invitation.step, opens_at: invitation.opens_at });
    if (!resume) return;
    await devices.open();
    go({ kind: "ready" });
    enter();
  } catch (error) {
    const code = codeOf(error);
    if (code === "offline") card(h("p", { role: "alert" }, wordsFor(code)), h("button", { onclick: () => location.reload() }, t("again")));
    else go({ kind: "refused", code: code === "outside_area" ? code : "link_unknown" });
  }
}

opening();
await open();
