// The direct connection between two browsers: perfect negotiation, ICE restart, chat on a data channel.
import { fingerprint } from "../state/sdp.js";
import { onDescription } from "../state/signal.js";

/** @typedef {{description?: RTCSessionDescriptionInit | null, candidate?: RTCIceCandidateInit | null}} Message */

/** Events: `flow` (what comes changed), `state`, `chat` (detail: text). */
export class Peer extends EventTarget {
  kind = "direct";
  #making = false;
  #settling = false;
  #ignoring = false;
  /** @type {Promise<void>} one message after the other */
  #queue = Promise.resolve();
  /** @type {RTCRtpSender | null} */ #audio = null;
  /** @type {RTCRtpSender | null} */ #video = null;
  /** @type {RTCRtpTransceiver | null} */ #screen = null;
  /** @type {RTCDataChannel | null} */ #chat = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #restart;
  /** Whether nothing is sent on it. */ parked = false;

  /**
   * @param {{key: string, polite: boolean, iceServers: RTCIceServer[], send: (message: Message) => void,
   *   tracks: {audio: MediaStreamTrack | null, video: MediaStreamTrack | null}, parked?: boolean}} options
   */
  constructor({ key, polite, iceServers, send, tracks, parked = false }) {
    super();
    this.parked = parked;
    this.key = key; // with whom, on which of their pages
    this.polite = polite;
    this.tracks = { ...tracks };
    this.send = send;
    this.connection = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.#listen();
    // Only the impolite side opens; the polite one answers on what comes. Were both to open, the polite side's rollback
    // would leave a second pair of lines, and in Chromium a dead data channel.
    if (!polite) this.#openLines();
  }

  #openChat() {
    this.#chat = this.connection.createDataChannel("chat", { negotiated: true, id: 0 });
    this.#chat.addEventListener("message", ({ data }) => this.#tell("chat", String(data).slice(0, 4000)));
  }

  #openLines() {
    this.#openChat();
    const audio = this.connection.addTransceiver("audio", { direction: "sendrecv" });
    const video = this.connection.addTransceiver("video", { direction: "sendrecv" });
    this.#adopt(audio, video);
  }

  /** @param {RTCRtpTransceiver} audio @param {RTCRtpTransceiver} video */
  #adopt(audio, video) {
    this.#audio = audio.sender;
    this.#video = video.sender;
    this.#load();
  }

  #load() {
    void this.#audio?.replaceTrack(this.parked ? null : this.tracks.audio);
    void this.#video?.replaceTrack(this.parked ? null : this.tracks.video);
  }

  /** Send nothing and keep the line, or send again: no negotiation, so no server is needed. @param {boolean} on */
  park(on) {
    if (this.parked === on) return;
    this.parked = on;
    this.#load();
    if (on) void this.#screen?.sender.replaceTrack(null);
  }

  #listen() {
    const pc = this.connection;
    pc.addEventListener("negotiationneeded", () => void this.#offer());
    pc.addEventListener("icecandidate", ({ candidate }) => this.send({ candidate: candidate?.toJSON() ?? null }));
    for (const name of ["track", "signalingstatechange"]) pc.addEventListener(name, () => this.#tell("flow", null));
    pc.addEventListener("connectionstatechange", () => this.#stateChanged());
    const moved = () => pc.restartIce();
    addEventListener("online", moved);
    const network = /** @type {any} */ (navigator).connection;
    network?.addEventListener?.("change", moved);
    this.#forget = () => {
      removeEventListener("online", moved);
      network?.removeEventListener?.("change", moved);
    };
  }

  /** @type {() => void} */ #forget = () => {};

  #stateChanged() {
    const state = this.connection.connectionState;
    clearTimeout(this.#restart);
    if (state === "failed") this.connection.restartIce();
    if (state === "disconnected") this.#restart = setTimeout(() => this.connection.restartIce(), 2500);
    this.#tell("state", state);
  }

  /** What comes from the other side: the only one there is.
   * @param {string} participant @returns {import("./leg.js").Receivers} */
  from(participant) {
    if (!this.key.startsWith(participant)) return { audio: null, camera: null, screen: null };
    const { audio, video } = this.#mids();
    const screens = this.connection.getTransceivers().filter((one) =>
      one.receiver.track.kind === "video" && one !== video && one.currentDirection?.includes("recv"));
    return { audio: audio?.receiver ?? null, camera: video?.receiver ?? null, screen: screens.at(-1)?.receiver ?? null };
  }

  /** Whether a description comes from another connection than the one we talk with. @param {RTCSessionDescriptionInit | null} description */
  strange(description) {
    const held = fingerprint(this.connection.remoteDescription?.sdp);
    const came = fingerprint(description?.sdp);
    return held !== undefined && came !== undefined && held !== came;
  }

  /** Whether media of somebody may flow. @param {import("../state/visit.js").Person} person */
  reaches(person) { return this.key.startsWith(person.participant) && this.connection.connectionState === "connected"; }

  /** The first line of each kind is microphone and camera; later video lines are screens. */
  #mids() {
    const [audio, video] = ["audio", "video"].map((kind) =>
      this.connection.getTransceivers().find((one) => one.receiver.track.kind === kind) ?? null);
    return { audio, video };
  }

  async #offer() {
    try {
      this.#making = true;
      await this.connection.setLocalDescription();
      this.send({ description: this.connection.localDescription });
    } finally {
      this.#making = false;
    }
  }

  /** Take what the other side sent. @param {Message} message */
  take(message) {
    this.#queue = this.#queue.then(() => this.#handle(message)).catch((error) => {
      if (!this.#ignoring) this.#tell("trouble", String(error?.name ?? error));
    });
    return this.#queue;
  }

  /** @param {Message} message */
  async #handle({ description, candidate }) {
    if (description) return this.#describe(description);
    if (candidate) await this.connection.addIceCandidate(candidate).catch((error) => { if (!this.#ignoring) throw error; });
    return undefined;
  }

  /** @param {RTCSessionDescriptionInit} description */
  async #describe(description) {
    const pc = this.connection;
    const verdict = onDescription(
      { polite: this.polite, making: this.#making, signaling: pc.signalingState, settling: this.#settling }, description.type);
    this.#ignoring = verdict === "ignore";
    if (this.#ignoring) return;
    this.#settling = description.type === "answer";
    await pc.setRemoteDescription(description);
    this.#settling = false;
    if (description.type !== "offer") return;
    this.#answerOnLines();
    await pc.setLocalDescription();
    this.send({ description: pc.localDescription });
  }

  #answerOnLines() {
    const { audio, video } = this.#mids();
    if (this.#audio || !audio || !video) return;
    this.#openChat();
    audio.direction = "sendrecv";
    video.direction = "sendrecv";
    this.#adopt(audio, video);
  }

  /** Swap microphone or camera without negotiation. @param {"audio" | "video"} kind @param {MediaStreamTrack | null} track */
  async use(kind, track) {
    this.tracks[kind] = track;
    if (this.parked) return;
    await (kind === "audio" ? this.#audio : this.#video)?.replaceTrack(track);
  }

  /** @param {MediaStreamTrack | null} track the screen, or null to stop */
  async share(track) {
    if (track && !this.#screen) this.#screen = this.connection.addTransceiver(track, { direction: "sendonly" });
    else if (this.#screen) {
      this.#screen.direction = track ? "sendonly" : "inactive";
      await this.#screen.sender.replaceTrack(track);
    }
  }

  /** @param {string} text @returns {boolean} whether it went out */
  say(text) {
    if (this.#chat?.readyState !== "open") return false;
    this.#chat.send(text);
    return true;
  }

  /** @param {string} name @param {unknown} detail */
  #tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }

  close() {
    clearTimeout(this.#restart);
    this.#forget();
    this.connection.close();
  }
}
