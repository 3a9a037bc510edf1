// A lost link, asked for once more. The page says the same whatever the server knows.
import { call, codeOf } from "../net/api.js";
import { field, fill, h } from "./dom.js";
import { t, wordsFor } from "./i18n.js";

/** The part of a page that asks for the contact. */
export function lostLink() {
  const contact = h("input", { id: "lost-contact", required: true, maxlength: 200, autocomplete: "email", autocapitalize: "none", spellcheck: "false", dir: "ltr" });
  const error = h("p", { class: "error", role: "alert" });
  const button = h("button", { class: "primary wide", type: "submit", id: "lost-go" }, t("lost.go"));
  const place = h("section", { class: "stack", id: "lost" });

  /** @param {Event} event */
  async function send(event) {
    event.preventDefault();
    button.disabled = true;
    error.textContent = "";
    try {
      await call("POST", "/join/lost", { contact: contact.value.trim() });
      fill(place, h("h2", {}, t("lost.title")), h("p", { role: "status", id: "lost-sent", tabindex: "-1" }, t("lost.sent")), h("p", { class: "quiet" }, t("lost.sent.then")));
      place.querySelector("p")?.focus();
    } catch (problem) {
      const code = codeOf(problem);
      error.textContent = code === "malformed" ? t("lost.unreadable") : wordsFor(code);
      button.disabled = false;
    }
  }

  fill(place, h("h2", {}, t("lost.title")), h("p", {}, t("lost.text")),
    h("form", { class: "stack", onsubmit: send }, field(t("lost.contact"), contact, t("lost.contact.hint")), error, button));
  return place;
}

/** What is confirmed with the code; null where nothing is. @param {{confirm: string, question: string | null}} invitation */
export function confirmation({ confirm, question }) {
  if (confirm === "none") return null;
  const year = confirm === "birth_year";
  const input = h("input", { id: "confirm", required: true, maxlength: year ? 10 : 100, autocomplete: "off", autocapitalize: confirm === "initials" ? "characters" : "none",
    spellcheck: "false", dir: year ? "ltr" : "auto", inputmode: year ? "numeric" : null });
  const label = confirm === "question" ? question ?? "" : t(year ? "join.confirm.birth_year" : "join.confirm.initials");
  const hint = confirm === "question" ? t("join.confirm.why") : `${t(year ? "join.confirm.birth_year.hint" : "join.confirm.initials.hint")}. ${t("join.confirm.why")}`;
  return { input, field: field(label, input, hint) };
}
