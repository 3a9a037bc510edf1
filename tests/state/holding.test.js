import assert from "node:assert/strict";
import { test } from "node:test";
import { hold, NOTHING } from "../../static/state/holding.js";

const sound = (all, made, silent = 0) => [["one", { type: "inbound-rtp", kind: "audio", totalSamplesReceived: all, concealedSamples: made, silentConcealedSamples: silent }]];

test("sound is held back for half a minute once more than one in a thousand samples are made up", () => {
  let seen = hold(sound(48_000, 9_000), NOTHING, 0);
  assert.equal(seen.held, null); // how a call begins says nothing
  seen = hold(sound(96_000, 9_040), seen.memory, 3000);
  assert.equal(seen.held, null);
  seen = hold(sound(144_000, 9_100), seen.memory, 6000);
  assert.equal(seen.held, 200);
  seen = hold(sound(192_000, 9_100), seen.memory, 35_000);
  assert.equal(seen.held, 200);
  seen = hold(sound(240_000, 9_100), seen.memory, 36_000);
  assert.equal(seen.held, null);
});

test("silence that was made up is no loss, and a connection that takes over begins anew", () => {
  let seen = hold(sound(48_000, 0), NOTHING, 0);
  seen = hold(sound(96_000, 40_000, 40_000), seen.memory, 3000);
  assert.equal(seen.held, null);
  seen = hold(sound(1000, 900), seen.memory, 6000);
  assert.equal(seen.held, null);
  seen = hold([["two", { type: "inbound-rtp", kind: "video" }], ...sound(49_000, 1900)], seen.memory, 9000);
  assert.equal(seen.held, 200);
});
