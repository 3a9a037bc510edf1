// Who besides its clinician cares for a visit: its team, and emergency access ("breaking the glass").
import { asking, call, codeOf, onPurpose } from "../net/api.js";
import { ask, field, h, refill, tell } from "./dom.js";
import { clock, t, wordsFor } from "./i18n.js";

/** @typedef {import("./i18n.js").Key} Key */
const REASONS = ["emergency", "covering", "handover", "other"];
const PURPOSES = ["treatment", "quality", "legal", "patient_request", "emergency"];
const LOOK_EVERY = 3000;
const WAITING_EVERY = 15_000;

/** @param {string[]} codes @param {string} prefix @param {string} id */
function choose(codes, prefix, id) {
  return h("select", { id }, ...codes.map((code) => new Option(t(/** @type {Key} */ (`${prefix}.${code}`)), code)));
}

/** Where the clinic's rules want it said, staff say what for, once for each page. @returns {Promise<string | null>} */
export function askPurposeOfUse() {
  return ask(t("purpose.title"), (close) => {
    const purpose = choose(PURPOSES, "use", "purpose-of-use");
    return [h("p", {}, t("purpose.text")), field(t("recording.purpose"), purpose),
      h("div", { class: "actions end" }, h("button", { onclick: () => close(null) }, t("cancel")),
        h("button", { class: "primary", id: "purpose-go", onclick: () => close(purpose.value) }, t("purpose.go")))];
  });
}
onPurpose(askPurposeOfUse);

/**
 * The card a clinician is shown in place of what they may not see: whether there is such a thing it does not say.
 * @param {{visit: string} | {recording: string}} what @param {() => unknown} opened
 */
export function glassOffer(what, opened) {
  const reason = choose(REASONS, "glass", "glass-reason");
  const words = h("textarea", { id: "glass-words", rows: 3, minlength: 10, maxlength: 500, required: true });
  const said = h("p", { role: "status" });
  const go = h("button", { class: "danger", type: "submit", id: "glass-go" }, t("glass.go"));
  const form = h("form", { class: "stack", id: "glass", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); void open(); } },
    h("h2", {}, t("glass.title")), h("p", {}, t("glass.text")),
    field(t("reason"), reason), field(t("glass.words"), words, t("glass.words.hint")),
    h("div", { class: "actions" }, go), said);

  async function open() {
    go.disabled = true;
    try {
      await follow(await call("POST", "/glasses", { ...what, reason: reason.value, words: words.value }));
    } catch (error) {
      said.textContent = wordsFor(codeOf(error));
      go.disabled = false;
    }
  }

  /** @param {any} glass */
  async function follow(glass) {
    while (glass?.state === "waiting") {
      said.textContent = t("glass.waiting", { time: clock(glass.opens_at) });
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
      const { items } = await call("GET", "/glasses");
      glass = items.find((/** @type {any} */ one) => one.id === glass.id);
    }
    if (glass?.state === "open") opened();
    else said.textContent = t("glass.denied");
  }
  return form;
}

/** What colleagues ask for and waits for a second person: shown where staff begin their day. @param {string} me */
export function waitingGlasses(me) {
  const place = h("div", { class: "stack", id: "glasses", "aria-live": "polite" });
  /** @param {any} glass @param {"approve" | "deny"} answer */
  async function decide(glass, answer) {
    try {
      await call("POST", `/glasses/${glass.id}/${answer}`);
    } catch (error) {
      tell(wordsFor(codeOf(error)), "danger", codeOf(error));
    }
    await look();
  }
  const asks = asking();

  async function look() {
    const newest = asks();
    const { items } = await call("GET", "/glasses").catch(() => ({ items: [] }));
    if (!newest()) return;
    const waiting = items.filter((/** @type {any} */ one) => one.state === "waiting" && one.by !== me);
    refill(place, ...waiting.map((/** @type {any} */ one) => h("div", { class: "note danger stack" },
      h("h2", {}, t("glass.asked", { name: one.by_name })),
      h("p", {}, `${t(/** @type {Key} */ (`glass.${one.reason}`))}: ${one.words}`),
      h("p", { class: "small" }, t("glass.opens", { time: clock(one.opens_at) })),
      h("div", { class: "actions" },
        h("button", { class: "primary glass-approve", onclick: () => decide(one, "approve") }, t("glass.approve")),
        h("button", { class: "danger glass-deny", onclick: () => decide(one, "deny") }, t("glass.deny"))))));
  }
  void look();
  setInterval(look, WAITING_EVERY);
  return place;
}

/** Colleagues on a visit: put on, taken off. @param {any} visit */
export function teamDialog(visit) {
  const list = h("ul", { class: "rows", id: "team" });
  const error = h("p", { class: "error", role: "alert" });
  const colleague = h("select", { id: "colleague" });
  const path = `/visits/${visit.id}/team`;
  const asks = asking();

  /** @param {"PUT" | "DELETE"} method @param {string} user */
  async function change(method, user) {
    error.textContent = "";
    try {
      await call(method, `${path}/${user}`);
    } catch (problem) {
      fail(problem);
    }
    await load().catch(fail);
  }

  /** @param {unknown} problem */
  function fail(problem) { error.textContent = wordsFor(codeOf(problem)); }

  async function load() {
    const newest = asks();
    const [{ items }, all] = await Promise.all([call("GET", path), call("GET", "/clinicians")]);
    if (!newest()) return;
    const there = new Set([visit.clinician.id, ...items.map((/** @type {any} */ one) => one.id)]);
    refill(list, ...(items.length ? items.map((/** @type {any} */ one) => h("li", { class: "row" }, h("span", {}, one.name),
      h("button", { class: "small", onclick: () => change("DELETE", one.id) }, t("team.remove")))) : [h("li", { class: "empty" }, t("team.none"))]));
    refill(colleague, ...all.items.filter((/** @type {any} */ one) => !there.has(one.id)).map((/** @type {any} */ one) => new Option(one.name, one.id)));
  }
  load().catch(fail);
  return ask(t("team.title"), (close) => [h("div", { class: "stack" }, h("p", {}, t("team.text")), list,
    field(t("team.colleague"), colleague), error,
    h("div", { class: "actions end" },
      h("button", { id: "team-add", onclick: () => colleague.value && change("PUT", colleague.value) }, t("team.add")),
      h("button", { class: "primary", onclick: () => close(true) }, t("done"))))]);
}
