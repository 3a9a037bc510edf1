// Reading the log; reading is itself entered.
import { asking, call, codeOf, query } from "../net/api.js";
import { actWords, sections, who, word } from "../ui/acts.js";
import { en } from "../ui/catalogue/en.js";
import { field, fill, h } from "../ui/dom.js";
import { dayAndTime, t, wordsFor } from "../ui/i18n.js";
import { marks, people } from "../ui/namesakes.js";
import { staffPage } from "../ui/shell.js";

const { session, main } = await staffPage("audit.title");
const actions = Object.keys(en).filter((key) => key.startsWith("act.")).map((key) => key.slice(4));
/** @param {string} name */
const text = (name) => h("input", { name, autocomplete: "off" });
/** @param {string} name */
const date = (name) => h("input", { name, type: "date" });
const inputs = {
  patient: text("patient"), actor: h("input", { name: "actor", autocomplete: "off", list: "people" }), visit: text("visit"), recording: text("recording"),
  action: h("select", { name: "action" }, new Option(t("any"), ""), ...actions.map((one) => new Option(actWords(one), one))),
  outcome: h("select", { name: "outcome" }, new Option(t("any"), ""), ...["intent", "done", "refused", "failed"].map((one) => new Option(word(`outcome.${one}`), one))),
  since: date("since"), until: date("until"),
};
const which = h("select", { name: "which", onchange: () => load(false) });
const whose = field(t("whose.which"), which);
whose.hidden = true;
const body = h("tbody");
const head = h("p", { class: "quiet small", id: "head" });
const status = h("p", { class: "empty", role: "status", hidden: true });
const more = h("button", { hidden: true }, t("more"));
const format = h("select", { name: "format" }, ...["jsonl", "csv", "bundle"].map((one) => new Option(word(`audit.export.${one}`), one)));
const exporting = h("button", { type: "button", onclick: save }, t("audit.export"));
/** @type {string | null} */
let cursor = null;

fill(main,
  h("div", { class: "page-head" }, h("h1", {}, t("audit.title")), head),
  sections("/audit", session.user.role === "admin"),
  h("form", { class: "filters", role: "search", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); load(false); } },
    ...Object.entries(inputs).flatMap(([name, input]) => [field(word(`audit.${name}`), input), ...(name === "patient" ? [whose] : [])]),
    h("button", { class: "primary", type: "submit" }, t("find"))),
  h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": t("audit.title") },
    h("table", {}, h("thead", {}, h("tr", {}, ...["#", t("audit.at"), t("audit.who"), t("audit.action"), t("audit.on"), t("audit.details")].map((one) => h("th", { scope: "col" }, one)))), body)),
  status, h("datalist", { id: "people" }, ...await colleagues()),
  h("div", { class: "actions between export-bar" }, more, h("div", { class: "actions" }, field(t("audit.export"), format), exporting)));
more.addEventListener("click", () => load(true));

/** Names to choose from, for those who may see them all. */
async function colleagues() {
  if (session.user.role !== "admin") return [];
  const found = await call("GET", "/users").catch(() => ({ items: [] }));
  return found.items.map((/** @type {{id: string, name: string}} */ one) => h("option", { value: one.id }, one.name));
}

/** What is asked for; a name is turned into its key first, so that it stands in no address. */
async function criteria() {
  const values = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.value.trim()]));
  return {
    ...values, patient: await keyOf(values.patient),
    since: values.since && new Date(`${values.since}T00:00`).toISOString(),
    until: values.until && new Date(`${values.until}T23:59:59.999`).toISOString(),
  };
}

const asks = asking();
const naming = asking();
let named = "";

/** The key of who is meant, always of this name; where several are called so, which of them is asked. @param {string} name */
async function keyOf(name) {
  if (name === named) return which.value;
  const newest = naming();
  const found = name ? await people({ name }) : [];
  if (!newest()) return found[0]?.patient ?? ""; // the page speaks of another name by now
  named = name;
  fill(which, ...found.map((one) => new Option(marks(one), one.patient)));
  whose.hidden = found.length < 2;
  return which.value;
}

/** @param {boolean} further */
async function load(further) {
  const newest = asks();
  if (!further) more.hidden = true; // there is nothing to go on with until the answer is here
  try {
    const wanted = await criteria();
    if (!newest()) return;
    const found = await call("GET", `/audit/entries${query({ ...wanted, after: further ? cursor : null, limit: 100 })}`);
    if (!newest()) return;
    cursor = found.next;
    more.hidden = !cursor;
    head.textContent = t("audit.head", { size: found.head.size, root: String(found.head.root).slice(0, 16) });
    if (!further) fill(body);
    body.append(...found.items.map(row));
    status.hidden = body.children.length > 0;
    status.textContent = t("audit.none");
  } catch (error) {
    if (!newest()) return;
    status.hidden = false;
    status.textContent = wordsFor(codeOf(error));
  }
}

async function save() {
  location.assign(`/api/v1/audit/export${query({ ...await criteria(), format: format.value })}`);
}

/** Filter by what was pressed. @param {HTMLInputElement} input @param {string} value */
function only(input, value) {
  input.value = value;
  load(false);
}

/** @param {any} entry */
function row(entry) {
  const tone = { refused: "warn", failed: "danger" }[/** @type {string} */ (entry.outcome)] ?? "plain";
  const person = ["user", "token"].includes(entry.actor.kind)
    ? h("button", { class: "link", type: "button", title: t("audit.only_person"), onclick: () => only(inputs.actor, entry.actor.id) }, who(entry.actor))
    : who(entry.actor);
  return h("tr", {}, h("td", { class: "number" }, entry.index), h("td", { class: "number" }, dayAndTime(entry.at)),
    h("td", {}, person),
    h("td", {}, h("div", {}, actWords(entry.action)), h("div", { class: "quiet small" }, h("code", {}, entry.action), " ", h("span", { class: `chip ${tone}` }, word(`outcome.${entry.outcome}`)))),
    h("td", { class: "small" }, entry.visit && h("div", {}, h("a", { href: `/audit/visits/${entry.visit}` }, t("audit.show_story"))),
      ...[entry.visit, entry.recording, entry.subject].filter(Boolean).map((one) => h("div", { class: "quiet" }, one))),
    h("td", { class: "small quiet" }, ...Object.entries({ ...entry.detail, ...(entry.purpose ? { purpose: entry.purpose } : {}) }).filter(([, value]) => value !== "").map(([name, value]) => h("div", {}, `${name}: ${value}`))));
}

await load(false);
