// How long sound is held back before it is played, so that what was lost on the way can be repeated in time. Pure.

/** @typedef {{made: number, all: number, until: number}} Memory between two looks: samples made up, samples played, and when to let go (ms) */

const MUCH = 0.001; // the share of made-up sound from which it is held back: less than one packet in three seconds
const HELD_MS = 200; // two round trips of a poor line
const KEPT_MS = 30_000;

/** @type {Memory} */
export const NOTHING = { made: 0, all: 0, until: 0 };

/**
 * @param {Iterable<[string, any]>} stats of one connection (W3C webrtc-stats) @param {Memory} before what the last look left @param {number} now ms
 * @returns {{held: number | null, memory: Memory}} `held`: ms at least; null: as the browser thinks fit
 */
export function hold(stats, before, now) {
  let made = 0;
  let all = 0;
  for (const [, one] of stats) {
    if (one.type !== "inbound-rtp" || one.kind !== "audio") continue;
    made += Math.max(0, (one.concealedSamples ?? 0) - (one.silentConcealedSamples ?? 0)); // silence is made up at no loss
    all += one.totalSamplesReceived ?? 0;
  }
  const known = before.all > 0 && all > before.all && made >= before.made;
  const share = known ? (made - before.made) / (all - before.all) : 0;
  const until = share > MUCH ? now + KEPT_MS : before.until;
  return { held: now < until ? HELD_MS : null, memory: { made, all, until } };
}
