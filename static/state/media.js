// Which way media takes, what is heard and shown while it turns, and when the turn is done. Pure.

/** @typedef {import("./visit.js").View} View */
/** @typedef {import("./visit.js").Person} Person */
/** @typedef {{topology: "alone" | "direct" | "relay", settled: boolean, turn: number, never_direct: boolean, parked: boolean,
 *   without: string[]}} Media `parked`: two keep a line to each other on which nothing flows; `without`: whose leg never came */
/** @typedef {{participant: string, source: "audio" | "camera" | "screen", mid: string}} Slot */
/** @typedef {{sound: boolean, picture: boolean}} Flowing what arrives of somebody by one way */

/** How long one that flows waits for what is still missing, in milliseconds. */
export const PATIENCE = 3000;
/** The most people a visit has beside oneself. */
export const MOST_OTHERS = 7;

/** @type {Media} */
const ALONE = { topology: "alone", settled: true, turn: 0, never_direct: false, parked: false, without: [] };

/** @param {View} view @returns {Media} */
export const mediaOf = (view) => (view.self.state === "admitted" ? view.media : ALONE);

/** Everybody in the call but me. @param {View} view @returns {Person[]} */
export const company = (view) =>
  view.participants.filter((person) => person.state === "admitted" && person.participant !== view.self.participant);

/**
 * The way that is wanted now: with whom and on which of their pages, or the leg; null for none.
 * Somebody who lost the socket keeps the way they have: what runs between two people needs no server.
 * @param {View} view @param {string | null} held the way that stands
 */
export function wanted(view, held) {
  const { topology, never_direct: never } = mediaOf(view);
  if (topology === "relay") return "relay";
  const person = company(view)[0];
  if (topology !== "direct" || never || !person) return null;
  if (!person.online) return held;
  return person.page ? `${person.participant} ${person.page}` : null;
}

/**
 * With whom, and on which of their pages, a line is kept on which nothing flows; `held`: the one that is kept. Null for none.
 * @param {View} view @param {string | null} held
 */
export function parked(view, held) {
  const { topology, settled, parked: wants, never_direct: never } = mediaOf(view);
  const [person, more] = company(view);
  if (never || !person || more || topology === "alone" || (topology === "relay" && !wants)) return null;
  const theirs = person.online && person.page ? `${person.participant} ${person.page}` : held;
  return (topology === "relay" && settled) || theirs === held ? theirs : null;
}

/** Whether anything is to be agreed on with that page: else what it signals is answered with silence.
 * @param {View} view @param {string} from @param {boolean} between whether a way from browser to browser is still up */
export function expects(view, from, between) {
  const { topology, settled, parked: wants, never_direct: never } = mediaOf(view);
  if (never || !company(view).some((person) => person.participant === from)) return false;
  return topology === "direct" || (topology === "relay" && (wants || (!settled && between)));
}

const CUT_FOR = 2000;

/**
 * Whether two talk straight to each other although the relay is wanted: when server and leg were silent for two seconds,
 * or when the other does so. Until the relay carries both again.
 * @param {boolean} straight @param {{offline: number, quiet: number, theirs: boolean, delivered: boolean, online: boolean}} seen
 * `offline`, `quiet`: milliseconds without the server, without anything on the leg; `theirs`: something of them comes
 * straight; `delivered`: something of them comes by the leg; `online`: the server sees them
 */
export function straightens(straight, { offline, quiet, theirs, delivered, online }) {
  if (!straight) return (offline >= CUT_FOR && quiet >= CUT_FOR) || (theirs && !(delivered && online));
  return !(offline === 0 && delivered && (online || !theirs));
}

/** Whether I yield when both offer at once: told by the server beside a clinician, else the same on both pages.
 * @param {View} view @param {Person} person */
export const yields = (view, person) =>
  ([view.self.role, person.role].includes("clinician") ? view.polite : view.self.participant > person.participant);

/** Sections to receive in, made in advance: two for each other person, one more person's, and one spare for a screen.
 * @param {number} others @param {number} screens */
export function sections(others, screens) {
  const people = Math.min(MOST_OTHERS, Math.max(1, others) + 1);
  return { audio: people, video: people + Math.max(1, screens) };
}

/**
 * Whether somebody has arrived by the new way: everything they are said to send flows, or some of it does and the rest
 * had its time. Who sends nothing has arrived with the connection.
 * @param {Person} person @param {Flowing} flowing @param {number} since milliseconds since the first of it flowed
 */
export function arrived(person, flowing, since) {
  const missing = (person.audio && !flowing.sound) || (person.video && !flowing.picture);
  if (!missing) return true;
  return (flowing.sound || flowing.picture) && since > PATIENCE;
}

/**
 * The way somebody is heard by, of ways in the order they were made: the newest that flows; until one does, all of them.
 * @template W @param {readonly {way: W, sound: boolean}[]} ways @returns {W | null}
 */
export const heardBy = (ways) => ways.findLast((one) => one.sound)?.way ?? null;

/** What one camera sends to so many others: small pictures where many share a screen, and a phone's line.
 * @param {number} others @returns {{maxBitrate: number, scaleResolutionDownBy: number}} bit/s */
export function thrift(others) {
  if (others <= 1) return { maxBitrate: 1_200_000, scaleResolutionDownBy: 1 };
  if (others <= 3) return { maxBitrate: 600_000, scaleResolutionDownBy: 1 };
  return { maxBitrate: 250_000, scaleResolutionDownBy: 2 };
}

const LOUD = 0.02;
const HOLDS = 1200;

/**
 * Who speaks: the loudest above a whisper; who spoke is marked until somebody else does or a pause passes.
 * @param {{who: string | null, at: number}} before @param {ReadonlyMap<string, number>} levels 0–1 @param {number} now milliseconds
 */
export function speaker(before, levels, now) {
  const [who, level] = [...levels].reduce((best, one) => (one[1] > best[1] ? one : best), /** @type {[string | null, number]} */ ([null, 0]));
  if (level >= LOUD) {
    const held = before.who !== null && before.who !== who && (levels.get(before.who) ?? 0) >= level / 2 && now - before.at < HOLDS;
    return { who: held ? before.who : who, at: held ? before.at : now };
  }
  return now - before.at > HOLDS ? { who: null, at: before.at } : before;
}

/** @typedef {{octets: number, at: number, rate: number, restarts: number}} Pulse `rate`: octets a beat, falling slowly */

const QUIET_BUSY = 2000;
const QUIET_IDLE = 8000;
const GIVES_UP = 8;
const BUSY = 1000; // octets a beat; the last beat before a stop may be a short one, so the rate halves and does not jump

/** @param {number} now @returns {Pulse} */
export const firstBeat = (now) => ({ octets: 0, at: now, rate: 0, restarts: 0 });

/**
 * Whether a leg still carries something: `restart` when nothing came for two seconds although media was flowing (eight
 * where only reports come), `lost` when restarts have not helped for a quarter of a minute.
 * @param {Pulse} pulse @param {number} octets received in all @param {number} now milliseconds
 * @returns {{pulse: Pulse, verdict: "well" | "restart" | "lost"}}
 */
export function beat(pulse, octets, now) {
  const came = octets - pulse.octets;
  if (came < 0) return beat({ ...pulse, octets }, octets, now); // an ICE restart took paths away with what they had counted
  if (came > 0) return { pulse: { octets, at: now, rate: Math.max(came, pulse.rate / 2), restarts: 0 }, verdict: "well" };
  if (now - pulse.at < (pulse.rate > BUSY ? QUIET_BUSY : QUIET_IDLE)) return { pulse, verdict: "well" };
  const restarts = pulse.restarts + 1;
  return { pulse: { ...pulse, octets, at: now, rate: BUSY + 1, restarts }, verdict: restarts < GIVES_UP ? "restart" : "lost" };
}
