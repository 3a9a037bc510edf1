// A patient's access report, and the accounting of disclosures: made, looked through, printed, taken along with proofs.
import { asking, call, codeOf, query } from "../net/api.js";
import { actWords, ending, entries, place, recipient, sections, when, who, why, word } from "../ui/acts.js";
import { field, fill, h } from "../ui/dom.js";
import { dayAndTime, t, wordsFor } from "../ui/i18n.js";
import { choice, marks, people } from "../ui/namesakes.js";
import { staffPage } from "../ui/shell.js";

/** @typedef {import("../ui/acts.js").Act} Act */

const MEANINGS = ["emergency", "given_out", "seen", "refused", "changed", "took_part"];
const FOLDED = new Set(["changed", "took_part"]);
const given = location.pathname.endsWith("/disclosures");
const { session, main } = await staffPage(given ? "audit.disclosures" : "report.title");
const name = h("input", { name: "patient", autocomplete: "off" });
const record = h("input", { name: "record", autocomplete: "off", maxlength: 64 });
const several = h("div");
const since = h("input", { name: "since", type: "date" });
const until = h("input", { name: "until", type: "date" });
const asks = asking();
const status = h("p", { class: "empty", role: "status", hidden: true });
const paper = h("article", { class: "paper", hidden: true });

fill(main,
  h("div", { class: "page-head screen-only" }, h("h1", {}, t(given ? "audit.disclosures" : "audit.report"))),
  sections(given ? "/audit/disclosures" : "/audit/report", session.user.role === "admin"),
  h("p", { class: "quiet screen-only" }, t(given ? "disclosures.lead" : "report.lead")),
  h("form", { class: "filters screen-only", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); make(); } },
    field(t(given ? "disclosures.patient" : "report.patient"), name), field(t("book.record"), record),
    field(t("audit.since"), since), field(t("audit.until"), until),
    h("button", { class: "primary", type: "submit" }, t(given ? "disclosures.find" : "report.make"))),
  several, status, paper);
if (given) await make();

async function make() {
  const whose = { name: name.value.trim(), record: record.value.trim() };
  const newest = asks();
  fill(several);
  await trying(newest, async () => {
    if (!whose.name && !whose.record) return given ? of("", "", newest) : say(t("whose.who"));
    const found = await people(whose);
    if (!newest()) return;
    /** @param {import("../ui/namesakes.js").Namesake} one @param {() => boolean} still */
    const chosen = (one, still) => of(one.patient, [whose.name, marks(one)].filter(Boolean).join(" · "), still);
    if (found.length === 1) return chosen(found[0], newest);
    paper.hidden = true;
    fill(several, choice(found, (one) => {
      const still = asks();
      trying(still, () => chosen(one, still));
    }));
  });
}

/** @param {string} words */
function say(words) {
  paper.hidden = true;
  status.hidden = false;
  status.textContent = words;
}

/** @param {() => boolean} newest @param {() => Promise<void> | void} work */
async function trying(newest, work) {
  status.hidden = true;
  try {
    await work();
  } catch (error) {
    if (newest()) say(wordsFor(codeOf(error)));
  }
}

/** @param {string} key @param {string} whose @param {() => boolean} newest */
async function of(key, whose, newest) {
  const asked = query({
    patient: key, since: since.value && new Date(`${since.value}T00:00`).toISOString(),
    until: until.value && new Date(`${until.value}T23:59:59.999`).toISOString(),
  });
  const report = await call("GET", `/audit/${given ? "disclosures" : "report"}${asked}`);
  if (newest()) show(report, whose, asked);
}

/** @param {any} report @param {string} whose @param {string} asked */
function show(report, whose, asked) {
  const last = dayAndTime(report.until ?? report.made_at);
  const span = report.since ? t("report.span", { since: dayAndTime(report.since), until: last }) : t("report.ever", { until: last });
  fill(paper,
    h("header", {}, h("h2", {}, t(given ? "audit.disclosures" : "report.title")),
      whose && h("p", { class: "whose" }, t("report.for", { name: whose })),
      h("p", { class: "quiet small" }, `${t("report.of", { when: dayAndTime(report.made_at), clinic: session.clinic.name })} · ${span}`),
      h("div", { class: "actions screen-only" }, h("button", { class: "small", type: "button", id: "print", onclick: () => print() }, t("report.print")),
        !given && h("a", { class: "button small", id: "evidence", href: `/api/v1/audit/report/evidence${asked}` }, t("report.bundle")))),
    ...(given ? [disclosed(report.acts)] : parts(report.acts)),
    h("footer", {}, covers(report.covers), h("p", { class: "small quiet" }, given ? "" : t("report.explain")),
      h("p", { class: "small quiet" }, `${t("audit.stands_at", { size: report.head.size })}: `, h("code", {}, report.head.root)),
      h("p", { class: "print-only signature" }, t("report.signature"))));
  paper.hidden = false;
}

/** Where several servers keep logs, this one's is not the whole story. @param {{server: string, missing: {name: string, address: string}[]}} told */
function covers({ server, missing }) {
  const names = missing.map(({ name, address }) => `${name} (${address})`).join(", ");
  return missing.length > 0 && h("p", { id: "covers" }, t("report.covers", { server: server || "—", missing: names }));
}

/** @param {Act[]} acts */
function parts(acts) {
  const found = MEANINGS.map((meaning) => ({ meaning, acts: acts.filter((act) => act.meaning === meaning) })).filter((part) => part.acts.length);
  const seen = found.some((part) => !FOLDED.has(part.meaning));
  return [!seen && h("p", {}, t("report.nobody")), ...found.map(part)];
}

/** @param {{meaning: string, acts: Act[]}} one */
function part({ meaning, acts }) {
  const title = h("h3", {}, `${word(`report.${meaning}`)} (${acts.length})`);
  const heads = ["audit.at", "audit.who", "audit.what", "audit.why", "audit.where"];
  const rows = acts.map((act) => h("tr", { "data-action": act.action },
    h("td", { class: "number" }, when(act)), h("td", {}, who(act.actor)),
    h("td", {}, actWords(act.action), " ", ending(act.outcome), h("div", { class: "quiet small" }, entries(act))),
    h("td", {}, why(act)), h("td", { class: "small" }, ...place(act))));
  const body = frame(word(`report.${meaning}`), heads, rows);
  return h("section", { "data-meaning": meaning }, ...(FOLDED.has(meaning) ? [h("details", {}, h("summary", {}, title), body)] : [title, body]));
}

/** @param {Act[]} acts */
function disclosed(acts) {
  if (!acts.length) return h("p", { class: "empty" }, t("disclosures.none"));
  const heads = ["audit.at", "audit.to_whom", "audit.what", "audit.why"];
  return frame(t("audit.disclosures"), heads, acts.map((act) => h("tr", { "data-action": act.action },
    h("td", { class: "number" }, when(act)), h("td", {}, recipient(act), h("div", { class: "quiet small" }, who(act.actor))),
    h("td", {}, actWords(act.action), h("div", { class: "quiet small" }, [act.recording, act.visit].filter(Boolean).join(" · "))),
    h("td", {}, why(act)))));
}

/** @param {string} label @param {string[]} heads @param {HTMLElement[]} rows */
function frame(label, heads, rows) {
  return h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": label },
    h("table", {}, h("thead", {}, h("tr", {}, ...heads.map((key) => h("th", { scope: "col" }, word(key))))), h("tbody", {}, ...rows)));
}

/** Paper has nothing to unfold. */
addEventListener("beforeprint", () => paper.querySelectorAll("details").forEach((one) => { one.open = true; }));
