// The side panel of a call: chat, kept by nobody.
import { company, mediaOf } from "../state/media.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { called } from "./tile.js";

/** @param {import("../call/session.js").Session} session @param {() => void} onclose */
export function chatPanel(session, onclose) {
  const lines = h("ul", { class: "chat-lines" });
  const log = h("div", { class: "chat-log", role: "log", "aria-live": "polite", tabindex: "0", "aria-label": t("chat.lines") }, lines);
  const input = h("input", { id: "chat-text", "aria-label": t("chat.write"), dir: "auto", maxlength: 2000, autocomplete: "off" });
  const form = h("form", { class: "secret-line", onsubmit: say }, input, h("button", { class: "primary", type: "submit" }, t("chat.send")));
  const kept = h("p", { class: "small quiet" }, t("chat.kept"));
  const panel = panelFrame(t("call.chat"), onclose, kept, log, form);
  session.addEventListener("chat", (event) => {
    const { from, text } = /** @type {CustomEvent<{from: string, text: string}>} */ (event).detail;
    const writer = session.view && company(session.view).find((person) => person.participant === from);
    add(text, writer ? called(writer) : t("chat.them"), false);
  });
  session.addEventListener("view", () => {
    kept.textContent = t(session.view && mediaOf(session.view).topology === "relay" ? "chat.kept.relayed" : "chat.kept");
  });

  /** @param {string} text @param {string} who @param {boolean} mine */
  function add(text, who, mine) {
    lines.append(h("li", { class: mine ? "mine" : null }, h("b", {}, who), h("span", { dir: "auto" }, text)));
    log.scrollTop = log.scrollHeight;
  }

  /** @param {Event} event */
  async function say(event) {
    event.preventDefault();
    const text = input.value.trim();
    if (!text) return;
    input.value = "";
    if (await session.say(text)) add(text, t("chat.you"), true);
    else {
      add(t("chat.notyet"), t("chat.you"), true);
      input.value ||= text;
    }
  }
  return { panel, focus: () => input.focus() };
}

/** @param {string} title @param {() => void} onclose @param {...(Node | null | false)} content */
export function panelFrame(title, onclose, ...content) {
  return h("aside", { class: "panel", "aria-label": title },
    h("header", {}, h("h2", {}, title), h("button", { class: "bare", type: "button", "aria-label": t("close"), onclick: onclose }, icon("close"))),
    ...content);
}
