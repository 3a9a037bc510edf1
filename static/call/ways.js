// The ways media takes between this page and the others: browser to browser, or one leg to the server. When the visit
// turns from one to the other the new way is built beside the old, which goes when everybody has arrived.
import { arrived, company, heardBy, mediaOf, speaker, wanted, yields } from "../state/media.js";
import { Leg } from "./leg.js";
import { Peer } from "./peer.js";

/** @typedef {import("../state/visit.js").View} View */
/** @typedef {import("../state/visit.js").Person} Person */
/** @typedef {Peer | Leg} Way */
/** @typedef {{way: Way, audio: MediaStreamTrack | null, camera: MediaStreamTrack | null, screen: MediaStreamTrack | null, loud: boolean}} Flow */
/** @typedef {{from: string, page: string, description: RTCSessionDescriptionInit | null, candidate: RTCIceCandidateInit | null}} Signal */
/** @typedef {{signal: (message: object) => void, offer: (sdp: string) => Promise<{sdp: string, slots: import("../state/media.js").Slot[]}>,
 *   ready: (turn: number) => Promise<unknown>}} Line what is said to the server */

const EVERY = 100;
const AGAIN_AFTER = 1500;

/** Events: `far` (what comes from others changed), `state`, `chat` (detail: {from, text}), `speaking` (detail: participant or null). */
export class Ways extends EventTarget {
  /** @type {Way[]} in the order they were made; the last is the wanted one */ #ways = [];
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
    if (mediaOf(view).settled && mediaOf(view).topology !== "alone") this.#drop(this.#ways.filter((way) => way.kind !== this.#newest?.kind));
  }

  /** @param {string} key */
  #build(key) {
    if (key === "relay") {
      const leg = this.#ways.findLast((way) => way.kind === "relay");
      if (leg) this.#ways = [...this.#ways.filter((way) => way !== leg), leg]; // turned back before the turn was done
      else if (performance.now() >= this.#notBefore) this.open();
      return undefined;
    }
    const view = this.#view;
    const person = view && company(view)[0];
    if (!view || !person) return undefined;
    const standing = this.#ways.find((way) => way.key === key);
    if (standing) { // turned back before the turn was done
      this.#ways = [...this.#ways.filter((way) => way !== standing), standing];
      return undefined;
    }
    this.#drop(this.#ways.filter((way) => way.kind === "direct")); // with a page that is gone
    const peer = new Peer({
      key, polite: yields(view, person), iceServers: this.iceServers,
      tracks: { audio: this.devices.audio, video: this.devices.video },
      send: (message) => this.line.signal({ to: person.participant, description: null, candidate: null, ...message }),
    });
    peer.addEventListener("chat", (event) => this.#tell("chat", { from: person.participant, text: /** @type {CustomEvent} */ (event).detail }));
    this.#add(peer);
    if (this.#screen) void peer.share(this.#screen);
    for (const message of this.#early.splice(0)) this.signalled(message);
    return undefined;
  }

  /** Make a leg beside what there is: the server says that it is wanted. */
  open() {
    const view = this.#view;
    if (this.#held || !view || mediaOf(view).topology !== "relay") return;
    this.#drop(this.#ways.filter((way) => way.kind === "relay").slice(0, -1)); // never more than two legs at once
    const leg = new Leg({ exchange: this.line.offer, iceServers: this.iceServers });
    leg.addEventListener("lost", (event) => this.#lost(leg, /** @type {CustomEvent<string>} */ (event).detail === "replaced" ? 0 : AGAIN_AFTER));
    this.#add(leg);
    void leg.open({ audio: this.devices.audio, video: this.devices.video, screen: this.#screen }, company(view).length);
  }

  /** @param {Way} way */
  #add(way) {
    for (const name of ["flow", "state"]) way.addEventListener(name, () => this.#tell(name === "flow" ? "far" : "state", null));
    this.#ways.push(way);
    this.#tell("far", null);
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
    if (this.#view && mediaOf(this.#view).never_direct) return;
    let peer = this.#ways.find((way) => way.key === `${message.from} ${message.page}`);
    if (peer instanceof Peer && peer.strange(message.description)) { // the other page has built anew: so do we
      this.#drop([peer]);
      this.#build(peer.key);
      peer = this.#ways.find((way) => way.key === `${message.from} ${message.page}`);
    }
    if (peer instanceof Peer) void peer.take(message);
    else this.#early = [...this.#early.slice(-63), message];
  }

  /** @param {import("../state/media.js").Slot[]} slots */
  slots(slots) {
    const leg = this.#ways.findLast((way) => way instanceof Leg);
    if (leg instanceof Leg) leg.heard(slots);
  }

  /** What comes from somebody, by each way in the order they were made. @param {string} participant @returns {Flow[]} */
  flows(participant) {
    const heard = this.#heard.get(participant) ?? null;
    return this.#ways.map((way) => {
      const { audio, camera, screen } = way.from(participant);
      return { way, audio: audio?.track ?? null, camera: camera?.track ?? null, screen: screen?.track ?? null, loud: heard === null || heard === way };
    });
  }

  /** Whether some way to them stands. @param {Person} person */
  reaches(person) { return this.#ways.some((way) => way.reaches(person)); }

  /** A look at what flows: who is heard by which way, who speaks, whether everybody has arrived. */
  #look() {
    const view = this.#view;
    const newest = this.#newest;
    if (!view || !newest) return;
    const now = performance.now();
    const levels = new Map();
    let all = true;
    for (const person of company(view)) {
      const seen = this.#ways.map((way) => ({ way, ...looked(way, person.participant) }));
      this.#hear(person.participant, seen);
      levels.set(person.participant, person.audio ? Math.max(0, ...seen.map((one) => one.level)) : 0);
      const last = seen[seen.length - 1];
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
  async use(kind, track) { await Promise.all(this.#ways.map((way) => way.use(kind, track))); }

  /** @param {MediaStreamTrack | null} track the screen, or null to stop */
  async share(track) {
    this.#screen = track;
    await Promise.all(this.#ways.map((way) => way.share(track)));
  }

  /** Say something straight to the other browser. @param {string} text @returns {boolean} whether it went out */
  say(text) {
    const peer = this.#newest;
    return peer instanceof Peer && peer.say(text);
  }

  /** @param {string} name @param {unknown} detail */
  #tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }

  /** The server may have forgotten what it was told. */
  retell() { this.#told = -1; }

  close() {
    this.#closed = true;
    clearInterval(this.timer);
    this.#drop(this.#ways.slice());
  }
}

/** @param {Way} way @param {string} participant */
function looked(way, participant) {
  const { audio, camera } = way.from(participant);
  const sound = sources(audio);
  return { sound: sound.length > 0, picture: sources(camera).length > 0, level: Math.max(0, ...sound.map((one) => one.audioLevel ?? 0)) };
}

/** What was played within the last second. @param {RTCRtpReceiver | null} receiver */
function sources(receiver) {
  const now = performance.timeOrigin + performance.now();
  return (receiver?.getSynchronizationSources() ?? []).filter((one) => now - one.timestamp < 1000);
}
