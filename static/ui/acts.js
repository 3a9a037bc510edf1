// How an act of the audit log is said to people: who, what, why, from where.
import { h } from "./dom.js";
import { dayAndTime, t } from "./i18n.js";

/** @typedef {{kind: string, id: string, role: string, name: string | null}} Actor */
/** @typedef {{indexes: number[], at: string, action: string, outcome: string, meaning: string, actor: Actor,
 *   visit: string | null, recording: string | null, purpose: string | null, detail: Record<string, unknown>,
 *   private: Record<string, string> | null, forgotten: boolean}} Act */

/** A text for a word that the server may give. @param {string} key @param {Record<string, string | number>} [values] */
export const word = (key, values) => t(/** @type {any} */ (key), values);

/** The plain words for an action. @param {string} action */
export const actWords = (action) => known(`act.${action}`, action);

/** Who acted, by name where there is one. @param {Actor} actor */
export function who(actor) {
  if (actor.kind === "system") return t("audit.server");
  if (actor.kind === "stranger") return t("audit.somebody");
  if (actor.kind === "cli") return t("role.cli");
  if (actor.kind === "token") return `${t("audit.program")}: ${actor.name ?? actor.id}`;
  return actor.name ?? known(`role.${actor.role}`, actor.role || actor.kind);
}

/** A chip for how an act ended; nothing for what was simply done. @param {string} outcome */
export function ending(outcome) {
  if (outcome === "done") return null;
  if (outcome === "intent") return h("span", { class: "chip warn" }, t("story.open_end"));
  return h("span", { class: `chip ${outcome === "refused" ? "warn" : "danger"}` }, word(`outcome.${outcome}`));
}

/** Why, as far as it was said. @param {Act} act */
export const why = (act) => (act.purpose ? known(`why.${act.purpose}`, act.purpose) : "");

/** Address and device, or that they were forgotten. @param {Act} act @returns {HTMLElement[]} */
export function place(act) {
  if (act.forgotten) return [h("span", { class: "quiet" }, t("audit.forgotten"))];
  const device = act.private?.device ?? "";
  return [act.private?.address, deviceWords(device)].filter(Boolean).map((one) => h("div", { dir: "ltr" }, one ?? ""));
}

/** Browser and system out of a User-Agent; the whole text stays in the evidence. @param {string} device */
function deviceWords(device) {
  const browser = ["Edg", "Firefox", "Chrome", "Safari"].find((one) => device.includes(one));
  const system = ["Windows", "Android", "iPhone", "iPad", "Mac OS", "Linux"].find((one) => device.includes(one));
  return browser && system ? `${browser === "Edg" ? "Edge" : browser}, ${system}` : device.slice(0, 60);
}

/** To whom something was given: as the log was told, the patient whose copy it was, or whoever took it. @param {Act} act */
export const recipient = (act) => act.private?.recipient
  ?? (act.detail.for_patient || act.action === "copy.send" ? t("role.patient") : who(act.actor));

/** When. @param {Act} act */
export const when = (act) => h("time", { datetime: act.at }, dayAndTime(act.at));

/** The entries behind an act. @param {Act} act */
export const entries = (act) => t("audit.entries", { numbers: act.indexes.join(", ") });

/** The places of the audit log. @param {string} here path @param {boolean} admin */
export function sections(here, admin) {
  const all = [["/audit", "audit.log"], ["/audit/report", "audit.report"], ["/audit/disclosures", "audit.disclosures"]];
  const links = (admin ? all : all.slice(0, 1)).map(([path, key]) =>
    h("a", { href: path, "aria-current": path === here ? "page" : null }, word(key)));
  return links.length > 1 ? h("nav", { class: "sections", "aria-label": t("audit.views") }, ...links) : null;
}

/** @param {string} key @param {string} otherwise */
function known(key, otherwise) {
  const text = word(key);
  return text === key ? otherwise : text;
}
