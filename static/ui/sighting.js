// The clinician's look at the patient's face: what was compared. One form for each person, kept while the call is redrawn.
import { call, codeOf } from "../net/api.js";
import { field, fill, h } from "./dom.js";
import { t, wordsFor } from "./i18n.js";

/** @typedef {import("./i18n.js").Key} Key */
const FACE = ["photo_document", "picture_on_file", "known_in_person"];
const SAID = ["name", "birth_date", "address", "question"];
const DOCUMENTS = ["passport", "identity_card", "driving_licence", "health_card", "residence_permit", "other"];

/** @param {string} code */
const words = (code) => t(/** @type {Key} */ (`identity.${code}`));

/** @param {string} visit @param {string} participant */
function form(visit, participant) {
  const boxes = new Map([...FACE, ...SAID].map((code) => [code, h("input", { type: "checkbox", name: code })]));
  const kind = h("select", { id: "identity-document" }, ...DOCUMENTS.map((code) => new Option(words(`document.${code}`), code)));
  const kinds = field(t("identity.document"), kind);
  kinds.hidden = true;
  const held = boxes.get("photo_document");
  held?.addEventListener("change", () => { kinds.hidden = !held.checked; });
  const error = h("p", { class: "error", role: "alert" });
  const buttons = /** @type {const} */ (["same", "unsure"]).map((outcome) =>
    h("button", { type: "button", id: `identity-${outcome}`, class: outcome === "same" ? "primary" : "", onclick: () => say(outcome) }, words(outcome)));

  /** @param {"same" | "unsure"} outcome */
  async function say(outcome) {
    const compared = [...boxes].filter(([, box]) => box.checked).map(([code]) => code);
    error.textContent = "";
    if (!compared.length || (outcome === "same" && !compared.some((code) => FACE.includes(code)))) {
      error.textContent = t("identity.face");
      return;
    }
    for (const button of buttons) button.disabled = true;
    try {
      await call("POST", `/visits/${visit}/sightings`, { participant, compared, outcome, document: held?.checked ? kind.value : null });
    } catch (problem) {
      error.textContent = wordsFor(codeOf(problem));
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  }

  /** @param {string} code */
  const choice = (code) => h("label", { class: "choice" }, boxes.get(code) ?? "", h("span", {}, words(code)));
  return h("div", { class: "stack" },
    h("fieldset", { class: "stack" }, h("legend", {}, t("identity.compared")), ...FACE.map(choice), kinds, ...SAID.map(choice)),
    error, h("div", { class: "actions" }, ...buttons));
}

/** What the panel shows about who somebody is. @param {string} visit */
export function sightings(visit) {
  /** @type {Map<string, {root: HTMLElement, head: HTMLElement, body: HTMLDetailsElement}>} */
  const shown = new Map();

  /** @param {import("../state/visit.js").Person} person @param {import("../state/visit.js").View} view */
  return (person, view) => {
    let one = shown.get(person.participant);
    if (!one) {
      const head = h("div", { role: "status" });
      const body = h("details", {}, h("summary", {}, t("identity.offer")), form(visit, person.participant));
      one = { root: h("section", { class: "stack", id: "identity", "aria-label": t("identity.title") }, head, body), head, body };
      shown.set(person.participant, one);
    }
    const state = person.sighted ?? (view.identity_open ? "open" : "none");
    if (one.root.dataset.state !== state) {
      one.root.dataset.state = state;
      one.body.open = state === "open" || state === "unsure";
      const said = { open: [h("h3", {}, t("identity.title")), h("p", { class: "note warn" }, t("identity.text"))],
        same: [h("p", { class: "note" }, t("identity.done"))], unsure: [h("p", { class: "note danger" }, t("identity.doubt"))], none: [] }[state] ?? [];
      fill(one.head, ...said);
    }
    return one.root;
  };
}
