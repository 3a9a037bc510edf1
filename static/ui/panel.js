// The side panel of a call: chat, kept by nobody.
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";

/** @param {import("../call/session.js").Session} session @param {() => void} onclose */
export function chatPanel(session, onclose) {
  const lines = h("ul", { class: "chat-lines" });
  const log = h("div", { class: "chat-log", role: "log", "aria-live": "polite", tabindex: "0", "aria-label": t("chat.lines") }, lines);
  const input = h("input", { id: "chat-text", "aria-label": t("chat.write"), dir: "auto", maxlength: 2000, autocomplete: "off" });
  const form = h("form", { class: "secret-line", onsubmit: say }, input, h("button", { class: "primary", type: "submit" }, t("chat.send")));
  const panel = panelFrame(t("call.chat"), onclose, h("p", { class: "small quiet" }, t("chat.kept")), log, form);
  session.addEventListener("chat", (event) => add(/** @type {CustomEvent} */ (event).detail, false));

  /** @param {string} text @param {boolean} mine */
  function add(text, mine) {
    lines.append(h("li", { class: mine ? "mine" : null }, h("b", {}, mine ? t("chat.you") : t("chat.them")), h("span", { dir: "auto" }, text)));
    log.scrollTop = log.scrollHeight;
  }

  /** @param {Event} event */
  function say(event) {
    event.preventDefault();
    const text = input.value.trim();
    if (!text) return;
    if (session.peer?.say(text)) {
      add(text, true);
      input.value = "";
    } else add(t("chat.notyet"), true);
  }
  return { panel, focus: () => input.focus() };
}

/** @param {string} title @param {() => void} onclose @param {...(Node | null | false)} content */
export function panelFrame(title, onclose, ...content) {
  return h("aside", { class: "panel", "aria-label": title },
    h("header", {}, h("h2", {}, title), h("button", { class: "bare", type: "button", "aria-label": t("close"), onclick: onclose }, icon("close"))),
    ...content);
}
