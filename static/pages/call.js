// The clinician's side of a visit.
import { Devices } from "../call/devices.js";
import { Session } from "../call/session.js";
import { isWayOut } from "../state/join.js";
import { company } from "../state/media.js";
import { knocking } from "../state/visit.js";
import { noticeArrival, titleBadge } from "../ui/arrivals.js";
import { attendance } from "../ui/attendance.js";
import { askEmergency, askPurpose } from "../ui/asking.js";
import { callRoom } from "../ui/callroom.js";
import { glassOffer } from "../ui/care.js";
import { ask, fill, h } from "../ui/dom.js";
import { t, wordsFor } from "../ui/i18n.js";
import { icon } from "../ui/icons.js";
import { staffPage } from "../ui/shell.js";

let live = true;
const { session: staff, main } = await staffPage("call.title", () => live);
const visit = location.pathname.split("/")[2];
fill(main, h("p", { role: "status" }, t("call.preparing")));
const devices = new Devices();
await devices.open();
const session = new Session({ visit }, devices, askEmergency);

/** @param {Parameters<typeof icon>[0]} name @param {import("../ui/i18n.js").Key} key @param {string} id @param {() => unknown} act */
const control = (name, key, id, act) =>
  h("button", { type: "button", id, onclick: act }, h("span", { class: "disc" }, icon(name)), h("span", {}, t(key)));
const record = control("record", "record.ask", "record", askToRecord);
const people = control("people", "call.people", "people", togglePeople);
const end = control("stop", "call.end", "end", endVisit);
const room = callRoom(session, { title: (view) => view.visit.patient_name ?? t("call.title"), extra: [record, people, end], onleave: leave });
const { panel, draw: drawPeople } = attendance(session, visit, togglePeople);
room.show();
room.stage.root.addEventListener("panel", () => people.setAttribute("aria-pressed", String(panel.isConnected)));
if (innerWidth > 768) togglePeople();
room.stage.root.setAttribute("aria-label", staff.clinic.name);
let waiting = new Set();
let unseen = false;

session.addEventListener("view", draw);
session.addEventListener("ended", (event) => over(/** @type {CustomEvent} */ (event).detail));
session.addEventListener("replaced", () => over("replaced"));

function draw() {
  const view = session.view;
  if (!view) return;
  const here = knocking(view);
  for (const person of here) if (!waiting.has(person.participant)) noticeArrival({ visit, name: "" });
  waiting = new Set(here.map((person) => person.participant));
  titleBadge(t("call.title"), here.length);
  drawPeople(view);
  if ((here.length || (view.identity_open && !unseen)) && !panel.isConnected) togglePeople();
  unseen = Boolean(view.identity_open);
  const running = ["asking", "starting", "recording", "paused"].includes(view.recording.state);
  fill(record, h("span", { class: "disc" }, icon(running ? "stop" : "record")), h("span", {}, t(running ? "record.stop" : "record.ask")));
  record.disabled = !running && (!company(view).length || unseen);
}

async function askToRecord() {
  const state = session.view?.recording.state ?? "none";
  if (state !== "none") return session.act("recording.stop");
  const purpose = await askPurpose();
  if (purpose && (await session.act("recording.ask", { purpose }))) room.stage.say(t("record.asked"));
  return undefined;
}

function togglePeople() {
  room.toggle(panel);
}

async function endVisit() {
  const sure = await ask(t("call.end"), (close) => [h("p", {}, t("call.end.sure")),
    h("div", { class: "actions end" }, h("button", { onclick: () => close(null) }, t("cancel")),
      h("button", { class: "danger primary", id: "end-go", onclick: () => close(true) }, t("call.end")))]);
  if (sure) await session.act("end");
}

function leave() {
  return session.leave();
}

/** @param {string} reason */
function over(reason) {
  live = false;
  room.hide();
  devices.close();
  if (reason === "ended" || reason === "left") location.assign("/visits");
  else {
    const offered = reason === "not_found" && staff.user.role === "clinician";
    fill(document.body, h("main", { class: "narrow centre" }, offered && h("div", { class: "card" }, glassOffer({ visit }, () => location.reload())), h("div", { class: "card stack" },
      h("h1", {}, t("over.sorry")), h("p", { role: "alert" }, isWayOut(reason) ? t(/** @type {any} */ (`over.${reason}`)) : wordsFor(reason)), h("a", { class: "button primary", href: "/visits" }, t("nav.visits")))));
  }
}
