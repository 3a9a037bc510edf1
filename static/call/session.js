// One person's part in a visit: socket, view, direct connection, leg. Pages only listen and press.
import { codeOf } from "../net/api.js";
import { connect, hangUp, passes, send } from "../net/socket.js";
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
const AGAIN_AFTER = 2000;

/** Events: `view`, `far`, `peer`, `chat`, `asked`, `ended`, `replaced`, `link`, `trouble`, `screenstop`. */
export class Session extends EventTarget {
  /** @type {View | null} */ view = null;
  /** @type {Peer | null} */ peer = null;
  /** @type {Leg | null} */ leg = null;
  /** @type {RTCIceServer[]} */ #iceServers = [];
  /** @type {string | null} participant and page of whom we talk with */ #with = null;
  /** @type {Signal[]} what came before we knew its sender; full means the oldest goes */ #early = [];
  /** @type {ReturnType<typeof setInterval> | undefined} */ #measuring;
  /** @type {string | null} the request whose yes was taken back here, whatever the server knows of it */ #withdrawn = null;
  /** @type {string | undefined} the connection on which the server was told so */ #toldOn;
  /** Whether this page has been in the visit, or its person chose to go on without the log. */ #begun = false;
  #choosing = false;
  screen = false;

  /** @param {Record<string, unknown>} purpose @param {import("./devices.js").Devices} devices
   * @param {(() => Promise<unknown>) | null} [emergency] asks staff whether to go on while the audit log is not available */
  constructor(purpose, devices, emergency = null) {
    super();
    this.devices = devices;
    this.staff = !("join" in purpose);
    this.emergency = emergency;
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
    if (passes(code)) this.#tell("link", "lost");
    else this.#over("ended", code ?? null);
  }

  async #enter() {
    try {
      const answer = await send(this.socket, "enter", {
        page: PAGE, public_key: await publicKey(), language, audio: Boolean(this.devices.audio?.enabled), video: Boolean(this.devices.video),
        ...(this.staff && { break_glass: this.#begun }),
      });
      this.#begun = true;
      this.#iceServers = answer.ice_servers;
      this.view = null; // a restarted server counts its revisions anew
      this.#saw(answer.view);
      this.#tell("link", "up");
      await this.#sendWithdrawal();
    } catch (error) {
      await this.#notEntered(codeOf(error));
    }
  }

  /** What runs between two people goes on whatever the log or the server's health. @param {string} code */
  async #notEntered(code) {
    if (code === "offline") return;
    if (this.#begun && (code === "log_unavailable" || code === "failed" || passes(code))) {
      this.#tell("trouble", code);
      setTimeout(() => { if (this.socket.connected) void this.#enter(); }, AGAIN_AFTER);
    } else if (code !== "log_unavailable" || !this.emergency) this.#over("ended", code);
    else if (!this.#choosing) await this.#choose(this.emergency);
  }

  /** @param {() => Promise<unknown>} emergency */
  async #choose(emergency) {
    this.#choosing = true;
    const anyway = Boolean(await emergency());
    this.#choosing = false;
    if (this.#begun) return; // the log came back meanwhile
    this.#begun = anyway;
    if (!anyway) this.#over("ended", "log_unavailable");
    else if (this.socket.connected) await this.#enter();
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

  /** Whether a yes was taken back that the server still counts on. */
  get #takenBack() { return this.#withdrawn !== null && this.view?.recording.request === this.#withdrawn; }

  async openLeg() {
    this.closeLeg();
    if (this.#takenBack) return void this.#sendWithdrawal();
    const leg = new Leg(async (sdp) => (await send(this.socket, "recording.leg", { sdp })).sdp);
    this.leg = leg;
    await leg.open({ audio: this.devices.audio, video: this.devices.video }).catch(() => { if (this.leg === leg) this.closeLeg(); });
  }

  closeLeg() {
    this.leg?.close();
    this.leg = null;
  }

  /** Stop what the recorder gets here and now, then tell the server: at once, or when the line is back. */
  async withdraw() {
    this.#withdrawn = this.view?.recording.request ?? null;
    this.closeLeg();
    await this.#sendWithdrawal();
  }

  /** Nothing waits in the socket: what it holds back is sent before `enter`, and refused. */
  async #sendWithdrawal() {
    const line = this.socket.id;
    if (!this.#takenBack || !this.socket.connected || this.#toldOn === line) return;
    this.#toldOn = line;
    try {
      await send(this.socket, "consent.withdraw");
    } catch (error) {
      if (codeOf(error) === "wrong_state") return; // the recording is over already
      if (this.#toldOn === line) this.#toldOn = undefined;
      setTimeout(() => void this.#sendWithdrawal(), AGAIN_AFTER);
    }
  }

  /** Let somebody in; while the log is down only after staff chose to. @param {string} participant */
  async admit(participant) {
    try {
      return await send(this.socket, "admit", { participant });
    } catch (error) {
      const code = codeOf(error);
      if (code === "log_unavailable" && await this.emergency?.()) return this.act("admit", { participant, break_glass: true });
      this.#tell("trouble", code);
      return null;
    }
  }

  /** Send an event; a refusal is told, not thrown. @param {string} event @param {object} [payload] @returns {Promise<any>} */
  async act(event, payload = {}) {
    try {
      return await send(this.socket, event, payload);
    } catch (error) {
      this.#tell("trouble", codeOf(error));
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
    hangUp(this.socket);
    this.#tell(how, reason);
  }

  /** @param {string} name @param {unknown} detail */
  #tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }
}
