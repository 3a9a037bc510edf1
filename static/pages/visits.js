// The clinician's day: who is booked, who waits since when.
import { asking, call, codeOf, query } from "../net/api.js";
import { connect } from "../net/socket.js";
import { fill, h, refill, tell } from "../ui/dom.js";
import { clock, day, t, wordsFor } from "../ui/i18n.js";
import { staffPage } from "../ui/shell.js";
import { bookDialog, editDialog, linkDialog } from "../ui/booking.js";
import { arrivals, noticeArrival, titleBadge } from "../ui/arrivals.js";
import { guestsDialog } from "../ui/inviting.js";
import { teamDialog, waitingGlasses } from "../ui/care.js";

const { session, main } = await staffPage("visits.title");
const list = h("ul", { class: "rows" });
const heard = h("p", { class: "visually-hidden", role: "status" });
const codes = h("div", { class: "stack", "aria-live": "assertive" });
const asks = asking();
const shown = { day: localDay(new Date()) };
/** @type {any} */
let today = { revision: -1, visits: [], codes: [] };
/** @type {any[]} */
let booked = [];

const dayInput = h("input", { type: "date", value: shown.day, "aria-label": t("visits.day"), onchange: pickDay });
const heading = h("h1", {}, t("visits.today"));
const notify = h("button", { class: "small bare", hidden: !("Notification" in window) || Notification.permission !== "default", onclick: allowNotices }, t("visits.notify"));
fill(main,
  h("div", { class: "page-head" }, heading,
    h("div", { class: "actions end" }, notify, dayInput,
      h("button", { class: "primary", id: "new-visit", onclick: newVisit }, t("visits.new")))),
  ["clinician", "admin"].includes(session.user.role) && waitingGlasses(session.user.id), heard, codes, list);

/** @param {Date} date */
function localDay(date) {
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 10);
}

function pickDay() {
  shown.day = dayInput.value || localDay(new Date());
  heading.textContent = shown.day === localDay(new Date()) ? t("visits.today") : day(`${shown.day}T12:00:00`);
  load();
}

async function allowNotices() {
  await Notification.requestPermission();
  notify.hidden = true;
}

async function load() {
  const newest = asks();
  try {
    const { items } = await call("GET", `/visits${query({ day: shown.day, limit: 100 })}`);
    if (!newest()) return; // another day was chosen since, or more was booked
    booked = items;
    draw();
  } catch (error) {
    if (!newest()) return;
    tell(wordsFor(codeOf(error)), "danger", codeOf(error));
  }
}

async function newVisit() {
  const made = await bookDialog(session.user);
  if (!made) return;
  await linkDialog(made.visit, made.link);
  load();
}

/** @param {string} id */
const live = (id) => today.visits.find((/** @type {any} */ one) => one.id === id);

function draw() {
  const waiting = today.visits.reduce((/** @type {number} */ sum, /** @type {any} */ one) => sum + one.waiting.length, 0);
  titleBadge(t("visits.title"), waiting);
  fill(codes, ...today.codes.map(spokenCode));
  refill(list, ...(booked.length ? booked.map(row) : [h("li", { class: "empty" }, t("visits.none"))]));
}

/** @param {any} minted */
function spokenCode(minted) {
  const visit = booked.find((one) => one.id === minted.visit);
  return h("div", { class: "note" }, h("h2", {}, t("visits.code", { name: visit?.patient.name ?? "" })),
    h("p", { class: "big-clock number" }, minted.code), h("p", { class: "small" }, t("visits.code.until", { time: clock(minted.expires_at) })));
}

/** @param {any} visit */
function row(visit) {
  const now = live(visit.id);
  const here = now?.waiting[0];
  const over = ["ended", "cancelled", "expired"].includes(visit.state);
  return h("li", { class: `row ${here ? "waiting" : ""}`, "data-visit": visit.id },
    h("div", {}, h("div", { class: "when number" }, clock(visit.scheduled_at)), h("div", { class: "quiet small" }, t("minutes", { count: visit.minutes }))),
    h("div", {}, h("h2", {}, visit.patient.name), h("div", { class: "actions" }, ...chips(visit, now, here))),
    h("div", { class: "acts" }, ...(over ? [] : acts(visit, here))));
}

/** @param {any} visit @param {any} now @param {any} here */
function chips(visit, now, here) {
  const failed = visit.deliveries.find((/** @type {any} */ one) => one.state === "failed");
  return [
    here ? h("span", { class: "chip" }, t(here.online ? "visits.waiting" : "visits.away", { time: clock(here.since) }))
      : h("span", { class: "chip plain" }, t(/** @type {any} */ (`state.${now?.state ?? visit.state}`))),
    visit.clinician.id !== session.user.id && h("span", { class: "chip plain" }, visit.clinician.name),
    visit.recording_planned && h("span", { class: "chip plain" }, t("visits.planned")),
    visit.assurance === "high" && h("span", { class: "chip plain" }, t("visits.high")),
    failed && h("span", { class: "chip danger" }, t("visits.delivery.failed")),
  ];
}

/** @param {any} visit @param {any} here */
function acts(visit, here) {
  const again = async () => { await linkDialog(visit, null); load(); };
  const edit = async () => { if (await editDialog(visit)) load(); };
  const mine = visit.clinician.id === session.user.id;
  const calling = session.user.role === "clinician"; // the team's visits are in a clinician's list
  return [
    (mine || calling) && h("a", { class: `button ${here ? "primary" : ""}`, href: `/call/${visit.id}` }, t("visits.start")),
    (mine || session.user.role === "admin") && h("button", { class: "team", onclick: () => teamDialog(visit) }, t("team.open")),
    h("button", { onclick: again }, t("visits.link")),
    h("button", { class: "guests", onclick: () => guestsDialog(visit.id) }, t("guest.open")),
    h("button", { onclick: edit }, t("visits.edit")),
  ];
}

const socket = connect({ watch: true });
if (session.user.role === "front_desk") { // holds no visits of their own, so nothing is pushed
  socket.disconnect();
  setInterval(load, 30_000);
}
socket.on("today", (/** @type {any} */ came) => {
  if (came.revision <= today.revision && today.revision >= 0) return;
  const fresh = arrivals(today, came);
  for (const one of fresh) noticeArrival(one);
  if (fresh.length) heard.textContent = t("notice.text");
  const unknown = came.visits.some((/** @type {any} */ one) => !booked.find((row) => row.id === one.id));
  today = came;
  if (unknown) load();
  else draw();
});
socket.on("connect", () => { today = { ...today, revision: -1 }; });
socket.on("ended", () => location.replace("/"));
socket.on("connect_error", (/** @type {Error & {data?: {error?: string}}} */ error) => {
  if (error.data?.error === "unauthenticated") location.replace("/");
});
await load();
