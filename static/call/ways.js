// The ways media takes between this page and the others: browser to browser, or one leg to the server. When the visit
// turns from one to the other the new way is built beside the old, which goes when everybody has arrived.
import { arrived, company, expects, heardBy, mediaOf, parked, speaker, wanted, yields } from "../state/media.js";
import { flowing } from "./flowing.js";
import { Leg } from "./leg.js";
import { Peer } from "./peer.js";
import { Spare } from "./spare.js";

/** @typedef {import("../state/visit.js").View} View */
/** @typedef {import("../state/visit.js").Person} Person */
/** @typedef {Peer | Leg} Way */
/** @typedef {{way: Way, audio: MediaStreamTrack | null, camera: MediaStreamTrack | null, screen: MediaStreamTrack | null, loud: boolean}} Flow */
/** @typedef {{from: string, page: string, description: RTCSessionDescriptionInit | null, candidate: RTCIceCandidateInit | null}} Signal */
/** @typedef {{signal: (message: object) => void, offer: (sdp: string) => Promise<{sdp: string, slots: import("../state/media.js").Slot[]}>,
 *   ready: (turn: number) => Promise<unknown>}} Line what is said to the server */

const EVERY = 100;
const AGAIN_AFTER = 1500;

/** Events: `far` (what comes from others changed), `state`, `straight` (whether two do without the server), `chat` (detail: {from, text}), `speaking` (detail: participant or null). */
export class Ways extends EventTarget {
  /** @type {Way[]} in the order they were made; the last is the wanted one */ #ways = [];
  #spare = new Spare((on) => {
    if (!on) this.#leg?.hush(false);
    this.#tell("far", null);
    this.#tell("straight", on);
  });
  /** @type {View | null} */ #view = null;
  /** @type {Signal[]} what came before we knew its sender; full means the oldest goes */ #early = [];
  /** @type {Map<string, {way: Way, at: number}>} since when something of somebody flows on the newest way */ #since = new Map();
  /** @type {Map<string, Way | null>} */ #heard = new Map();
  #told = -1;
  #held = false;
  #closed = false;
  #notBefore = 0;
  #speaking = { who: /** @type {string | null} */ (null), at: 0 };
  /** @type {MediaStreamTrack | null} */ #screen = null;
  /** @type {RTCIceServer[]} */ iceServers = [];

  /** @param {Line} line @param {import("./devices.js").Devices} devices */
  constructor(line, devices) {
    super();
    this.line = line;
    this.devices = devices;
    this.timer = setInterval(() => this.#look(), EVERY);
  }

  /** @returns {Way | null} */
  get #newest() { return this.#ways.at(-1) ?? null; }

  get #leg() { return /** @type {Leg | null} */ (this.#ways.findLast((way) => way instanceof Leg) ?? null); }

  /** The ways that something may flow by. */
  get #all() { return this.straight && this.#spare.peer ? [...this.#ways, this.#spare.peer] : this.#ways; }

  /** Whether two do without the server. */
  get straight() { return this.#spare.straight; }

  /** Whether the server is heard. @param {boolean} on */
  linked(on) { this.#spare.linked(on); }

  /** The connection whose quality counts. */
  get connection() { return this.#newest?.connection ?? null; }

  /** Build what the view wants; close what is no longer needed. @param {View} view */
  follow(view) {
    this.#view = view;
    const newest = this.#newest;
    const key = wanted(view, newest?.key ?? null);
    if (key === null) this.#drop(this.#ways.slice());
    else if (key !== newest?.key) this.#build(key);
    else if (newest instanceof Leg) newest.seat(company(view).length, company(view).filter((person) => person.screen).length);
    if (mediaOf(view).settled && mediaOf(view).topology !== "alone") this.#retire(this.#ways.filter((way) => way.kind !== this.#newest?.kind));
    this.#park(view);
  }

  /** The old way is done with; the line to the other page may be kept with nothing on it. @param {Way[]} ways */
  #retire(ways) {
    const key = this.#view && parked(this.#view, this.#spare.key);
    const kept = this.#spare.peer ? null : ways.find((way) => way instanceof Peer && way.key === key);
    if (kept instanceof Peer) {
      this.#ways = this.#ways.filter((way) => way !== kept);
      this.#spare.keep(kept);
      this.#tell("far", null);
    }
    this.#drop(ways.filter((way) => way !== this.#spare.peer));
  }

  /** @param {View} view */
  #park(view) {
    const key = parked(view, this.#spare.key);
    if (this.#spare.key !== key) this.#spare.close();
    const [person] = company(view);
    if (key === null || this.#spare.peer || !person) return;
    this.#spare.keep(this.#peer(view, person, key, true));
    for (const message of this.#early.splice(0)) this.signalled(message);
  }

  /** @param {View} view @param {Person} person @param {string} key @param {boolean} parked */
  #peer(view, person, key, parked) {
    const peer = new Peer({
      key, parked, polite: yields(view, person), iceServers: this.iceServers,
      tracks: { audio: this.devices.audio, video: this.devices.video },
      send: (message) => this.line.signal({ to: person.participant, description: null, candidate: null, ...message }),
    });
    peer.addEventListener("chat", (event) => this.#tell("chat", { from: person.participant, text: /** @type {CustomEvent} */ (event).detail }));
    for (const name of ["flow", "state"]) peer.addEventListener(name, () => this.#tell(name === "flow" ? "far" : "state", null));
    return peer;
  }

  /** @param {string} key */
  #build(key) {
    if (key === "relay") {
      const leg = this.#leg;
      if (leg) this.#ways = [...this.#ways.filter((way) => way !== leg), leg]; // turned back before the turn was done
      else if (performance.now() >= this.#notBefore) this.open();
      return undefined;
    }
    const view = this.#view;
    const person = view && company(view)[0];
    if (!view || !person) return undefined;
    const standing = this.#ways.find((way) => way.key === key) ?? (this.straight && this.#spare.key === key ? this.#unparked() : null);
    if (standing) { // turned back before the turn was done, or kept for it
      this.#ways = [...this.#ways.filter((way) => way !== standing), standing];
      return undefined;
    }
    this.#drop(this.#ways.filter((way) => way.kind === "direct")); // with a page that is gone
    this.#spare.close(); // a fresh way is quicker to its first picture than one that was silent
    const peer = this.#peer(view, person, key, false);
    this.#ways.push(peer);
    this.#tell("far", null);
    if (this.#screen) void peer.share(this.#screen);
    for (const message of this.#early.splice(0)) this.signalled(message);
    return undefined;
  }

  #unparked() {
    const peer = this.#spare.release();
    if (this.#screen) void peer?.share(this.#screen);
    return peer;
  }

  /** Make a leg beside what there is: the server says that it is wanted. */
  open() {
    const view = this.#view;
    if (this.#held || !view || mediaOf(view).topology !== "relay") return;
    this.#drop(this.#ways.filter((way) => way.kind === "relay").slice(0, -1)); // never more than two legs at once
    const leg = new Leg({ exchange: this.line.offer, iceServers: this.iceServers });
    for (const name of ["flow", "state"]) leg.addEventListener(name, () => this.#tell(name === "flow" ? "far" : "state", null));
    leg.addEventListener("lost", (event) => this.#lost(leg, /** @type {CustomEvent<string>} */ (event).detail === "replaced" ? 0 : AGAIN_AFTER));
    this.#ways.push(leg);
    this.#tell("far", null);
    void leg.open({ audio: this.devices.audio, video: this.devices.video, screen: this.#screen }, company(view).length);
  }

  /** @param {Leg} leg @param {number} wait milliseconds */
  #lost(leg, wait) {
    this.#drop([leg]);
    this.#notBefore = performance.now() + wait;
    setTimeout(() => { if (this.#view && !this.#closed) this.follow(this.#view); }, wait);
  }

  /** @param {Way[]} ways */
  #drop(ways) {
    if (!ways.length) return;
    for (const way of ways) way.close();
    this.#ways = this.#ways.filter((way) => !ways.includes(way));
    this.#tell("far", null);
  }

  /** No leg, whatever the server wants: a yes was taken back and the server has not said that it knows. @param {boolean} on */
  hold(on) {
    if (this.#held === on) return;
    this.#held = on;
    if (on) this.#drop(this.#ways.filter((way) => way.kind === "relay"));
    else if (this.#view) this.follow(this.#view);
  }

  /** @param {Signal} message */
  signalled(message) {
    const view = this.#view;
    const between = this.#ways.some((way) => way instanceof Peer);
    if (view && !expects(view, message.from, between)) return; // nothing is to be agreed on: no answer, no address
    let peer = this.#to(message);
    if (peer?.strange(message.description)) { // the other page has built anew: so do we
      this.#drop(this.#ways.filter((way) => way === peer));
      if (this.#spare.peer === peer) this.#spare.close();
      if (view) this.follow(view);
      peer = this.#to(message);
    }
    if (peer) void peer.take(message);
    else this.#early = [...this.#early.slice(-63), message];
  }

  /** @param {Signal} message @returns {Peer | undefined} */
  #to(message) {
    const key = `${message.from} ${message.page}`;
    const way = this.#ways.find((one) => one.key === key) ?? (this.#spare.key === key ? this.#spare.peer : undefined);
    return way instanceof Peer ? way : undefined;
  }

  /** @param {import("../state/media.js").Slot[]} slots */
  slots(slots) {
    this.#leg?.heard(slots);
  }

  /** What comes from somebody, by each way in the order they were made. @param {string} participant @returns {Flow[]} */
  flows(participant) {
    const heard = this.#heard.get(participant) ?? null;
    return this.#all.map((way) => {
      const { audio, camera, screen } = way.from(participant);
      return { way, audio: audio?.track ?? null, camera: camera?.track ?? null, screen: screen?.track ?? null, loud: heard === null || heard === way };
    });
  }

  /** Whether some way to them stands. @param {Person} person */
  reaches(person) { return this.#all.some((way) => way.reaches(person)); }

  /** A look at what flows: who is heard by which way, who speaks, whether everybody has arrived. */
  #look() {
    const view = this.#view;
    const newest = this.#newest;
    if (view && company(view)[0]) this.#spare.mind(company(view)[0], this.#leg);
    if (!view || !newest) return;
    const now = performance.now();
    const levels = new Map();
    let all = true;
    for (const person of company(view)) {
      const seen = this.#all.map((way) => ({ way, ...flowing(way, person.participant) }));
      this.#hear(person.participant, seen);
      levels.set(person.participant, person.audio ? Math.max(0, ...seen.map((one) => one.level)) : 0);
      const last = /** @type {typeof seen[0]} */ (seen.find((one) => one.way === newest));
      all &&= !person.online || (newest.reaches(person) && arrived(person, last, this.#waited(person.participant, last, now)));
    }
    this.#speaks(levels, now);
    if (all) this.#arrived(view, newest);
  }

  /** @param {string} participant @param {{way: Way, sound: boolean}[]} seen */
  #hear(participant, seen) {
    const heard = heardBy(seen);
    if ((this.#heard.get(participant) ?? null) === heard) return;
    this.#heard.set(participant, heard);
    this.#tell("far", null);
  }

  /** @param {string} participant @param {{way: Way, sound: boolean, picture: boolean}} last @param {number} now */
  #waited(participant, last, now) {
    const held = this.#since.get(participant);
    if (held?.way === last.way) return now - held.at;
    if (last.sound || last.picture) this.#since.set(participant, { way: last.way, at: now });
    return 0;
  }

  /** @param {View} view @param {Way} newest */
  #arrived(view, newest) {
    this.#drop(this.#ways.filter((way) => way !== newest && way.kind === newest.kind)); // an older leg
    const { turn, settled, topology } = mediaOf(view);
    if (settled || turn === this.#told || newest.kind !== topology) return;
    this.#told = turn;
    this.line.ready(turn).catch(() => setTimeout(() => { if (this.#told === turn) this.#told = -1; }, AGAIN_AFTER)); // then said again
  }

  /** @param {Map<string, number>} levels @param {number} now */
  #speaks(levels, now) {
    const before = this.#speaking.who;
    this.#speaking = speaker(this.#speaking, levels, now);
    if (this.#speaking.who !== before) this.#tell("speaking", this.#speaking.who);
  }

  /** Swap microphone or camera. @param {"audio" | "video"} kind @param {MediaStreamTrack | null} track */
  async use(kind, track) {
    await Promise.all([...this.#ways, ...(this.#spare.peer ? [this.#spare.peer] : [])].map((way) => way.use(kind, track)));
  }

  /** @param {MediaStreamTrack | null} track the screen, or null to stop */
  async share(track) {
    this.#screen = track;
    await Promise.all(this.#ways.map((way) => way.share(track)));
  }

  /** Say something straight to the other browser. @param {string} text @returns {boolean} whether it went out */
  say(text) {
    const peer = this.straight ? this.#spare.peer : this.#newest;
    return peer instanceof Peer && peer.say(text);
  }

  /** @param {string} name @param {unknown} detail */
  #tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }

  /** The server may have forgotten what it was told. */
  retell() { this.#told = -1; }

  close() {
    this.#closed = true;
    clearInterval(this.timer);
    this.#spare.close();
    this.#drop(this.#ways.slice());
  }
}
