// The clinician's list of people: who stands at the door, who is in the call and how well, whom to invite or send away.
import { company } from "../state/media.js";
import { knocking } from "../state/visit.js";
import { ask, h, refill } from "./dom.js";
import { clock, t } from "./i18n.js";
import { icon } from "./icons.js";
import { guestsDialog } from "./inviting.js";
import { panelFrame } from "./panel.js";
import { sightings } from "./sighting.js";
import { bars, called } from "./tile.js";

/** @typedef {import("../call/session.js").Session} Session */
/** @typedef {import("../state/visit.js").Person} Person */
/** @typedef {import("../state/visit.js").View} View */
/** @typedef {import("./i18n.js").Key} Key */

/** The panel; `draw` it with every view. @param {Session} session @param {string} visit @param {() => void} toggle opens and closes it */
export function attendance(session, visit, toggle) {
  const door = h("div", { class: "stack", id: "door", "aria-live": "assertive" });
  const facts = h("div", { class: "stack" });
  const invite = h("button", { class: "wide", type: "button", id: "invite", onclick: () => guestsDialog(visit) }, icon("people"), t("guest.invite"));
  const screens = h("div", { class: "stack" });
  const panel = panelFrame(t("call.people"), toggle, door, facts, invite, screens);
  const identity = sightings(visit);

  /** @param {View} view */
  function draw(view) {
    const there = company(view);
    const patient = there.find((person) => person.role === "patient") ?? null;
    const guests = there.filter((person) => person !== patient);
    refill(door, ...knocking(view).map(knock));
    refill(facts,
      there.length === 0 && h("p", { class: "quiet" }, t(knocking(view).length ? "door.choose" : "door.nobody")),
      ...(patient ? about(patient, view) : []),
      guests.length > 0 && h("ul", { class: "company", "aria-label": t("guest.list") }, ...guests.map(guest)));
    refill(screens,
      there.length > 0 && h("button", { class: "small", id: "forbid", onclick: () => session.act("screen_policy", { forbidden: !view.screen_forbidden }) },
        t(view.screen_forbidden ? "screen.allow" : "screen.forbid")));
  }

  /** @param {Person} person */
  const knock = (person) => h("div", { class: "knock", "data-participant": person.participant },
    h("p", {}, t("door.waits", { name: called(person), time: person.since ? clock(person.since) : "" })),
    person.role !== "patient" && h("p", { class: "small quiet" }, t(/** @type {Key} */ (`role.${person.role}`))),
    h("div", { class: "actions" },
      h("button", { class: "primary admit", onclick: () => admit(person) }, t("door.admit")),
      h("button", { class: "danger", onclick: () => remove(person) }, t("door.remove"))));

  /** @param {Person} person @param {View} view */
  const about = (person, view) => [
    h("h3", {}, called(person)),
    identity(person, view),
    h("dl", { class: "facts small" },
      h("dt", {}, t("facts.location")), h("dd", { id: "location" }, h("bdi", {}, person.location ?? "–")),
      h("dt", {}, t("facts.callback")), h("dd", { id: "callback" }, h("bdi", {}, person.callback ?? "–")),
      h("dt", {}, t("facts.sound")), h("dd", {}, t(person.audio ? "on" : "off")),
      h("dt", {}, t("facts.picture")), h("dd", {}, t(person.video ? "on" : "off")),
      h("dt", {}, t("facts.quality")), h("dd", {}, t(/** @type {Key} */ (`quality.${person.quality ?? "unknown"}`)))),
    h("div", { class: "actions" }, h("button", { class: "small danger", id: "remove", onclick: () => remove(person) }, t("door.remove"))),
  ];

  /** @param {Person} person */
  const guest = (person) => h("li", { "data-participant": person.participant },
    h("span", { class: "grow" }, h("b", {}, h("bdi", {}, called(person))), h("span", { class: "small quiet" }, t(/** @type {Key} */ (`role.${person.role}`)))),
    !person.audio && h("span", { class: "off", role: "img", "aria-label": t("people.muted") }, icon("micOff")),
    !person.video && h("span", { class: "off", role: "img", "aria-label": t("people.nocamera") }, icon("cameraOff")),
    bars(person.quality),
    h("button", { class: "small danger", onclick: () => remove(person), "aria-label": `${t("door.remove")}: ${called(person)}` }, t("door.remove")));

  /** @param {Person} person */
  async function admit(person) {
    const done = await session.admit(person.participant);
    if (done && innerWidth <= 768 && panel.isConnected) toggle(); // a phone shows the person, not the panel
  }

  /** @param {Person} person */
  async function remove(person) {
    const sure = await ask(`${t("door.remove")}: ${called(person)}`, (close) => [h("p", {}, t("door.remove.sure")),
      h("div", { class: "actions end" }, h("button", { onclick: () => close(null) }, t("cancel")),
        h("button", { class: "danger primary", onclick: () => close(true) }, t("door.remove")))]);
    if (sure) await session.act("remove", { participant: person.participant });
  }

  return { panel, draw };
}
