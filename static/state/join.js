// The patient's way in, one step at a time. Pure.

/** @typedef {"opening" | "early" | "code" | "devices" | "waiting" | "call" | "over" | "unknown" | "outside" | "replaced"} Step */
/** @typedef {{step: Step, opensAt: string | null, reason: string | null}} Way */

/** @type {Way} */
export const START = { step: "opening", opensAt: null, reason: null };

/** Which of the four dots is lit. @type {Partial<Record<Step, number>>} */
export const DOTS = { opening: 0, early: 0, code: 0, devices: 1, waiting: 2, call: 3 };

/**
 * The next place after something happened.
 * @param {Way} way
 * @param {{kind: "answer", step: string, opens_at?: string | null} | {kind: "verified"} | {kind: "ready"} |
 *   {kind: "view", place: "waiting" | "call" | "over"} | {kind: "refused", code: string} |
 *   {kind: "ended", reason: string} | {kind: "replaced"}} event
 * @returns {Way}
 */
export function next(way, event) {
  switch (event.kind) {
    case "answer": return answered(event);
    case "verified": return { ...way, step: "devices" };
    case "ready": return { ...way, step: "waiting" };
    case "view": return seen(way, event.place);
    case "refused": return refused(way, event.code);
    case "ended": return { ...way, step: "over", reason: event.reason };
    case "replaced": return { ...way, step: "replaced", reason: null };
  }
}

/** @param {{step: string, opens_at?: string | null}} event @returns {Way} */
function answered(event) {
  /** @type {Record<string, Step>} */
  const steps = { early: "early", code: "code", device: "devices", over: "over" };
  return { step: steps[event.step] ?? "unknown", opensAt: event.opens_at ?? null, reason: null };
}

/** @param {Way} way @param {"waiting" | "call" | "over"} place @returns {Way} */
function seen(way, place) {
  return way.step === "over" || way.step === "replaced" ? way : { ...way, step: place };
}

/** @param {Way} way @param {string} code @returns {Way} */
function refused(way, code) {
  if (code === "outside_area") return { ...way, step: "outside", reason: code };
  const lost = ["link_unknown", "unauthenticated", "not_found"];
  return lost.includes(code) ? { ...way, step: "unknown", reason: code } : way;
}

const WAYS_OUT = ["ended", "left", "removed", "link_revoked", "link_over", "signed_out", "visit_full", "visit_over"];

/** Whether leaving for this reason has words of its own. @param {string} reason */
export const isWayOut = (reason) => WAYS_OUT.includes(reason);

/** Seconds until a moment, never below zero. @param {string} moment @param {number} now milliseconds */
export const secondsUntil = (moment, now) => Math.max(0, Math.ceil((Date.parse(moment) - now) / 1000));
