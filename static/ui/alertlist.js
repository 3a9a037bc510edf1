// Alerts as rows: what happened, about whom, how often, and who took it on.
import { asking, call, codeOf, query } from "../net/api.js";
import { ask, field, fill, h, tell } from "./dom.js";
import { dayAndTime, t, wordsFor } from "./i18n.js";
import { incidentFrom } from "./registers.js";

/** @typedef {import("./i18n.js").Key} Key */
const TONES = /** @type {Record<string, string>} */ ({ critical: "danger", warning: "warn", notice: "plain" });

/** A key of the catalogue made of a code. @param {string} code @returns {Key} */
export const key = (code) => /** @type {Key} */ (code);

/** @param {HTMLElement} panel @param {"open" | "past"} state @param {() => void} changed @param {boolean} [admin] who may open incidents */
export async function showAlerts(panel, state, changed, admin = false) {
  const list = h("ul", { class: "rows" });
  const status = h("p", { class: "empty", role: "status", hidden: true });
  const more = h("button", { type: "button", hidden: true, onclick: () => load() }, t("more"));
  /** @type {string | null} */
  let cursor = null;
  fill(panel, list, status, more);

  const asks = asking();

  async function load() {
    const newest = asks();
    try {
      const found = await call("GET", `/alerts${query({ state, after: cursor, limit: 50 })}`);
      if (!newest()) return;
      cursor = found.next;
      more.hidden = !cursor;
      list.append(...found.items.map((/** @type {any} */ one) => row(one, changed, admin)));
      status.hidden = list.children.length > 0;
      status.textContent = t(state === "open" ? "alerts.none" : "alerts.none.past");
    } catch (error) {
      if (!newest()) return;
      status.hidden = false;
      status.textContent = wordsFor(codeOf(error));
    }
  }
  await load();
}

/** @param {any} one @param {() => void} changed @param {boolean} admin */
function row(one, changed, admin) {
  const take = h("button", { type: "button", class: "primary", onclick: () => acknowledge(one, changed) }, t("alerts.acknowledge"));
  return h("li", { class: "row two", "data-alert": one.id, "data-rule": one.rule },
    h("div", {},
      h("p", { class: "chips" },
        h("span", { class: `chip ${TONES[one.severity]}` }, t(key(`severity.${one.severity}`))),
        one.times > 1 && h("span", { class: "chip plain" }, t("alerts.times", { count: one.times })),
        one.over_at && h("span", { class: "chip plain" }, t("alerts.over", { time: dayAndTime(one.over_at) }))),
      h("h2", {}, t(key(`alert.${one.rule}`))),
      h("p", { class: "quiet small" }, span(one)),
      ...about(one).map((line) => h("p", { class: "small fact" }, line)),
      ...one.deliveries.filter((/** @type {any} */ sent) => sent.failure).map((/** @type {any} */ sent) =>
        h("p", { class: "small" }, h("span", { class: "chip warn" }, t("alerts.undelivered", { channel: t(key(`alerts.channel.${sent.channel}`)), code: sent.failure })))),
      one.acknowledged_at && h("p", { class: "small" }, t("alerts.by", { name: one.acknowledged_by, time: dayAndTime(one.acknowledged_at) }),
        one.note && h("q", {}, one.note))),
    h("div", { class: "acts" }, !one.acknowledged_at && take,
      admin && one.severity !== "notice" && h("button", { type: "button", onclick: () => incidentFrom(one) }, t("registers.fromalert"))));
}

/** @param {any} one */
const span = (one) => one.times > 1 && one.last_at !== one.raised_at
  ? t("alerts.span", { from: dayAndTime(one.raised_at), to: dayAndTime(one.last_at) }) : dayAndTime(one.raised_at);

/** @param {any} one @returns {string[]} */
function about(one) {
  const place = [one.about.address, one.facts.country].filter(Boolean).join(", ");
  const who = one.subject_name ?? (/^(usr|tok|lnk|rec|vis|pky)_/.test(one.subject) ? one.subject : "");
  const lines = [
    who && t("alerts.who", { name: who }),
    place && t("alerts.place", { place }),
    one.about.device && t("alerts.device", { device: one.about.device }),
    one.facts.recording && t("alerts.recording", { id: one.facts.recording }),
    one.facts.code && t("alerts.code", { code: one.facts.code }),
    one.first_entry !== null && t("alerts.entry", { index: one.first_entry }),
  ];
  return lines.filter((line) => typeof line === "string" && line !== "").map(String);
}

/** @param {any} one @param {() => void} changed */
async function acknowledge(one, changed) {
  const note = h("textarea", { name: "note", rows: "3", required: true, maxlength: "500" });
  const given = await ask(t("alerts.acknowledge"), (close) => [
    h("p", {}, t(key(`alert.${one.rule}`))),
    h("form", { class: "stack", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); close(note.value.trim()); } },
      field(t("alerts.note"), note, t("alerts.note.hint")),
      h("div", { class: "actions end" },
        h("button", { type: "button", onclick: () => close(null) }, t("cancel")),
        h("button", { type: "submit", class: "primary" }, t("alerts.acknowledge")))),
  ]);
  if (!given) return;
  try {
    await call("POST", `/alerts/${one.id}/acknowledge`, { note: given });
    tell(t("alerts.acknowledged"));
  } catch (error) {
    tell(wordsFor(codeOf(error)), "danger", codeOf(error));
  }
  changed();
}
