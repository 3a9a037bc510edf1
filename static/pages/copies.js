// Requests for the patient's own copy, as whoever decides sees them.
import { asking, call, codeOf } from "../net/api.js";
import { ask, field, h, refill, tell } from "../ui/dom.js";
import { clock, dayAndTime, t, wordsFor } from "../ui/i18n.js";

/** @typedef {import("../ui/i18n.js").Key} Key */
const REASONS = ["not_identified", "not_theirs", "third_party", "unlawful", "other"];

/** The open requests as a card; hidden while there are none, or for those who do not decide. */
export function copyRequests() {
  const list = h("ul", { class: "rows", id: "copy-requests" });
  const card = h("section", { class: "card stack", hidden: true, "aria-label": t("copies.title") }, h("h2", {}, t("copies.title")), list);
  const asks = asking();
  const load = async () => {
    const newest = asks();
    const found = await call("GET", "/copies").catch(() => ({ items: [] }));
    if (!newest()) return;
    card.hidden = !found.items.length;
    refill(list, ...found.items.map((/** @type {any} */ one) => copyRow(one, load, true)));
  };
  void load();
  return card;
}

/**
 * One request and what can be done about it.
 * @param {any} one @param {() => Promise<unknown>} changed @param {boolean} [linked] whether to lead to its recording
 */
export function copyRow(one, changed, linked = false) {
  /** @param {string} method @param {string} path @param {object} [body] @returns {Promise<any>} */
  const send = async (method, path, body) => {
    let answer = null;
    try {
      answer = await call(method, `/copies/${one.id}${path}`, body);
    } catch (error) {
      tell(wordsFor(codeOf(error)), "danger", codeOf(error));
    }
    await changed();
    return answer;
  };
  const decides = ["asked", "failed"].includes(one.state);
  const told = one.state === "ready" && one.channel === "told";
  const facts = [dayAndTime(one.created_at), t(one.asked_role === "patient" ? "copies.by.patient" : "copies.by.staff"),
    one.state === "ready" && t(/** @type {Key} */ (`copies.sent.${one.channel}`)),
    one.state === "ready" && t("copies.until", { when: dayAndTime(one.expires_at) }),
    one.fetched_at && t("copies.fetched", { when: dayAndTime(one.fetched_at) }),
    one.decline_reason && t("copies.declined.by", { reason: t(/** @type {Key} */ (`decline.${one.decline_reason}`)) })];
  return h("li", { class: "row two", "data-copy": one.id, "data-state": one.state },
    h("div", {}, h("span", { class: `chip ${one.state === "asked" ? "" : "plain"}` }, t(/** @type {Key} */ (`copies.state.${one.state}`))), " ",
      linked && h("a", { href: `/recordings/${one.recording}` }, t("copies.recording")),
      h("div", { class: "small quiet" }, facts.filter(Boolean).join(" · "))),
    h("div", { class: "acts" },
      decides && h("button", { class: "small primary", onclick: () => approve(send) }, t("copies.approve")),
      one.state === "asked" && h("button", { class: "small", onclick: () => decline(send) }, t("copies.decline")),
      told && h("button", { class: "small", onclick: () => showLink(send) }, t("copies.link")),
      told && h("button", { class: "small", onclick: () => showCode(send) }, t("copies.code"))));
}

/** @typedef {(method: string, path: string, body?: object) => Promise<any>} Send */

/** @param {Send} send */
async function approve(send) {
  const sure = await ask(t("copies.approve"), (close) => [h("p", {}, t("copies.approve.text")),
    h("div", { class: "actions end" }, h("button", { onclick: () => close(null) }, t("cancel")),
      h("button", { class: "primary", id: "approve-go", onclick: () => close(true) }, t("copies.approve")))]);
  if (sure) await send("POST", "/approve");
}

/** @param {Send} send */
async function decline(send) {
  const reason = h("select", { id: "decline-reason" }, ...REASONS.map((one) => new Option(t(/** @type {Key} */ (`decline.${one}`)), one)));
  const sure = await ask(t("copies.decline"), (close) => [h("form", { class: "stack", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); close(true); } },
    field(t("reason"), reason),
    h("div", { class: "actions end" }, h("button", { type: "button", onclick: () => close(null) }, t("cancel")),
      h("button", { class: "primary", type: "submit", id: "decline-go" }, t("copies.decline"))))]);
  if (sure) await send("POST", "/decline", { reason: reason.value });
}

/** @param {Send} send */
async function showLink(send) {
  const made = await send("POST", "/link");
  if (!made) return;
  const line = h("input", { id: "copy-link", readonly: true, value: made.url, dir: "ltr" });
  await ask(t("copies.link"), (close) => [h("p", {}, t("copies.link.text")), field(t("copies.link"), line),
    h("div", { class: "actions end" }, h("button", { class: "primary", onclick: () => close(true) }, t("done")))]);
}

/** @param {Send} send */
async function showCode(send) {
  const made = await send("POST", "/code");
  if (!made) return;
  await ask(t("copies.code"), (close) => [h("p", {}, t("copies.code.text")),
    h("p", { class: "big-clock number", id: "copy-code", dir: "ltr" }, made.code),
    h("p", { class: "quiet small" }, t("taking.sent", { time: clock(made.expires_at) })),
    h("div", { class: "actions end" }, h("button", { class: "primary", onclick: () => close(true) }, t("done")))]);
}
