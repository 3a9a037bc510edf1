// Reading the log; reading is itself entered.
import { call, codeOf, query } from "../net/api.js";
import { field, fill, h } from "../ui/dom.js";
import { dayAndTime, t, wordsFor } from "../ui/i18n.js";
import { staffPage } from "../ui/shell.js";

const { main } = await staffPage("audit.title");
const inputs = {
  action: h("input", { name: "action", autocomplete: "off" }), patient: h("input", { name: "patient", autocomplete: "off" }),
  visit: h("input", { name: "visit", autocomplete: "off" }), recording: h("input", { name: "recording", autocomplete: "off" }),
  outcome: h("select", { name: "outcome" }, new Option(t("any"), ""), ...["intent", "done", "refused", "failed"].map((one) => new Option(t(/** @type {any} */ (`outcome.${one}`)), one))),
};
const body = h("tbody");
const head = h("p", { class: "quiet small", id: "head" });
const status = h("p", { class: "empty", role: "status", hidden: true });
const more = h("button", { hidden: true }, t("more"));
/** @type {string | null} */
let cursor = null;
fill(main,
  h("div", { class: "page-head" }, h("h1", {}, t("audit.title")), head),
  h("form", { class: "filters", role: "search", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); load(false); } },
    ...Object.entries(inputs).map(([name, input]) => field(t(/** @type {any} */ (`audit.${name}`)), input)),
    h("button", { class: "primary", type: "submit" }, t("find"))),
  h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": t("audit.title") },
    h("table", {}, h("thead", {}, h("tr", {}, ...["#", t("audit.at"), t("audit.who"), t("audit.action"), t("audit.outcome"), t("audit.on")].map((word) => h("th", { scope: "col" }, word)))), body)),
  status, more);
more.addEventListener("click", () => load(true));

/** @param {boolean} further */
async function load(further) {
  try {
    const values = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.value.trim()]));
    const found = await call("GET", `/audit/entries${query({ ...values, after: further ? cursor : null, limit: 100 })}`);
    cursor = found.next;
    more.hidden = !cursor;
    head.textContent = t("audit.head", { size: found.head.size, root: String(found.head.root).slice(0, 16) });
    if (!further) fill(body);
    body.append(...found.items.map(row));
    status.hidden = body.children.length > 0;
    status.textContent = t("audit.none");
  } catch (error) {
    status.hidden = false;
    status.textContent = wordsFor(codeOf(error));
  }
}

/** @param {any} entry */
function row(entry) {
  const tone = { refused: "warn", failed: "danger" }[/** @type {string} */ (entry.outcome)] ?? "plain";
  return h("tr", {}, h("td", { class: "number" }, entry.index), h("td", { class: "number" }, dayAndTime(entry.at)),
    h("td", {}, h("div", {}, t(/** @type {any} */ (`role.${entry.actor.role || "system"}`))), h("div", { class: "quiet small" }, entry.actor.id)),
    h("td", {}, h("code", {}, entry.action)),
    h("td", {}, h("span", { class: `chip ${tone}` }, t(/** @type {any} */ (`outcome.${entry.outcome}`)))),
    h("td", { class: "small" }, ...[entry.visit, entry.recording, entry.subject].filter(Boolean).map((one) => h("div", {}, one)),
      ...Object.entries(entry.detail ?? {}).map(([name, value]) => h("div", { class: "quiet" }, `${name}: ${value}`))));
}

await load(false);
