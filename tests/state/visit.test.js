import assert from "node:assert/strict";
import { test } from "node:test";
import { fault, knocking, light, mayAnswer, newer, owesAnswer, place, unrecorded } from "../../static/state/visit.js";

const person = (participant, state, more = {}) => ({ participant, role: "patient", state, online: true, page: "p", audio: true, video: true, screen: false, ...more });
const view = (more = {}) => ({
  revision: 1, at: "", visit: { id: "v", state: "in_call", scheduled_at: "", minutes: 30, clinician_name: "" },
  self: { participant: "me", role: "clinician", state: "admitted" },
  participants: [person("me", "admitted"), person("you", "admitted"), person("door", "waiting")],
  polite: false, screen_forbidden: false,
  recording: { state: "none", recording: null, request: null, purpose: null, started_at: null, answers: [], reason: null }, ...more,
});

test("an older or repeated view changes nothing", () => {
  const held = view({ revision: 5 });
  assert.equal(newer(held, view({ revision: 4 })), held);
  assert.equal(newer(held, view({ revision: 5 })), held);
  const fresh = view({ revision: 6 });
  assert.equal(newer(held, fresh), fresh);
  assert.equal(newer(null, held), held);
});

test("I see who knocks", () => {
  assert.deepEqual(knocking(view()).map((one) => one.participant), ["door"]);
});

test("removed and ended are over, whoever is admitted is in the call", () => {
  assert.equal(place(view()), "call");
  assert.equal(place(view({ self: { participant: "me", role: "patient", state: "waiting" } })), "waiting");
  assert.equal(place(view({ self: { participant: "me", role: "patient", state: "removed" } })), "over");
  assert.equal(place(view({ visit: { ...view().visit, state: "ended" } })), "over");
});

test("the light never says recording unless the state does, and an unknown state shows no light", () => {
  for (const state of ["none", "asking", "starting", "paused", "stopping", "something new"]) {
    assert.notEqual(light({ ...view().recording, state }).state, "recording");
  }
  assert.equal(light({ ...view().recording, state: "recording" }).state, "recording");
  assert.equal(light({ ...view().recording, state: "something new" }).state, "none");
});

test("the light does not call somebody recorded of whom the recorder takes nothing, nor anybody while the server is away", () => {
  const recording = { ...view().recording, state: "recording" };
  const people = [person("me", "admitted", { recorded: true }), person("you", "admitted", { recorded: false }), person("door", "waiting", { recorded: false })];
  assert.deepEqual(unrecorded(view({ recording, participants: people })).map((one) => one.participant), ["you"]);
  assert.deepEqual(unrecorded(view({ participants: people })), [], "nothing is recorded, so there is no gap");
  assert.equal(light(recording, { gaps: true }).state, "partial");
  assert.equal(light({ ...recording, state: "paused" }, { gaps: true }).state, "paused");
  assert.equal(light(recording, { straight: true }).state, "cut");
  assert.equal(light(view().recording, { straight: true }).state, "none");
});

test("an answer is owed only to the request that is asked, and while not yet given", () => {
  const asking = (answer, state = "asking") => view({ recording: { ...view().recording, state, request: "r", answers: [{ participant: "me", answer }] } });
  assert.equal(owesAnswer(asking(null), "r"), true);
  assert.equal(owesAnswer(asking(null, "paused"), "r"), true); // who joins a running recording is asked too
  assert.equal(owesAnswer(asking(null), "an older one"), false);
  assert.equal(owesAnswer(asking("yes"), "r"), false);
  assert.equal(owesAnswer(view(), "r"), false);
});

test("an answer given before the view shows the question is sent, one that was given is not", () => {
  const asking = (answer) => view({ recording: { ...view().recording, state: "asking", request: "r", answers: [{ participant: "me", answer }] } });
  assert.equal(mayAnswer(view(), "r"), true);
  assert.equal(mayAnswer(asking(null), "r"), true);
  assert.equal(mayAnswer(asking("no"), "r"), false);
  assert.equal(mayAnswer(null, "r"), false);
});

test("a fault stays told until something is recorded again", () => {
  const broken = (state, reason) => fault({ ...view().recording, state, reason });
  assert.equal(broken("none", "disk_full"), "disk_full");
  assert.equal(broken("none", "vault_full"), "vault_full");
  assert.equal(broken("recording", "recorder_too_slow"), null);
  assert.equal(broken("none", "withdrawn"), null);
  assert.equal(broken("none", null), null);
});
