// Find recordings.
import { asking, call, codeOf, query } from "../net/api.js";
import { field, fill, h } from "../ui/dom.js";
import { dayAndTime, length, size, t, wordsFor } from "../ui/i18n.js";
import { pendingWords } from "../ui/erasing.js";
import { staffPage } from "../ui/shell.js";
import { copyRequests } from "./copies.js";

const { main } = await staffPage("recordings.title");
const patient = h("input", { name: "patient", autocomplete: "off" });
const from = h("input", { type: "date", name: "from" });
const to = h("input", { type: "date", name: "to" });
const state = h("select", { name: "state" }, new Option(t("any"), ""),
  ...["capturing", "sealed", "interrupted", "deleting", "deleted"].map((one) => new Option(t(/** @type {any} */ (`recording.${one}`)), one)));
const body = h("tbody");
const more = h("button", { hidden: true }, t("more"));
const status = h("p", { class: "empty", role: "status", hidden: true });
const asks = asking();
/** @type {string | null} */
let cursor = null;

const heads = ["recordings.when", "recordings.length", "recordings.state", "recordings.clinician", "recordings.size", "recordings.due"];
fill(main,
  h("div", { class: "page-head" }, h("h1", {}, t("recordings.title"))),
  h("form", { class: "filters", role: "search", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); load(false); } },
    field(t("recordings.patient"), patient), field(t("recordings.from"), from), field(t("recordings.to"), to),
    field(t("recordings.state"), state), h("button", { class: "primary", type: "submit" }, t("find"))),
  h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": t("recordings.title") },
    h("table", {}, h("thead", {}, h("tr", {}, ...heads.map((key) => h("th", { scope: "col" }, t(/** @type {any} */ (key)))))), body)),
  status, more, copyRequests());
more.addEventListener("click", () => load(true));

/** @param {boolean} further */
async function load(further) {
  const newest = asks();
  if (!further) more.hidden = true; // there is nothing to go on with until the answer is here
  try {
    const whose = patient.value.trim();
    const asked = {
      state: state.value || null, after: further ? cursor : null, limit: 50,
      from: from.value ? new Date(`${from.value}T00:00`).toISOString() : null,
      to: to.value ? new Date(`${to.value}T23:59:59`).toISOString() : null,
    };
    const found = whose ? await call("POST", "/recordings/search", { patient: whose, ...asked }) : await call("GET", `/recordings${query(asked)}`);
    if (!newest()) return;
    cursor = found.next;
    more.hidden = !cursor;
    if (!further) fill(body);
    body.append(...found.items.map(row));
    status.hidden = body.children.length > 0;
    status.textContent = t("recordings.none");
  } catch (error) {
    if (!newest()) return;
    status.hidden = false;
    status.textContent = wordsFor(codeOf(error));
  }
}

/** @param {any} one */
function row(one) {
  return h("tr", { "data-recording": one.id, "data-state": one.state },
    h("td", {}, h("a", { href: `/recordings/${one.id}` }, dayAndTime(one.started_at))),
    h("td", { class: "number" }, length(one.milliseconds / 1000)),
    h("td", {}, h("span", { class: `chip ${one.interrupted ? "warn" : "plain"}` },
      pendingWords(one) ?? t(/** @type {any} */ (`recording.${one.interrupted && one.state === "sealed" ? "interrupted" : one.state}`))),
      one.requests.length > 0 && h("span", { class: "chip warn" }, t("erase.waiting")),
      one.parts.length > 0 && h("span", { class: "chip plain" }, t("erase.gap.destroyed", { role: t("erase.parts") })),
      one.hold && h("span", { class: "chip warn" }, t("recording.held"))),
    h("td", {}, one.clinician.name), h("td", { class: "number" }, size(one.bytes)),
    h("td", {}, one.retention.due_at ? dayAndTime(one.retention.due_at) : "–"));
}

await load(false);
