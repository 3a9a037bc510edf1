// What the server says of a visit, and what follows from it for the page. Pure.

/** @typedef {{participant: string, role: string, name?: string, state: string, online: boolean, page: string | null, since?: string,
 *   audio: boolean, video: boolean, screen: boolean, recorded?: boolean, quality?: number | null, location?: string, callback?: string, sighted?: string | null}} Person */
/** @typedef {{state: string, recording: string | null, request: string | null, purpose: string | null,
 *   started_at: string | null, answers: {participant: string, answer: string | null}[], reason: string | null}} Recording */
/** @typedef {{revision: number, at: string, visit: {id: string, state: string, scheduled_at: string, minutes: number,
 *   patient_name?: string, clinician_name: string}, self: {participant: string, role: string, state: string},
 *   participants: Person[], polite: boolean, screen_forbidden: boolean, identity_open?: boolean, recording: Recording,
 *   media: import("./media.js").Media}} View */

/** The newer of two views; an older or repeated one changes nothing.
 * @param {View | null} held @param {View} came @returns {View} */
export const newer = (held, came) => (held && came.revision <= held.revision ? held : came);

/** @param {View} view @returns {Person[]} everybody but me */
export const others = (view) => view.participants.filter((person) => person.participant !== view.self.participant);

/** @param {View} view @returns {Person[]} who stands at the door */
export const knocking = (view) => others(view).filter((person) => person.state === "waiting");

/** Who came into the call and who left it between two views. @param {View | null} before @param {View} after
 * @returns {{came: Person[], left: Person[]}} */
export function changes(before, after) {
  if (!before) return { came: [], left: [] };
  const inside = (/** @type {View} */ view) => others(view).filter((person) => person.state === "admitted");
  const missing = (/** @type {Person[]} */ from, /** @type {Person[]} */ among) =>
    from.filter((person) => !among.some((one) => one.participant === person.participant));
  const [was, is] = [inside(before), inside(after)];
  return { came: missing(is, was), left: missing(was, is) };
}

/** Where this page stands. @param {View} view @returns {"waiting" | "call" | "over"} */
export function place(view) {
  if (["ended", "cancelled", "expired"].includes(view.visit.state) || view.self.state === "removed") return "over";
  return view.self.state === "admitted" ? "call" : "waiting";
}

/** Whom the recorder takes nothing of although it runs. @param {View} view @returns {Person[]} */
export const unrecorded = (view) => (view.recording.state === "recording"
  ? view.participants.filter((person) => person.state === "admitted" && person.recorded === false) : []);

/** The recording light: derived, never set by hand. @param {Recording} recording @param {{straight?: boolean, gaps?: boolean}} [seen]
 * `straight`: this page has lost the server and talks to the other one; `gaps`: of somebody nothing is recorded right now
 * @returns {{state: string, key: string}} */
export function light(recording, { straight = false, gaps = false } = {}) {
  const known = ["asking", "starting", "recording", "paused", "stopping"];
  let state = known.includes(recording.state) ? recording.state : "none";
  if (straight && captured(recording)) state = "cut";
  else if (gaps && state === "recording") state = "partial";
  return { state, key: `light.${state}` };
}

/** Whether the person in front of this page still owes an answer to that request. @param {View} view @param {string} request */
export const owesAnswer = (view, request) =>
  view.recording.request === request &&
  view.recording.answers.some((one) => one.participant === view.self.participant && one.answer === null);

/** Whether an answer is still to be sent: not where the view says it was given. The question may come before its view.
 * @param {View | null} view @param {string} request */
export const mayAnswer = (view, request) => view !== null && (view.recording.request !== request || owesAnswer(view, request));

const FAULT = /^(disk_full|failed|keys_unavailable|key_service_unavailable|key_store_unavailable|log_unavailable|interrupted|relay_failed|recorder_too_slow|recorder_broken|start_timeout|vault_.+)$/;

/** The fault because of which nothing is recorded now. @param {Recording} recording @returns {string | null} */
export const fault = (recording) =>
  recording.state !== "recording" && recording.reason !== null && FAULT.test(recording.reason) ? recording.reason : null;

/** Whether media flows to the recorder, as far as this page may know. @param {Recording} recording */
export const captured = (recording) => ["starting", "recording", "paused"].includes(recording.state);
