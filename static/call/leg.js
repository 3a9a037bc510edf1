// One leg to the server's media port: this person's sound, camera and screen go out, everybody else's come in.
import { beat, firstBeat, sections, thrift } from "../state/media.js";
import { fingerprint, slim } from "../state/sdp.js";

/** @typedef {import("../state/media.js").Slot} Slot */
/** @typedef {{audio: MediaStreamTrack | null, video: MediaStreamTrack | null, screen: MediaStreamTrack | null}} Tracks */
/** @typedef {{audio: RTCRtpReceiver | null, camera: RTCRtpReceiver | null, screen: RTCRtpReceiver | null}} Receivers */

const EVERY = 500;

/** Events: `flow` (who is on which line changed), `state`, `lost` (detail: code): this leg is over, another may be made. */
export class Leg extends EventTarget {
  kind = "relay";
  key = "relay";
  /** @type {RTCRtpTransceiver | null} */ #audio = null;
  /** @type {RTCRtpTransceiver | null} */ #video = null;
  /** @type {RTCRtpTransceiver | null} */ #screen = null;
  /** @type {Slot[]} */ #slots = [];
  #others = 0;
  #closed = false;
  /** @type {Promise<void>} one offer after the other */ #queue = Promise.resolve();
  #asked = false;
  #pulse = firstBeat(performance.now());
  #heard = performance.now();
  /** @type {{audio: MediaStreamTrack | null, video: MediaStreamTrack | null}} */ #tracks = { audio: null, video: null };
  #hushed = false;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #listening;

  /** @param {{exchange: (sdp: string) => Promise<{sdp: string, slots?: Slot[]}>, iceServers: RTCIceServer[]}} options */
  constructor({ exchange, iceServers }) {
    super();
    this.exchange = exchange;
    this.connection = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.connection.addEventListener("connectionstatechange", () => this.#stateChanged());
    this.moved = () => this.restart();
    addEventListener("online", this.moved);
    this.network?.addEventListener?.("change", this.moved);
  }

  get network() { return /** @type {any} */ (navigator).connection; }

  /** @param {Tracks} tracks @param {number} others how many may be heard and seen here */
  open(tracks, others) {
    this.#tracks = { audio: tracks.audio, video: tracks.video };
    this.#audio = this.connection.addTransceiver(tracks.audio ?? "audio", { direction: "sendonly" });
    this.#video = this.connection.addTransceiver(tracks.video ?? "video", { direction: "sendonly" });
    if (tracks.screen) this.#screen = this.connection.addTransceiver(tracks.screen, { direction: "sendonly" });
    this.#others = others;
    this.#room(others, 0);
    this.#listening = setInterval(() => void this.#listen(), EVERY);
    return this.#negotiate();
  }

  /** Make lines for so many people; asks again only when some lack. @param {number} others @param {number} screens */
  #room(others, screens) {
    const wanted = sections(others, screens);
    let made = false;
    for (const kind of /** @type {const} */ (["audio", "video"])) {
      const held = this.connection.getTransceivers().filter((one) => one.receiver.track.kind === kind && one.direction === "recvonly").length;
      for (let n = held; n < wanted[kind]; n += 1) {
        this.connection.addTransceiver(kind, { direction: "recvonly" });
        made = true;
      }
    }
    return made;
  }

  /** @param {number} others in the call @param {number} screens shared by them */
  seat(others, screens) {
    const changed = others !== this.#others;
    this.#others = others;
    if (changed) void this.#spare();
    const lines = this.connection.getTransceivers().filter((one) => one.direction === "recvonly");
    const enough = lines.filter((one) => one.receiver.track.kind === "audio").length >= others
      && lines.filter((one) => one.receiver.track.kind === "video").length >= others + screens;
    if (!enough && this.#room(others, screens)) void this.#negotiate();
  }

  /** Offer once for everything asked before it is this offer's turn. */
  #negotiate() {
    if (this.#asked) return this.#queue;
    this.#asked = true;
    this.#queue = this.#queue.then(() => this.#offer()).catch((error) => this.#lost(error?.code ?? "failed"));
    return this.#queue;
  }

  async #offer() {
    this.#asked = false;
    if (this.#closed) return;
    await this.connection.setLocalDescription();
    const { sdp, slots } = await this.exchange(slim(this.connection.localDescription?.sdp ?? ""));
    if (this.#closed) return;
    const held = fingerprint(this.connection.remoteDescription?.sdp);
    if (held && held !== fingerprint(sdp)) return this.#lost("replaced"); // the server has another certificate: it began anew
    if (slots) this.heard(slots);
    await this.connection.setRemoteDescription({ type: "answer", sdp });
    if (!this.#closed) await this.#spare();
    this.#tell("flow", null);
  }

  /** A small picture where many share the screen. */
  async #spare() {
    const sender = this.#video?.sender;
    const given = sender?.getParameters();
    if (!sender || !given?.encodings?.length) return;
    Object.assign(given.encodings[0], thrift(this.#others));
    await sender.setParameters(given).catch(() => null); // an older browser sends as the server's estimate allows
  }

  /** Who is on which line, as the server says it. @param {Slot[]} slots */
  heard(slots) {
    this.#slots = slots;
    this.#tell("flow", null);
  }

  /** @param {string} participant @returns {Receivers} */
  from(participant) {
    const on = (/** @type {string} */ source) => {
      const slot = this.#slots.find((one) => one.participant === participant && one.source === source);
      return (slot && this.connection.getTransceivers().find((one) => one.mid === slot.mid)?.receiver) ?? null;
    };
    return { audio: on("audio"), camera: on("camera"), screen: on("screen") };
  }

  /** Whether media of somebody may flow. @param {import("../state/visit.js").Person} person */
  reaches(person) {
    const silent = !person.audio && !person.video;
    return this.connection.connectionState === "connected" && (silent || this.#slots.some((one) => one.participant === person.participant));
  }

  /** @param {"audio" | "video"} kind @param {MediaStreamTrack | null} track */
  async use(kind, track) {
    this.#tracks[kind] = track;
    if (this.#hushed) return;
    await (kind === "audio" ? this.#audio : this.#video)?.sender.replaceTrack(track);
  }

  /** Send nothing to the server for a while, which cannot say whether it records. @param {boolean} on */
  hush(on) {
    if (this.#hushed === on) return;
    this.#hushed = on;
    for (const kind of /** @type {const} */ (["audio", "video"])) {
      void (kind === "audio" ? this.#audio : this.#video)?.sender.replaceTrack(on ? null : this.#tracks[kind]);
    }
  }

  /** Milliseconds since something came. @param {number} now */
  quiet(now) { return now - this.#heard; }

  /** @param {MediaStreamTrack | null} track the screen, or null to stop */
  async share(track) {
    if (track && !this.#screen) this.#screen = this.connection.addTransceiver(track, { direction: "sendonly" });
    else if (this.#screen) {
      this.#screen.direction = track ? "sendonly" : "inactive";
      await this.#screen.sender.replaceTrack(track);
    } else return;
    await this.#negotiate();
  }

  restart() {
    if (this.#closed || this.connection.signalingState === "closed") return;
    this.connection.restartIce();
    void this.#negotiate();
  }

  #stateChanged() {
    if (this.connection.connectionState === "failed") this.restart();
    this.#tell("state", this.connection.connectionState);
  }

  /** Browsers notice a dead path late: missing packets tell it first. */
  async #listen() {
    const reports = [...(await this.connection.getStats()).values()];
    if (this.#closed) return;
    const octets = received(reports, "transport") || received(reports, "candidate-pair");
    const { pulse, verdict } = beat(this.#pulse, octets, performance.now());
    if (octets > this.#pulse.octets) this.#heard = performance.now();
    this.#pulse = pulse;
    if (verdict === "restart") this.restart();
    if (verdict === "lost") this.#lost("silent");
  }

  /** @param {string} code */
  #lost(code) {
    if (this.#closed) return;
    this.close();
    this.#tell("lost", code);
  }

  /** @param {string} name @param {unknown} detail */
  #tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }

  close() {
    this.#closed = true;
    clearInterval(this.#listening);
    removeEventListener("online", this.moved);
    this.network?.removeEventListener?.("change", this.moved);
    this.connection.close();
  }
}

/** Octets received in all; not every browser counts them by transport, and pairs come and go. @param {any[]} reports @param {string} type */
const received = (reports, type) => reports.reduce((sum, report) => sum + (report.type === type ? report.bytesReceived ?? 0 : 0), 0);
