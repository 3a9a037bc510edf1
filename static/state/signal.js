// Perfect negotiation as decisions (W3C WebRTC 1.0 §10.7). Pure.

/** @typedef {{polite: boolean, making: boolean, signaling: string, settling: boolean}} Negotiation */

/** What to do with a description that came.
 * @param {Negotiation} now @param {string} type @returns {"apply" | "ignore"} */
export function onDescription(now, type) {
  const ready = !now.making && (now.signaling === "stable" || now.settling);
  const collision = type === "offer" && !ready;
  return collision && !now.polite ? "ignore" : "apply";
}

/** From round trip (ms) and loss (0–1) to four bars. @param {number} rtt @param {number} loss */
export function quality(rtt, loss) {
  if (loss > 0.15 || rtt > 1200) return 1;
  if (loss > 0.06 || rtt > 600) return 2;
  if (loss > 0.02 || rtt > 300) return 3;
  return 4;
}
