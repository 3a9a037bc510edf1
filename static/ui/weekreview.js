// The week in figures: cases one by one, then a signature on what was read.
import { call, codeOf, query } from "../net/api.js";
import { key } from "./alertlist.js";
import { ask, field, fill, h, tell } from "./dom.js";
import { dayAndTime, t, wordsFor } from "./i18n.js";

const VERDICTS = ["justified", "unjustified", "unclear"];

/** @param {HTMLElement} panel @param {string} me id of who is signed in @param {string | null} [week] */
export async function showReview(panel, me, week = null) {
  /** @param {string | null} [next] */
  const again = (next = week) => showReview(panel, me, next);
  try {
    const [found, history] = await Promise.all([call("GET", `/reviews/week${query({ week })}`), call("GET", "/reviews")]);
    fill(panel, h("div", { class: "stack" }, figures(found), cases(found, me, again), signature(found, again), past(history.items, again)));
  } catch (error) {
    fill(panel, h("p", { class: "empty", role: "status" }, wordsFor(codeOf(error))));
  }
}

/** @param {any} found */
function figures(found) {
  const counts = Object.entries(found.summary.counts);
  const raised = found.summary.alerts;
  return h("section", { class: "card", id: "week", "data-week": found.week },
    h("div", { class: "page-head" }, h("h2", {}, t("review.week", { week: `\u2066${found.week}\u2069` })),
      h("span", { class: "quiet small" }, t("alerts.span", { from: dayAndTime(found.since), to: dayAndTime(found.until) }))),
    h("dl", { class: "figures" },
      ...counts.map(([name, count]) => h("div", {}, h("dt", {}, t(key(`count.${name}`))), h("dd", { class: "number" }, String(count)))),
      h("div", {}, h("dt", {}, t("count.alerts")), h("dd", { class: "number" }, raised.raised)),
      h("div", {}, h("dt", {}, t("count.alerts.open")), h("dd", { class: "number" }, raised.open.length))));
}

/** @param {any} found @param {string} me @param {() => void} again */
function cases(found, me, again) {
  return h("section", { class: "card" }, h("h2", {}, t("review.cases")),
    found.cases.length === 0 ? h("p", { class: "quiet" }, t("review.cases.none")) : h("ul", { class: "rows" }, ...found.cases.map((/** @type {any} */ one) =>
      h("li", { class: "row two", "data-case": one.entry },
        h("div", {},
          h("h3", {}, one.actor_name ?? one.actor),
          h("p", { class: "quiet small" }, `${dayAndTime(one.at)} · `, h("code", {}, one.action), one.visit && ` · ${one.visit}`),
          one.verdict && h("p", { class: "small" }, h("span", { class: `chip ${one.verdict === "justified" ? "plain" : "warn"}` }, t(key(`verdict.${one.verdict}`))),
            ` ${t("alerts.by", { name: one.reviewed_by, time: dayAndTime(one.reviewed_at) })}`, one.note && h("q", {}, one.note))),
        !one.verdict && (one.actor === me ? h("p", { class: "quiet small" }, t("review.own"))
          : h("div", { class: "acts" }, h("button", { type: "button", onclick: () => judge(one, again) }, t("review.judge"))))))));
}

/** @param {any} one @param {() => void} again */
async function judge(one, again) {
  const verdict = h("select", { name: "verdict" }, ...VERDICTS.map((name) => new Option(t(key(`verdict.${name}`)), name)));
  const note = h("textarea", { name: "note", rows: "3", required: true, maxlength: "500" });
  const given = await ask(t("review.judge"), (close) => [
    h("form", { class: "stack", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); close({ case: one.entry, verdict: verdict.value, note: note.value.trim() }); } },
      field(t("review.verdict"), verdict), field(t("alerts.note"), note, t("alerts.note.hint")),
      h("div", { class: "actions end" }, h("button", { type: "button", onclick: () => close(null) }, t("cancel")), h("button", { type: "submit", class: "primary" }, t("save")))),
  ]);
  if (given) await trying(() => call("POST", "/reviews/case", given), t("saved"), again);
}

/** @param {any} found @param {() => void} again */
function signature(found, again) {
  const hash = h("p", { class: "quiet small hash" }, t("review.hash"), " ", h("code", {}, found.sha256));
  if (found.signed) {
    return h("section", { class: "card", id: "signature" }, h("h2", {}, t("review.signed")),
      h("p", {}, t("alerts.by", { name: found.signed.by_name ?? found.signed.by, time: dayAndTime(found.signed.at) })),
      found.signed.note && h("p", {}, h("q", {}, found.signed.note)), hash);
  }
  const waits = !found.over ? "review.waits.over" : found.cases.some((/** @type {any} */ one) => !one.verdict) ? "review.waits.cases" : !found.complete ? "review.waits.counting" : "";
  const note = h("textarea", { name: "note", rows: "2", maxlength: "500" });
  const sign = () => trying(() => call("POST", "/reviews/sign", { week: found.week, sha256: found.sha256, note: note.value.trim() || null }), t("review.done"), again);
  return h("section", { class: "card", id: "signature" }, h("h2", {}, t("review.sign")),
    h("form", { class: "stack", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); sign(); } },
      h("p", {}, t("review.sign.text")), field(t("review.note"), note), hash,
      waits && h("p", { class: "note warn" }, t(key(waits))),
      h("div", { class: "actions" }, h("button", { type: "submit", class: "primary", disabled: waits !== "" }, t("review.sign")))));
}

/** @param {any[]} items @param {(week: string) => void} open */
function past(items, open) {
  if (items.length === 0) return null;
  return h("section", { class: "card" }, h("h2", {}, t("review.history")),
    h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": t("review.history") },
      h("table", {}, h("thead", {}, h("tr", {}, ...["review.column.week", "review.column.by", "review.column.at"].map((word) => h("th", { scope: "col" }, t(key(word)))))),
        h("tbody", {}, ...items.map((one) => h("tr", {},
          h("td", {}, h("button", { type: "button", class: "small", onclick: () => open(one.week) }, one.week)),
          h("td", {}, one.signed ? one.signed.by_name ?? one.signed.by : h("span", { class: "chip warn" }, t("review.unsigned"))),
          h("td", { class: "number" }, one.signed ? dayAndTime(one.signed.at) : "–")))))));
}

/** @param {() => Promise<unknown>} work @param {string} said @param {() => void} again */
async function trying(work, said, again) {
  try {
    await work();
    tell(said);
  } catch (error) {
    tell(wordsFor(codeOf(error)), "danger", codeOf(error));
  }
  again();
}
