// What a connection's own statistics (W3C webrtc-stats) say of the line: both directions, over the time since the last look. Pure.
import { quality } from "./signal.js";

/** @typedef {"udp" | "tcp" | "turn_udp" | "turn_tcp" | "turn_tls"} Path */
/** @typedef {{lost: number, got: number, freezes: number, frozen: number}} Totals of what came, since the connection began */
/** @typedef {{level: number, rtt_ms: number, loss: number, jitter_ms: number, freezes: number, frozen_ms: number, path: Path | null}} Report as the server takes it */
/** @typedef {{totals: Totals, freezes: number, frozen: number}} Memory between two looks; `freezes`, `frozen`: of connections before this one */

/** @type {Memory} */
export const NOTHING = { totals: { lost: 0, got: 0, freezes: 0, frozen: 0 }, freezes: 0, frozen: 0 };

/** @param {any} pair @param {Map<string, any>} all @returns {Path | null} */
function pathOf(pair, all) {
  const local = all.get(pair?.localCandidateId);
  if (!local) return null;
  if (local.candidateType !== "relay") return local.protocol === "tcp" ? "tcp" : "udp";
  return local.relayProtocol === "tls" ? "turn_tls" : local.relayProtocol === "tcp" ? "turn_tcp" : "turn_udp";
}

/** The pair that carries the media: the transport names it, elsewhere the nominated one that works. @param {Map<string, any>} all */
function pairOf(all) {
  for (const one of all.values()) if (one.type === "transport" && one.selectedCandidatePairId) return all.get(one.selectedCandidatePairId);
  return [...all.values()].find((one) => one.type === "candidate-pair" && (one.selected || (one.nominated && one.state === "succeeded")));
}

/**
 * @param {Iterable<[string, any]>} stats of one connection @param {Memory} before what the last look left; `fresh` where the connection is a new one
 * @param {boolean} [fresh] @returns {{report: Report, memory: Memory}}
 */
export function look(stats, before, fresh = false) {
  const all = new Map(stats);
  const pair = pairOf(all);
  let rtt = (pair?.currentRoundTripTime ?? 0) * 1000;
  let sent = 0;
  let jitter = 0;
  const totals = { lost: 0, got: 0, freezes: 0, frozen: 0 };
  for (const one of all.values()) {
    if (one.type === "remote-inbound-rtp") {
      sent = Math.max(sent, one.fractionLost ?? 0);
      if (!rtt) rtt = (one.roundTripTime ?? 0) * 1000;
    } else if (one.type === "inbound-rtp") {
      totals.lost += Math.max(0, one.packetsLost ?? 0);
      totals.got += one.packetsReceived ?? 0;
      totals.freezes += one.freezeCount ?? 0;
      totals.frozen += (one.totalFreezesDuration ?? 0) * 1000;
      jitter = Math.max(jitter, (one.jitter ?? 0) * 1000);
    }
  }
  // A connection that took over, or a section that went away, begins its counts anew: what was frozen before stays counted.
  const anew = fresh || totals.freezes < before.totals.freezes || totals.got < before.totals.got;
  const kept = anew ? { freezes: before.freezes + before.totals.freezes, frozen: before.frozen + before.totals.frozen } : before;
  const since = anew ? NOTHING.totals : before.totals;
  const lost = Math.max(0, totals.lost - since.lost);
  const due = lost + totals.got - since.got;
  const loss = Math.min(1, Math.max(0, sent, due > 0 ? lost / due : 0));
  const report = {
    level: quality(rtt, loss), rtt_ms: Math.round(rtt), loss, jitter_ms: Math.round(jitter),
    freezes: kept.freezes + totals.freezes, frozen_ms: Math.round(kept.frozen + totals.frozen), path: pathOf(pair, all),
  };
  return { report, memory: { totals, freezes: kept.freezes, frozen: kept.frozen } };
}
