// People of one name: who is meant is asked, never guessed.
import { call } from "../net/api.js";
import { h } from "./dom.js";
import { dateOf, t } from "./i18n.js";

/** @typedef {{patient: string, birth_date: string | null, record: string | null, visits: number}} Namesake */

/** What tells a person from others of their name. @param {Namesake} one */
export const marks = (one) => [
  one.birth_date && t("whose.born", { date: dateOf(one.birth_date) }), one.record && t("whose.record", { record: one.record }),
].filter(Boolean).join(" · ") || t("whose.unmarked");

/** All who fit. @param {{name?: string, birth_date?: string, record?: string}} asked @returns {Promise<Namesake[]>} */
export async function people(asked) {
  const given = Object.fromEntries(Object.entries(asked).filter(([, value]) => value));
  return (await call("POST", "/audit/patients", given)).items;
}

/** Buttons, one a person. @param {Namesake[]} found @param {(one: Namesake) => void} then */
export const choice = (found, then) => h("div", { class: "namesakes screen-only", role: "group", "aria-label": t("whose.several", { count: found.length }) },
  h("p", {}, t("whose.several", { count: found.length })),
  ...found.map((one) => h("button", { type: "button", onclick: () => then(one) }, `${marks(one)} · ${t("whose.visits", { count: one.visits })}`)));
