// A register as rows, and the dialog that adds to it or changes it.
import { call, codeOf } from "../net/api.js";
import { daysLeft, FIELDS, filled, NOTICE_HOW, NOTICE_TO, tone } from "../state/registers.js";
import { ask, field, fill, h, tell } from "./dom.js";
import { dateOf, t, wordsFor } from "./i18n.js";

/** @typedef {import("../state/registers.js").Register} Register */
/** @typedef {import("../state/registers.js").Field} Field */
const ADD = /** @type {Record<Register, string>} */ ({ associates: "/registers/associates", incidents: "/registers/incidents", findings: "/registers/findings" });

/** @param {string} key */
const words = (key) => t(/** @type {import("./i18n.js").Key} */ (key));
const today = () => new Intl.DateTimeFormat("en-CA", { dateStyle: "short" }).format(new Date()).slice(0, 10);

/** @param {HTMLElement} panel @param {Register} register @param {boolean} writes whether whoever looks may change it */
export async function showRegister(panel, register, writes) {
  const list = h("ul", { class: "rows", id: "items" });
  const again = () => load();
  const leave = (/** @type {string} */ form) => h("a", { class: "button small", href: `/api/v1${ADD[register]}/export?format=${form}`, download: `${register}.${form}` }, form.toUpperCase());
  fill(panel, h("div", { class: "stack" },
    h("div", { class: "page-head" }, h("p", { class: "quiet" }, words(`registers.text.${register}`)),
      h("div", { class: "actions" }, leave("csv"), leave("json"),
        writes && h("button", { class: "primary", id: "add-item", type: "button", onclick: () => edit(register, null, again) }, words(`registers.add.${register}`)))), list));

  async function load() {
    try {
      const { items } = await call("GET", ADD[register]);
      fill(list, ...(items.length ? items.map((/** @type {any} */ one) => row(register, one, writes, again)) : [h("li", { class: "empty" }, t("registers.none"))]));
    } catch (error) {
      fill(list, h("li", { class: "empty", role: "status" }, wordsFor(codeOf(error))));
    }
  }
  await load();
}

/** @param {Register} register @param {any} one @param {boolean} writes @param {() => void} again */
function row(register, one, writes, again) {
  const { item } = one;
  const lines = { associates: [item.service, item.contact], incidents: [item.description, item.measures], findings: [item.source, item.owner] }[register];
  return h("li", { class: "row two", "data-item": one.id },
    h("div", {},
      h("p", { class: "chips" },
        h("span", { class: `chip ${["open", "notify", "no_agreement"].includes(one.state) ? "warn" : "plain"}` }, words(`registers.state.${one.state}`)),
        item.severity && h("span", { class: `chip ${["critical", "high"].includes(item.severity) ? "danger" : "plain"}` }, words(`registers.severity.${item.severity}`)),
        one.due_on && due(one.due_on)),
      h("h2", {}, item.name ?? item.title),
      ...lines.filter(Boolean).map((text) => h("p", { class: "small fact", dir: "auto" }, text)),
      ...facts(register, item).map((text) => h("p", { class: "quiet small" }, text)),
      register === "incidents" && one.deadlines.length > 0 && h("ul", { class: "small" }, ...one.deadlines.map(deadline)),
      item.note && h("q", { class: "small", dir: "auto" }, item.note)),
    writes && h("div", { class: "acts" }, h("button", { type: "button", onclick: () => edit(register, one, again) }, t("registers.change"))));
}

/** @param {string} on */
function due(on) {
  const left = daysLeft(on, today());
  const key = left < 0 ? "registers.overdue" : left === 0 ? "registers.today" : "registers.left";
  return h("span", { class: `chip ${tone(left)}` }, t(key, { count: Math.abs(left), date: dateOf(on) }));
}

/** @param {{what: string, by: string, met_on: string | null}} one */
const deadline = (one) => h("li", {}, t(one.met_on ? "registers.deadline.met" : "registers.deadline.open",
  { who: words(`registers.to.${one.what}`), by: dateOf(one.by), on: one.met_on ? dateOf(one.met_on) : "" }));

/** @param {Register} register @param {any} item @returns {string[]} */
function facts(register, item) {
  const days = FIELDS[register].filter(({ name, kind }) => kind === "day" && item[name]).map(({ name }) => `${words(`registers.field.${name}`)}: ${dateOf(item[name])}`);
  const more = [item.people !== null && item.people !== undefined && `${t("registers.field.people")}: ${item.people}`,
    register === "incidents" && words(`registers.choice.${item.assessment}`), item.outcome && words(`registers.choice.${item.outcome}`)];
  return [[...days, ...more.filter(Boolean)].join(" · ")].filter(Boolean);
}

/** @param {Register} register @param {any} one null: a new item @param {() => void} again */
async function edit(register, one, again) {
  const before = one?.item ?? {};
  const inputs = new Map(FIELDS[register].map((wanted) => [wanted.name, control(wanted, before[wanted.name])]));
  const notice = register === "incidents" ? noticeFields(before.notices ?? []) : null;
  const given = await ask(words(one ? "registers.change" : `registers.add.${register}`), (close) => [
    h("form", { class: "stack", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); close(true); } },
      ...FIELDS[register].map(({ name }) => field(words(`registers.field.${name}`), /** @type {HTMLElement} */ (inputs.get(name)), hint(name))),
      notice?.part,
      h("p", { class: "quiet small" }, t("registers.entered")),
      h("div", { class: "actions end" }, h("button", { type: "button", onclick: () => close(null) }, t("cancel")),
        h("button", { class: "primary", type: "submit", id: "save-item" }, t("save"))))], "large");
  if (!given) return;
  /** @type {Record<string, any>} */
  const item = filled(register, Object.fromEntries([...inputs].map(([name, input]) => [name, input.value])));
  if (notice) Object.assign(item, { notices: notice.all(), alert: before.alert ?? null });
  try {
    if (one) await call("PUT", `${ADD[register]}/${one.id}`, { revision: one.revision, item });
    else await call("POST", ADD[register], item);
    tell(t("saved"));
  } catch (error) {
    tell(wordsFor(codeOf(error)), "danger", codeOf(error));
  }
  again();
}

/** @param {string} name */
const hint = (name) => ["discovered_on", "people_in_one_state", "assessment", "description", "closed_on"].includes(name) ? words(`registers.hint.${name}`) : "";

/** @param {Field} wanted @param {string | number | null | undefined} value */
function control({ name, kind, required = false, choices = [] }, value) {
  if (kind === "choice") {
    const select = h("select", { name, required });
    if (!required) select.append(new Option(t("registers.open"), ""));
    for (const one of choices) select.append(new Option(words(name === "severity" ? `registers.severity.${one}` : `registers.choice.${one}`), one));
    select.value = String(value ?? (required ? choices[0] : ""));
    return select;
  }
  const made = kind === "text" ? h("textarea", { name, rows: 3, maxlength: 4000, dir: "auto" })
    : h("input", { name, required, type: kind === "day" ? "date" : kind === "number" ? "number" : "text", min: kind === "number" ? 0 : null, maxlength: kind === "line" ? 200 : null, dir: kind === "line" ? "auto" : null });
  made.value = String(value ?? "");
  return made;
}

/** Notices that were sent, and one more. @param {{to: string, on: string, how: string}[]} sent */
function noticeFields(sent) {
  const to = h("select", { name: "notice-to" }, ...NOTICE_TO.map((one) => new Option(words(`registers.to.${one}`), one)));
  const how = h("select", { name: "notice-how" }, ...NOTICE_HOW.map((one) => new Option(words(`registers.how.${one}`), one)));
  const on = h("input", { name: "notice-on", type: "date" });
  const part = h("fieldset", { class: "stack" }, h("legend", {}, t("registers.notices")),
    sent.length ? h("ul", { class: "small" }, ...sent.map((one) => h("li", {}, `${words(`registers.to.${one.to}`)} · ${dateOf(one.on)} · ${words(`registers.how.${one.how}`)}`)))
      : h("p", { class: "quiet small" }, t("registers.notices.none")),
    field(t("registers.notice.to"), to), h("div", { class: "pair" }, field(t("registers.notice.on"), on), field(t("registers.notice.how"), how)));
  return { part, all: () => on.value ? [...sent, { to: to.value, on: on.value, how: how.value }] : sent };
}

/** Open an incident from an alert; its clock starts on the day the alert was raised. @param {any} alert */
export async function incidentFrom(alert) {
  try {
    await call("POST", ADD.incidents, { title: words(`alert.${alert.rule}`), discovered_on: alert.raised_at.slice(0, 10), alert: alert.id });
    location.assign("/registers#incidents");
  } catch (error) {
    tell(wordsFor(codeOf(error)), "danger", codeOf(error));
  }
}
