import assert from "node:assert/strict";
import { test } from "node:test";
import { next, secondsUntil, START } from "../../static/state/join.js";
import { onDescription, quality } from "../../static/state/signal.js";

const walk = (...events) => events.reduce(next, START);

test("the way in goes code, devices, waiting, call", () => {
  const steps = [];
  let way = START;
  for (const event of [{ kind: "answer", step: "code" }, { kind: "verified" }, { kind: "ready" }, { kind: "view", place: "call" }]) {
    way = next(way, event);
    steps.push(way.step);
  }
  assert.deepEqual(steps, ["code", "devices", "waiting", "call"]);
});

test("too early waits for its time, then the same answer opens it", () => {
  const early = walk({ kind: "answer", step: "early", opens_at: "2026-01-31T09:00:00.000Z" });
  assert.equal(early.step, "early");
  assert.equal(early.opensAt, "2026-01-31T09:00:00.000Z");
  assert.equal(next(early, { kind: "answer", step: "code" }).step, "code");
});

test("after the end no late view brings the call back", () => {
  const over = walk({ kind: "answer", step: "device" }, { kind: "ready" }, { kind: "ended", reason: "removed" });
  assert.equal(over.reason, "removed");
  assert.equal(next(over, { kind: "view", place: "call" }).step, "over");
});

test("a wrong code stays where it is, a lost link leads out", () => {
  const code = walk({ kind: "answer", step: "code" });
  assert.equal(next(code, { kind: "refused", code: "code_wrong" }).step, "code");
  assert.equal(next(code, { kind: "refused", code: "link_unknown" }).step, "unknown");
  assert.equal(walk({ kind: "answer", step: "never heard of" }).step, "unknown");
});

test("a countdown never goes below zero", () => {
  assert.equal(secondsUntil("2026-01-31T09:00:00.000Z", Date.parse("2026-01-31T09:00:05.000Z")), 0);
  assert.equal(secondsUntil("2026-01-31T09:00:00.000Z", Date.parse("2026-01-31T08:59:58.500Z")), 2);
});

test("in a collision the impolite ignores and the polite yields", () => {
  const busy = { making: true, signaling: "stable", settling: false };
  assert.equal(onDescription({ ...busy, polite: false }, "offer"), "ignore");
  assert.equal(onDescription({ ...busy, polite: true }, "offer"), "apply");
  assert.equal(onDescription({ ...busy, polite: false }, "answer"), "apply");
  assert.equal(onDescription({ polite: false, making: false, signaling: "have-local-offer", settling: true }, "offer"), "apply");
});

test("quality falls with loss and delay", () => {
  assert.deepEqual([quality(20, 0), quality(350, 0), quality(20, 0.1), quality(2000, 0)], [4, 3, 2, 1]);
});
