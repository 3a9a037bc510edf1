// The clinician's side of a visit.
import { Devices } from "../call/devices.js";
import { Session } from "../call/session.js";
import { isWayOut } from "../state/join.js";
import { knocking, partner } from "../state/visit.js";
import { noticeArrival, titleBadge } from "../ui/arrivals.js";
import { askEmergency, askPurpose } from "../ui/asking.js";
import { callRoom } from "../ui/callroom.js";
import { glassOffer } from "../ui/care.js";
import { ask, fill, h, refill } from "../ui/dom.js";
import { clock, t, wordsFor } from "../ui/i18n.js";
import { icon } from "../ui/icons.js";
import { panelFrame } from "../ui/panel.js";
import { staffPage } from "../ui/shell.js";
import { sightings } from "../ui/sighting.js";

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
const door = h("div", { class: "stack", id: "door", "aria-live": "assertive" });
const facts = h("div", { class: "stack" });
const panel = panelFrame(t("call.people"), togglePeople, door, facts);
room.show();
room.stage.root.addEventListener("panel", () => people.setAttribute("aria-pressed", String(panel.isConnected)));
if (innerWidth > 768) togglePeople();
room.stage.root.setAttribute("aria-label", staff.clinic.name);
let waiting = new Set();
const identity = sightings(visit);
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
  refill(door, ...here.map(knock));
  refill(facts, ...about(view));
  if ((here.length || (view.identity_open && !unseen)) && !panel.isConnected) togglePeople();
  unseen = Boolean(view.identity_open);
  const running = ["asking", "starting", "recording", "paused"].includes(view.recording.state);
  fill(record, h("span", { class: "disc" }, icon(running ? "stop" : "record")), h("span", {}, t(running ? "record.stop" : "record.ask")));
  record.disabled = !running && (!partner(view) || unseen);
}

/** @param {import("../state/visit.js").Person} person */
function knock(person) {
  return h("div", { class: "knock" },
    h("p", {}, t("door.waits", { name: person.name ?? t("role.patient"), time: person.since ? clock(person.since) : "" })),
    h("div", { class: "actions" },
      h("button", { class: "primary admit", onclick: () => admit(person) }, t("door.admit")),
      h("button", { class: "danger", onclick: () => remove(person) }, t("door.remove"))));
}

/** @param {import("../state/visit.js").Person} person */
async function admit(person) {
  const done = await session.admit(person.participant);
  if (done && innerWidth <= 768 && panel.isConnected) togglePeople(); // a phone shows the person, not the panel
}

/** @param {import("../state/visit.js").View} view */
function about(view) {
  const person = partner(view);
  if (!person) return [h("p", { class: "quiet" }, t(knocking(view).length ? "door.choose" : "door.nobody"))];
  return [
    h("h3", {}, person.name ?? t("role.patient")),
    identity(person, view),
    h("dl", { class: "facts small" },
      h("dt", {}, t("facts.location")), h("dd", { id: "location" }, h("bdi", {}, person.location ?? "–")),
      h("dt", {}, t("facts.callback")), h("dd", { id: "callback" }, h("bdi", {}, person.callback ?? "–")),
      h("dt", {}, t("facts.sound")), h("dd", {}, t(person.audio ? "on" : "off")),
      h("dt", {}, t("facts.picture")), h("dd", {}, t(person.video ? "on" : "off")),
      h("dt", {}, t("facts.quality")), h("dd", {}, t(/** @type {any} */ (`quality.${person.quality ?? "unknown"}`)))),
    h("div", { class: "actions" },
      h("button", { class: "small", id: "forbid", onclick: () => session.act("screen_policy", { forbidden: !view.screen_forbidden }) },
        t(view.screen_forbidden ? "screen.allow" : "screen.forbid")),
      h("button", { class: "small danger", id: "remove", onclick: () => remove(person) }, t("door.remove"))),
  ];
}

/** @param {import("../state/visit.js").Person} person */
async function remove(person) {
  const sure = await ask(t("door.remove"), (close) => [h("p", {}, t("door.remove.sure")),
    h("div", { class: "actions end" }, h("button", { onclick: () => close(null) }, t("cancel")),
      h("button", { class: "danger primary", onclick: () => close(true) }, t("door.remove")))]);
  if (sure) await session.act("remove", { participant: person.participant });
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
