// Dialogs around a visit: book, edit, link.
import { call, codeOf } from "../net/api.js";
import { ask, field, fill, h, tell } from "./dom.js";
import { dayAndTime, t, wordsFor } from "./i18n.js";
import { icon } from "./icons.js";

/** @typedef {{id: string, url: string, channel: string, passcode?: string | null, not_before: string, expires_at: string}} Issued */

/** @param {string} name @param {string} value @param {Record<string, unknown>} [more] */
const input = (name, value, more = {}) => h("input", { name, value, ...more });

/** A `datetime-local` value in the browser's zone. @param {Date} date */
const local = (date) => new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);

/** @param {string} name @param {[string, string][]} choices @param {string} [value] */
function choose(name, choices, value = choices[0][0]) {
  const select = h("select", { name });
  for (const [code, words] of choices) select.append(new Option(words, code, code === value, code === value));
  return select;
}

/** What the patient confirms with the code; a question of the clinic's own comes with its answer. @param {any} visit */
function confirming(visit) {
  const kind = choose("confirm", /** @type {[string, string][]} */ (["rule", "none", "initials", "birth_year", "question"].map((code) =>
    [code, t(/** @type {any} */ (`book.confirm.${code}`))])), visit?.confirm ?? "rule");
  const question = input("question", "", { maxlength: 100 });
  const answer = input("answer", "", { maxlength: 100, autocomplete: "off" });
  const own = h("div", { class: "pair", hidden: true }, field(t("book.confirm.ask"), question, t("book.confirm.ask.hint")), field(t("book.confirm.answer"), answer));
  kind.addEventListener("change", () => {
    own.hidden = kind.value !== "question";
    question.required = answer.required = kind.value === "question";
  });
  const held = kind.value;
  return {
    fields: [field(t("book.confirm"), kind, t("book.confirm.hint")), own],
    body: () => (kind.value === "rule" || (kind.value === held && !question.value) ? {} :
      { confirm: { kind: kind.value, ...(kind.value === "question" ? { question: question.value.trim(), answer: answer.value.trim() } : {}) } }),
  };
}

/** Parts of the form that booking and editing share. @param {any} visit */
function parts(visit) {
  return {
    name: input("name", visit?.patient.name ?? "", { required: true, maxlength: 120, autocomplete: "off" }),
    contact: input("contact", visit?.patient.contact ?? "", { maxlength: 200, autocomplete: "off" }),
    birth: input("birth", visit?.patient.birth_date ?? "", { type: "date" }),
    record: input("record", visit?.patient.record ?? "", { maxlength: 64, autocomplete: "off" }),
    when: input("when", local(visit ? new Date(visit.scheduled_at) : new Date()), { type: "datetime-local", required: true }),
    minutes: input("minutes", String(visit?.minutes ?? 30), { type: "number", min: 5, max: 480, required: true }),
    assurance: choose("assurance", [["standard", t("book.standard")], ["high", t("book.high")]], visit?.assurance),
    confirm: confirming(visit),
    planned: h("input", { type: "checkbox", name: "planned", checked: Boolean(visit?.recording_planned) }),
  };
}

/** @param {ReturnType<typeof parts>} p */
const asBody = (p) => ({
  patient: { name: p.name.value.trim(), contact: p.contact.value.trim() || null, birth_date: p.birth.value || null, record: p.record.value.trim() || null },
  scheduled_at: new Date(p.when.value).toISOString(),
  minutes: Number(p.minutes.value),
  assurance: p.assurance.value,
  recording_planned: p.planned.checked,
  ...p.confirm.body(),
});

/** @param {ReturnType<typeof parts>} p */
const asFields = (p) => [
  field(t("book.name"), p.name), field(t("book.contact"), p.contact, t("book.contact.hint")),
  h("div", { class: "pair" }, field(t("book.birth"), p.birth), field(t("book.record"), p.record, t("book.record.hint"))),
  field(t("book.assurance"), p.assurance),
  h("div", { class: "pair" }, field(t("book.when"), p.when), field(t("book.minutes"), p.minutes)),
  ...p.confirm.fields,
  h("label", { class: "choice" }, p.planned, h("span", {}, t("book.planned"))),
];

/** Run a form's work: button off, error in words. @param {HTMLButtonElement} button @param {HTMLElement} error @param {() => Promise<void>} work */
export async function trying(button, error, work) {
  button.disabled = true;
  error.textContent = "";
  try {
    await work();
  } catch (problem) {
    error.textContent = wordsFor(codeOf(problem));
  } finally {
    button.disabled = false;
  }
}

/** For whom somebody who books for others may book. @param {{id: string, role: string}} user @returns {Promise<HTMLSelectElement | null>} */
async function clinicians(user) {
  if (!["admin", "front_desk"].includes(user.role)) return null;
  const { items } = await call("GET", "/clinicians").catch(() => ({ items: [] }));
  return items.length ? choose("clinician", items.map((/** @type {any} */ one) => [one.id, one.name]),
    items.some((/** @type {any} */ one) => one.id === user.id) ? user.id : items[0].id) : null;
}

/** @param {{id: string, role: string}} user @returns {Promise<{visit: any, link: Issued} | null>} */
export async function bookDialog(user) {
  const p = parts(null);
  const clinician = await clinicians(user);
  const channel = channels();
  const send = senders();
  const error = h("p", { class: "error", role: "alert" });
  const button = h("button", { class: "primary", type: "submit" }, t("book.go"));
  return ask(t("visits.new"), (close) => [h("form", {
    class: "stack",
    onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      return trying(button, error, async () => close(await call("POST", "/visits",
        { ...asBody(p), channel: channel.value, send: send.value || null, ...(clinician ? { clinician: clinician.value } : {}) })));
    },
  }, clinician && field(t("recordings.clinician"), clinician), ...asFields(p),
  h("div", { class: "pair" }, field(t("link.channel"), channel), field(t("link.send"), send)),
  error, h("div", { class: "actions end" }, cancel(close), button))], "large");
}

/** @param {any} visit @returns {Promise<true | null>} whether something changed */
export function editDialog(visit) {
  const p = parts(visit);
  const error = h("p", { class: "error", role: "alert" });
  const button = h("button", { class: "primary", type: "submit" }, t("save"));
  const drop = h("button", { class: "danger", type: "button" }, t("visits.cancel"));
  return ask(t("visits.edit"), (close) => {
    drop.addEventListener("click", () => trying(drop, error, async () => {
      await call("PATCH", `/visits/${visit.id}`, { state: "cancelled" });
      tell(t("visits.cancelled"));
      close(true);
    }));
    return [h("form", {
      class: "stack",
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        return trying(button, error, async () => {
          await call("PATCH", `/visits/${visit.id}`, asBody(p));
          close(true);
        });
      },
    }, ...asFields(p), error, h("div", { class: "actions end" }, drop, cancel(close), button))];
  }, "large");
}

export const channels = () => choose("channel", [
  ["passcode", t("channel.passcode")], ["spoken", t("channel.spoken")], ["sms", t("channel.sms")], ["email", t("channel.email")],
]);
export const senders = () => choose("send", [["", t("send.self")], ["email", t("send.email")], ["sms", t("send.sms")]]);

/** @param {(value: null) => void} close */
const cancel = (close) => h("button", { type: "button", onclick: () => close(null) }, t("cancel"));

/** Show a fresh link once, or offer to make a new one. @param {any} visit @param {Issued | null} issued */
export function linkDialog(visit, issued) {
  return ask(t("link.title", { name: visit.patient.name }), (close) => {
    const place = h("div", { class: "stack" });
    if (issued) showLink(place, issued);
    else reissue(place, visit);
    return [place, h("div", { class: "actions end" }, h("button", { onclick: () => close(true) }, t("done")))];
  }, "large");
}

/** @param {HTMLElement} place @param {Issued} issued */
function showLink(place, issued) {
  fill(place, h("p", {}, t("link.once")), copyLine(t("link.url"), issued.url, "link-url"),
    issued.passcode && copyLine(t("link.passcode"), issued.passcode, "link-passcode"),
    issued.passcode && h("p", { class: "note" }, t("link.passcode.tell")),
    h("p", { class: "quiet small" }, t("link.window", { from: dayAndTime(issued.not_before), to: dayAndTime(issued.expires_at) })));
}

/** @param {HTMLElement} place @param {any} visit */
function reissue(place, visit) {
  const channel = channels();
  const send = senders();
  const error = h("p", { class: "error", role: "alert" });
  const button = h("button", { class: "primary" }, t("link.new"));
  const held = visit.links.find((/** @type {any} */ one) => one.state === "live" || one.state === "early");
  button.addEventListener("click", () => trying(button, error, async () =>
    showLink(place, await call("POST", `/visits/${visit.id}/links`, { channel: channel.value, send: send.value || null }))));
  const budget = h("button", {}, t("link.budget"));
  budget.addEventListener("click", () => trying(budget, error, async () => {
    const fresh = await call("POST", `/visits/${visit.id}/links/${held.id}/code`);
    fill(place, h("p", { role: "status" }, t("link.budget.done", { count: fresh.tries_left })),
      fresh.passcode && copyLine(t("link.passcode"), fresh.passcode, "link-passcode"));
  }));
  const revoke = h("button", { class: "danger" }, t("link.revoke"));
  revoke.addEventListener("click", () => trying(revoke, error, async () => {
    await call("DELETE", `/visits/${visit.id}/links/${held.id}`);
    fill(place, h("p", { role: "status" }, t("link.revoked")));
  }));
  fill(place, h("p", {}, t(held ? "link.held" : "link.none")),
    h("div", { class: "pair" }, field(t("link.channel"), channel), field(t("link.send"), send)), error,
    h("div", { class: "actions" }, button, held && budget, held && revoke));
}

/** A secret with its copy button. @param {string} label @param {string} value @param {string} id */
export function copyLine(label, value, id) {
  const line = h("input", { id, value, readonly: true, dir: "ltr" });
  line.addEventListener("focus", () => line.select());
  const copy = h("button", { type: "button", "aria-label": `${t("copy")}: ${label}` }, icon("copy"));
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(value).then(() => tell(t("copied")), () => line.select());
  });
  return h("div", { class: "field" }, h("label", { for: id }, label), h("div", { class: "secret-line" }, line, copy));
}
