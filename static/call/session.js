// One person's part in a visit: socket, view, consent; the ways media takes follow the view. Pages only listen and press.
import { codeOf } from "../net/api.js";
import { connect, hangUp, passes, send } from "../net/socket.js";
import { mediaOf } from "../state/media.js";
import { changes, newer } from "../state/visit.js";
import { language } from "../ui/i18n.js";
import { publicKey, receipt, sha256, sign } from "./keys.js";
import { Measuring } from "./measuring.js";
import { Ways } from "./ways.js";

/** @typedef {import("../state/visit.js").View} View */
/** @typedef {{request: string, by: {name: string, role: string}, purpose: string, text: string, version: string,
 *   sha256: string, language: string, retention_days: number}} Asked */

/** Names this page load: somebody who reloads is the same participant on another page. */
const PAGE = crypto.randomUUID();
const AGAIN_AFTER = 2000;
const WITHDRAWAL_WITHIN = 1000;

/** Events: `view`, `far`, `people` (who came, who left), `straight`, `speaking`, `quality`, `chat`, `asked`, `ended`, `replaced`, `link`, `trouble`, `screenstop`. */
export class Session extends EventTarget {
  /** @type {View | null} */ view = null;
  /** @type {string | null} the request whose yes was taken back here, whatever the server knows of it */ #withdrawn = null;
  /** @type {string | undefined} the connection on which the server was told so */ #toldOn;
  /** Whether the server answered that. */ #heardOf = false;
  /** Whether this page has been in the visit, or its person chose to go on without the log. */ #begun = false;
  #choosing = false;
  screen = false;
  /** @type {Asked | null} the newest question, for a room that opens after it came */ question = null;

  /** @param {Record<string, unknown>} purpose @param {import("./devices.js").Devices} devices
   * @param {(() => Promise<unknown>) | null} [emergency] asks staff whether to go on while the audit log is not available */
  constructor(purpose, devices, emergency = null) {
    super();
    this.devices = devices;
    this.staff = !("join" in purpose);
    this.emergency = emergency;
    this.socket = connect(purpose);
    this.socket.on("connect", () => void this.#enter());
    this.socket.on("disconnect", () => {
      this.ways.linked(false);
      this.#tell("link", "lost");
    });
    this.socket.on("connect_error", (error) => this.#refused(error));
    this.socket.on("view", (view) => this.#saw(view));
    this.ways = new Ways({
      signal: (message) => void send(this.socket, "signal", message).catch(() => null),
      offer: (sdp) => send(this.socket, "leg.offer", { sdp }),
      ready: (turn) => send(this.socket, "leg.ready", { turn }),
    }, devices);
    for (const name of ["far", "state", "speaking", "chat", "straight"]) {
      this.ways.addEventListener(name, (event) => this.#tell(name === "state" ? "far" : name, /** @type {CustomEvent} */ (event).detail));
    }
    this.measuring = new Measuring(() => this.ways.connection, (report) => {
      this.#tell("quality", report.level);
      void send(this.socket, "quality", report).catch(() => null); // nobody asked for it; the next report tells more
    });
    this.socket.on("signal", (message) => this.ways.signalled(message));
    this.socket.on("leg.slots", ({ slots }) => this.ways.slots(slots));
    this.socket.on("leg.open", () => this.ways.open());
    this.socket.on("chat", (message) => this.#tell("chat", message));
    this.socket.on("consent.asked", (asked) => void this.#asked(asked));
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
      this.ways.iceServers = answer.ice_servers;
      this.ways.retell();
      this.view = null; // a restarted server counts its revisions anew
      this.#saw(answer.view);
      this.ways.linked(true);
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
    const { came, left } = changes(this.view, fresh);
    this.view = fresh;
    this.#tell("view", fresh); // the light before all else: building a way takes a moment
    if (came.length || left.length) this.#tell("people", { came, left });
    if (!this.#takenBack) this.ways.hold(false);
    this.ways.follow(fresh);
  }

  async #devicesChanged() {
    const { audio, video } = this.devices;
    await Promise.all([this.ways.use("audio", audio), this.ways.use("video", video)]);
    await this.tellMedia();
  }

  async tellMedia() {
    if (this.view?.self.state !== "admitted") return;
    await this.act("media", { audio: Boolean(this.devices.audio?.enabled), video: Boolean(this.devices.video), screen: this.screen });
  }

  /** @param {Asked} asked */
  async #asked(asked) {
    const honest = (await sha256(asked.text)) === asked.sha256;
    this.question = honest ? asked : null;
    this.#tell(honest ? "asked" : "trouble", honest ? asked : "consent_text_changed");
  }

  /** Null where the server did not take it. @param {Asked} asked @param {"yes" | "no"} answer */
  async answer(asked, answer) {
    if (!this.view) return null;
    const text = receipt({
      visit: this.view.visit.id, participant: this.view.self.participant, request: asked.request, answer, sha256: asked.sha256,
      version: asked.version, language: asked.language, purpose: asked.purpose, at: new Date().toISOString(),
    });
    return this.act("consent.answer", { request: asked.request, answer, receipt: text, signature: await sign(text) });
  }

  /** Whether a yes was taken back that the server still counts on. */
  get #takenBack() { return this.#withdrawn !== null && this.view?.recording.request === this.#withdrawn; }

  /** Tell the server, at once or when the line is back. Until it has said that it knows, a second at most, what this
   * page sends may still be recorded: then nothing is sent to the server at all. */
  async withdraw() {
    this.#withdrawn = this.view?.recording.request ?? null;
    this.#toldOn = undefined; // of an earlier yes
    this.#heardOf = false;
    if (!this.socket.connected) this.ways.hold(true);
    else setTimeout(() => { if (this.#takenBack && !this.#heardOf) this.ways.hold(true); }, WITHDRAWAL_WITHIN);
    await this.#sendWithdrawal();
  }

  /** Nothing waits in the socket: what it holds back is sent before `enter`, and refused. */
  async #sendWithdrawal() {
    const line = this.socket.id;
    if (!this.#takenBack || !this.socket.connected || this.#toldOn === line) return;
    this.#toldOn = line;
    this.#heardOf = false;
    try {
      await send(this.socket, "consent.withdraw");
    } catch (error) {
      if (codeOf(error) !== "wrong_state") { // else the recording is over already
        if (this.#toldOn === line) this.#toldOn = undefined;
        setTimeout(() => void this.#sendWithdrawal(), AGAIN_AFTER);
        return;
      }
    }
    this.#heardOf = true;
    this.ways.hold(false);
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

  /** Say something: browser to browser where media goes so too, else over the socket; kept nowhere.
   * @param {string} text @returns {Promise<boolean>} whether it went out */
  async say(text) {
    if (this.view && mediaOf(this.view).topology === "relay" && !this.ways.straight) return Boolean(await this.act("chat", { text }));
    return this.ways.say(text);
  }

  async leave() {
    await this.act("leave", {});
    this.#over("ended", "left");
  }

  /** @param {"ended" | "replaced"} how @param {string | null} reason */
  #over(how, reason) {
    this.measuring.stop();
    this.ways.close();
    hangUp(this.socket);
    this.#tell(how, reason);
  }

  /** @param {string} name @param {unknown} detail */
  #tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }
}
