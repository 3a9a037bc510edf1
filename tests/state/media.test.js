import assert from "node:assert/strict";
import { test } from "node:test";
import { arrived, beat, company, expects, firstBeat, heardBy, mediaOf, parked, PATIENCE, sections, speaker, straightens, thrift, wanted, yields } from "../../static/state/media.js";

const person = (participant, more = {}) => ({ participant, role: "patient", state: "admitted", online: true, page: "p1", audio: true, video: true, screen: false, ...more });
const view = (topology, people, more = {}) => ({
  revision: 1, self: { participant: "me", role: "clinician", state: "admitted" }, participants: [person("me", { role: "clinician" }), ...people], polite: false,
  media: { topology, settled: false, turn: 1, never_direct: false, ...more },
});

test("the way is the other's page in a direct call, the leg in a relayed one, none alone or at the door", () => {
  assert.equal(wanted(view("direct", [person("you")]), null), "you p1");
  assert.equal(wanted(view("relay", [person("you"), person("third")]), "you p1"), "relay");
  assert.equal(wanted(view("alone", []), "relay"), null);
  const door = { ...view("direct", [person("you")]), self: { participant: "me", role: "patient", state: "waiting" } };
  assert.equal(mediaOf(door).topology, "alone");
  assert.equal(wanted(door, null), null);
});

test("my company are the admitted others", () => {
  assert.deepEqual(company(view("relay", [person("you"), person("door", { state: "waiting" })])).map((one) => one.participant), ["you"]);
});

test("never direct means no direct way, whatever is said of the topology", () => {
  assert.equal(wanted(view("direct", [person("you")], { never_direct: true }), null), null);
});

test("who lost the socket keeps the way they have, who reloads gets a new one", () => {
  assert.equal(wanted(view("direct", [person("you", { online: false })]), "you p1"), "you p1");
  assert.equal(wanted(view("direct", [person("you", { page: "p2" })]), "you p1"), "you p2");
});

test("exactly one of two yields, whoever they are", () => {
  const pair = (a, b) => [
    yields({ ...view("direct", [person("b", { role: b })]), self: { participant: "a", role: a, state: "admitted" }, polite: a !== "clinician" }, person("b", { role: b })),
    yields({ ...view("direct", [person("a", { role: a })]), self: { participant: "b", role: b, state: "admitted" }, polite: b !== "clinician" }, person("a", { role: a })),
  ];
  for (const roles of [["clinician", "patient"], ["patient", "interpreter"], ["relative", "patient"]]) assert.deepEqual(pair(...roles).toSorted(), [false, true]);
});

test("there are sections for everybody, one person and one screen more, within the room's limits", () => {
  assert.deepEqual(sections(1, 0), { audio: 2, video: 3 });
  assert.deepEqual(sections(2, 1), { audio: 3, video: 4 });
  const full = sections(7, 2);
  assert.deepEqual(full, { audio: 7, video: 9 });
  assert.ok(full.audio + full.video <= 24);
});

test("a turn waits for sound and picture of who sends both, but not for ever", () => {
  const both = person("you");
  assert.equal(arrived(both, { sound: true, picture: true }, 0), true);
  assert.equal(arrived(both, { sound: true, picture: false }, 100), false);
  assert.equal(arrived(both, { sound: true, picture: false }, PATIENCE + 1), true);
  assert.equal(arrived(both, { sound: false, picture: false }, PATIENCE + 1), false);
  assert.equal(arrived(person("you", { video: false }), { sound: true, picture: false }, 0), true);
  assert.equal(arrived(person("you", { audio: false, video: false }), { sound: false, picture: false }, 0), true);
});

test("the old way is heard until the new one flows", () => {
  assert.equal(heardBy([{ way: "old", sound: true }, { way: "new", sound: false }]), "old");
  assert.equal(heardBy([{ way: "old", sound: true }, { way: "new", sound: true }]), "new");
  assert.equal(heardBy([{ way: "only", sound: false }]), null);
});

test("the more people, the less each camera sends", () => {
  const rates = [1, 2, 4, 7].map((others) => thrift(others).maxBitrate);
  assert.deepEqual(rates, rates.toSorted((a, b) => b - a));
});

test("who speaks is marked through short pauses and not for noises", () => {
  let now = speaker({ who: null, at: 0 }, new Map([["a", 0.001], ["b", 0.3]]), 1000);
  assert.equal(now.who, "b");
  now = speaker(now, new Map([["b", 0]]), 1900);
  assert.equal(now.who, "b");
  assert.equal(speaker(now, new Map([["b", 0]]), 2500).who, null);
  assert.equal(speaker(now, new Map([["a", 0.3], ["b", 0.2]]), 1500).who, "b"); // both talk: no flicker
  assert.equal(speaker(now, new Map([["a", 0.3], ["b", 0.01]]), 1500).who, "a");
});

test("a leg that carries nothing is restarted, then given up", () => {
  let { pulse, verdict } = beat(firstBeat(0), 5000, 1000);
  assert.equal(verdict, "well");
  ({ pulse, verdict } = beat(pulse, 5000, 2500));
  assert.equal(verdict, "well");
  ({ pulse, verdict } = beat(pulse, 5000, 3000));
  assert.equal(verdict, "restart");
  assert.equal(beat(pulse, 9000, 3500).verdict, "well");
  for (let at = 5000; at <= 15_000; at += 2000) ({ pulse, verdict } = beat(pulse, 5000, at));
  assert.equal(verdict, "restart");
  assert.equal(beat(pulse, 5000, 17_000).verdict, "lost");
});

test("a last beat that was cut short does not make a busy leg a quiet one", () => {
  let { pulse } = beat(firstBeat(0), 6000, 500);
  ({ pulse } = beat(pulse, 6100, 1000));
  assert.equal(beat(pulse, 6100, 3000).verdict, "restart");
});

test("paths that go with what they had counted hide nothing that comes by the new one", () => {
  let { pulse, verdict } = beat(firstBeat(0), 50_000, 500);
  ({ pulse, verdict } = beat(pulse, 50_000, 2500));
  assert.equal(verdict, "restart");
  ({ pulse, verdict } = beat(pulse, 0, 3000)); // the old pairs are gone
  assert.equal(verdict, "well");
  for (let at = 3500, octets = 4000; at <= 9000; at += 500, octets += 4000) {
    ({ pulse, verdict } = beat(pulse, octets, at));
    assert.equal(verdict, "well");
  }
  assert.equal(beat(pulse, 0, 11_500).verdict, "restart", "a fall is no sign of life");
});

test("a leg that only carries reports has longer", () => {
  const { pulse } = beat(firstBeat(0), 100, 1000);
  assert.equal(beat(pulse, 100, 5000).verdict, "well");
  assert.equal(beat(pulse, 100, 9000).verdict, "restart");
});

test("two who are relayed keep a line with nothing on it, three and hidden ones do not", () => {
  const relayed = (people, more) => view("relay", people, { settled: true, parked: true, ...more });
  assert.equal(parked(relayed([person("you")]), null), "you p1");
  assert.equal(parked(relayed([person("you"), person("third")]), "you p1"), null);
  assert.equal(parked(relayed([person("you")], { never_direct: true }), null), null);
  assert.equal(parked(relayed([person("you")], { parked: false }), "you p1"), null);
  assert.equal(parked(relayed([person("you")], { settled: false }), null), null, "first the turn");
  assert.equal(parked(view("alone", []), "you p1"), null);
});

test("the line that is kept outlives a lost socket and a restarted server, and not a reloaded page", () => {
  const away = person("you", { online: false, page: null });
  assert.equal(parked(view("relay", [away], { settled: true, parked: true }), "you p1"), "you p1");
  assert.equal(parked(view("direct", [away]), "you p1"), "you p1");
  assert.equal(parked(view("direct", [person("you")]), "you p1"), "you p1");
  assert.equal(parked(view("direct", [person("you", { page: "p2" })]), "you p1"), null);
  assert.equal(parked(view("relay", [person("you", { page: "p2" })], { settled: true, parked: true }), "you p1"), "you p2");
});

test("what a page signals is heard only where the two have something to agree on", () => {
  assert.equal(expects(view("direct", [person("you")]), "you", false), true);
  assert.equal(expects(view("direct", [person("you")]), "stranger", true), false);
  assert.equal(expects(view("relay", [person("you"), person("third")], { settled: true }), "you", true), false);
  assert.equal(expects(view("relay", [person("you"), person("third")]), "you", true), true, "the old way is still up");
  assert.equal(expects(view("relay", [person("you"), person("third")]), "third", false), false);
  assert.equal(expects(view("relay", [person("you")], { settled: true, parked: true }), "you", false), true);
  assert.equal(expects(view("direct", [person("you")], { never_direct: true }), "you", true), false);
  const door = { ...view("direct", [person("you")]), self: { participant: "me", role: "patient", state: "waiting" } };
  assert.equal(expects(door, "you", true), false);
});

test("two do without the server only when socket and leg are gone, and leave it when the relay carries both", () => {
  const well = { offline: 0, quiet: 0, theirs: false, delivered: true, online: true };
  assert.equal(straightens(false, well), false);
  assert.equal(straightens(false, { ...well, offline: 9000 }), false, "the leg still carries");
  assert.equal(straightens(false, { ...well, quiet: 9000, delivered: false }), false, "the server is there: it decides");
  assert.equal(straightens(false, { ...well, offline: 1900, quiet: 2500, delivered: false }), false, "not at once");
  const cut = { offline: 2100, quiet: 2100, theirs: false, delivered: false, online: true };
  assert.equal(straightens(false, cut), true);
  assert.equal(straightens(true, { ...cut, offline: 0 }), true, "nothing comes by the leg yet");
  assert.equal(straightens(true, { ...well, theirs: true }), false, "both are back");
});

test("who is not cut off follows the other, and stays as long as the other needs it", () => {
  const theirs = { offline: 0, quiet: 0, theirs: true, delivered: false, online: false };
  assert.equal(straightens(false, theirs), true);
  assert.equal(straightens(true, theirs), true);
  assert.equal(straightens(true, { ...theirs, delivered: true }), true, "they are heard, but cannot hear");
  assert.equal(straightens(true, { ...theirs, delivered: true, online: true }), false);
  assert.equal(straightens(false, { ...theirs, delivered: true, online: true }), false, "and it does not begin again");
});
