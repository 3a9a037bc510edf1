// One person's part in a visit: socket, view, direct connection, leg. Pages only listen and press.
import { Problem } from "../net/api.js";
import { connect, send } from "../net/socket.js";
import { newer, partner } from "../state/visit.js";
import { quality } from "../state/signal.js";
import { language } from "../ui/i18n.js";
import { publicKey, receipt, sha256, sign } from "./keys.js";
import { Leg } from "./leg.js";
import { Peer } from "./peer.js";

/** @typedef {import("../state/visit.js").View} View */
/** @typedef {{request: string, by: {name: string, role: string}, purpose: string, text: string, version: string,
 *   sha256: string, language: string, retention_days: number}} Asked */

/** @typedef {{from: string, page: string, description: RTCSessionDescriptionInit | null, candidate: RTCIceCandidateInit | null}} Signal */

/** Names this page load: somebody who reloads is the same participant on another page. */
const PAGE = crypto.randomUUID();

/** Events: `view`, `far`, `peer`, `chat`, `asked`, `ended`, `replaced`, `link`, `trouble`, `screenstop`. */
export class Session extends EventTarget {
  /** @type {View | null} */ view = null;
  /** @type {Peer | null} */ peer = null;
  /** @type {Leg | null} */ leg = null;
  /** @type {RTCIceServer[]} */ #iceServers = [];
  /** @type {string | null} participant and page of whom we talk with */ #with = null;
  /** @type {Signal[]} what came before we knew its sender; full means the oldest goes */ #early = [];
  /** @type {ReturnType<typeof setInterval> | undefined} */ #measuring;
  screen = false;

  /** @param {Record<string, unknown>} purpose @param {import("./devices.js").Devices} devices */
  constructor(purpose, devices) {
    super();
    this.devices = devices;
    this.socket = connect(purpose);
    this.socket.on("connect", () => void this.#enter());
    this.socket.on("disconnect", () => this.#tell("link", "lost"));
    this.socket.on("connect_error", (error) => this.#refused(error));
    this.socket.on("view", (view) => this.#saw(view));
    this.socket.on("signal", (message) => void this.#signalled(message));
    this.socket.on("consent.asked", (asked) => void this.#asked(asked));
    this.socket.on("recording.open", () => void this.openLeg());
    this.socket.on("recording.close", () => this.closeLeg());
    this.socket.on("screen.stop", () => this.#tell("screenstop", null));
    this.socket.on("ended", ({ reason }) => this.#over("ended", reason));
    this.socket.on("replaced", () => this.#over("replaced", null));
    devices.addEventListener("change", () => void this.#devicesChanged());
  }

  /** @param {Error & {data?: {error?: string}}} error */
  #refused(error) {
    const code = error.data?.error;
    if (code) this.#over("ended", code);
    else this.#tell("link", "lost");
  }

  async #enter() {
    try {
      const answer = await send(this.socket, "enter", {
        page: PAGE, public_key: await publicKey(), language, audio: Boolean(this.devices.audio?.enabled), video: Boolean(this.devices.video),
      });
      this.#iceServers = answer.ice_servers;
      this.view = null; // a restarted server counts its revisions anew
      this.#saw(answer.view);
      this.#tell("link", "up");
    } catch (error) {
      const code = error instanceof Problem ? error.code : "failed";
      if (code !== "offline") this.#over("ended", code);
    }
  }

  /** @param {View} view */
  #saw(view) {
    const fresh = newer(this.view, view);
    if (fresh === this.view) return;
    this.view = fresh;
    this.#meet(partner(fresh), fresh.self.state === "admitted");
    this.#tell("view", fresh);
  }

  /** Keep exactly one connection, to the one admitted beside me. @param {import("../state/visit.js").Person | null} person @param {boolean} admitted */
  #meet(person, admitted) {
    if (admitted && person && !person.online) return; // away for now: what runs between us needs no server and goes on
    const here = admitted && person && person.page ? `${person.participant} ${person.page}` : null;
    if (here === this.#with) return;
    this.#part();
    if (!here || !person || !this.view) return;
    const wanted = person.participant;
    this.#with = here;
    this.peer = new Peer({
      polite: this.view.polite, iceServers: this.#iceServers,
      tracks: { audio: this.devices.audio, video: this.devices.video },
      send: (message) => void send(this.socket, "signal", { to: wanted, description: null, candidate: null, ...message }).catch(() => null),
    });
    for (const name of ["far", "chat", "state"]) {
      this.peer.addEventListener(name, (event) => this.#tell(name === "state" ? "peer" : name, /** @type {CustomEvent} */ (event).detail));
    }
    this.#measuring = setInterval(() => void this.#measure(), 3000);
    this.#tell("far", null);
    for (const message of this.#early.splice(0)) void this.#signalled(message);
  }

  #part() {
    clearInterval(this.#measuring);
    this.peer?.close();
    this.peer = null;
    this.#with = null;
    this.#tell("far", null);
  }

  /** @param {Signal} message */
  async #signalled(message) {
    if (this.#with === `${message.from} ${message.page}`) await this.peer?.take(message);
    else this.#early = [...this.#early.slice(-63), message];
  }

  async #devicesChanged() {
    const { audio, video } = this.devices;
    await Promise.all([this.peer?.use("audio", audio), this.peer?.use("video", video), this.leg?.use("audio", audio), this.leg?.use("video", video)]);
    await this.tellMedia();
  }

  async tellMedia() {
    if (this.view?.self.state !== "admitted") return;
    await this.act("media", { audio: Boolean(this.devices.audio?.enabled), video: Boolean(this.devices.video), screen: this.screen });
  }

  async #measure() {
    if (!this.peer || this.peer.connection.connectionState !== "connected") return;
    let rtt = 0;
    let loss = 0;
    for (const report of (await this.peer.connection.getStats()).values()) {
      if (report.type === "candidate-pair" && report.nominated && report.currentRoundTripTime) rtt = report.currentRoundTripTime * 1000;
      if (report.type === "remote-inbound-rtp") loss = Math.max(loss, report.fractionLost ?? 0);
    }
    const level = quality(rtt, loss);
    this.#tell("quality", level);
    await this.act("quality", { level, rtt_ms: Math.round(rtt), loss: Math.min(1, Math.max(0, loss)) });
  }

  /** @param {Asked} asked */
  async #asked(asked) {
    const honest = (await sha256(asked.text)) === asked.sha256;
    this.#tell(honest ? "asked" : "trouble", honest ? asked : "consent_text_changed");
  }

  /** @param {Asked} asked @param {"yes" | "no"} answer */
  async answer(asked, answer) {
    if (!this.view) return;
    const text = receipt({
      visit: this.view.visit.id, participant: this.view.self.participant, request: asked.request, answer, sha256: asked.sha256,
      version: asked.version, language: asked.language, purpose: asked.purpose, at: new Date().toISOString(),
    });
    await this.act("consent.answer", { request: asked.request, answer, receipt: text, signature: await sign(text) });
  }

  async openLeg() {
    this.closeLeg();
    const leg = new Leg(async (sdp) => (await send(this.socket, "recording.leg", { sdp })).sdp);
    this.leg = leg;
    await leg.open({ audio: this.devices.audio, video: this.devices.video }).catch(() => { if (this.leg === leg) this.closeLeg(); });
  }

  closeLeg() {
    this.leg?.close();
    this.leg = null;
  }

  /** Stop what the recorder gets here and now, then tell the server. */
  async withdraw() {
    this.closeLeg();
    await this.act("consent.withdraw", {});
  }

  /** Send an event; a refusal is told, not thrown. @param {string} event @param {object} [payload] @returns {Promise<any>} */
  async act(event, payload = {}) {
    try {
      return await send(this.socket, event, payload);
    } catch (error) {
      this.#tell("trouble", error instanceof Problem ? error.code : "failed");
      return null;
    }
  }

  async leave() {
    await this.act("leave", {});
    this.#over("ended", "left");
  }

  /** @param {"ended" | "replaced"} how @param {string | null} reason */
  #over(how, reason) {
    this.closeLeg();
    this.#part();
    this.socket.disconnect();
    this.#tell(how, reason);
  }

  /** @param {string} name @param {unknown} detail */
  #tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }
}
