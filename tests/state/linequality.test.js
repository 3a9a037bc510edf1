// The line's quality follows from both directions, over the time since the last look, whichever connection carries the call.
import assert from "node:assert/strict";
import { test } from "node:test";
import { look, NOTHING } from "../../static/state/linequality.js";

const pair = (rtt, local) => [["T", { type: "transport", selectedCandidatePairId: "P" }], ["P", { type: "candidate-pair", localCandidateId: "L", currentRoundTripTime: rtt }],
  ["Q", { type: "candidate-pair", nominated: true, currentRoundTripTime: 9, state: "succeeded" }], ["L", { type: "local-candidate", ...local }]];
const HOST = { candidateType: "host", protocol: "udp" };
const came = (id, more) => [id, { type: "inbound-rtp", packetsLost: 0, packetsReceived: 0, ...more }];

test("the selected pair tells round trip and path", () => {
  for (const [local, path] of [[HOST, "udp"], [{ candidateType: "prflx", protocol: "tcp" }, "tcp"], [{ candidateType: "relay", protocol: "udp", relayProtocol: "tls" }, "turn_tls"],
    [{ candidateType: "relay", protocol: "udp", relayProtocol: "tcp" }, "turn_tcp"], [{ candidateType: "relay", protocol: "udp", relayProtocol: "udp" }, "turn_udp"]]) {
    const { report } = look(pair(0.02, local), NOTHING);
    assert.equal(report.path, path);
    assert.equal(report.rtt_ms, 20);
    assert.equal(report.level, 4);
  }
});

test("loss is that of the worse direction since the last look", () => {
  const first = look([...pair(0.02, HOST), came("A", { packetsLost: 100, packetsReceived: 900 })], NOTHING);
  assert.equal(first.report.loss, 0.1);
  const second = look([...pair(0.02, HOST), came("A", { packetsLost: 100, packetsReceived: 1000 })], first.memory);
  assert.equal(second.report.loss, 0);
  assert.equal(second.report.level, 4);
  const third = look([...pair(0.02, HOST), came("A", { packetsLost: 100, packetsReceived: 1100 }), ["R", { type: "remote-inbound-rtp", fractionLost: 0.2 }]], second.memory);
  assert.equal(third.report.loss, 0.2);
  assert.equal(third.report.level, 1);
});

test("frozen pictures are counted on when another connection takes over", () => {
  const first = look([...pair(0.02, HOST), came("V", { freezeCount: 2, totalFreezesDuration: 1.5, packetsReceived: 10 })], NOTHING);
  assert.deepEqual([first.report.freezes, first.report.frozen_ms], [2, 1500]);
  const other = look([...pair(0.02, HOST), came("V", { freezeCount: 1, totalFreezesDuration: 0.5, packetsReceived: 20 })], first.memory, true);
  assert.deepEqual([other.report.freezes, other.report.frozen_ms], [3, 2000]);
  const again = look([...pair(0.02, HOST), came("V", { freezeCount: 1, totalFreezesDuration: 0.5, packetsReceived: 30 })], other.memory);
  assert.deepEqual([again.report.freezes, again.report.frozen_ms], [3, 2000]);
});

test("a browser that names no transport is read by its nominated pair, and a silent one says nothing wild", () => {
  const stats = [["P", { type: "candidate-pair", nominated: true, state: "succeeded", localCandidateId: "L", currentRoundTripTime: 0.5 }], ["L", { type: "local-candidate", ...HOST }]];
  assert.deepEqual(look(stats, NOTHING).report, { level: 3, rtt_ms: 500, loss: 0, jitter_ms: 0, freezes: 0, frozen_ms: 0, path: "udp" });
  assert.deepEqual(look([], NOTHING).report, { level: 4, rtt_ms: 0, loss: 0, jitter_ms: 0, freezes: 0, frozen_ms: 0, path: null });
});
