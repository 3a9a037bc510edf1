// Measures the connection that carries the call, whichever it is now, tells what it found, and has its sound held back where that helps.
import { look, NOTHING } from "../state/linequality.js";
import { Holding } from "./holding.js";

/** @typedef {import("../state/linequality.js").Report} Report */

const EVERY_MS = 3000;

export class Measuring {
  #memory = NOTHING;
  #holding = new Holding();
  /** @type {RTCPeerConnection | null} */ #last = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #timer;

  /** @param {() => RTCPeerConnection | null} carrying the connection of the moment @param {(report: Report) => void} tell */
  constructor(carrying, tell) {
    this.carrying = carrying;
    this.tell = tell;
    this.#timer = setInterval(() => void this.look(), EVERY_MS);
  }

  /** One look; nothing is told while nothing is connected. */
  async look() {
    const connection = this.carrying();
    if (!connection || connection.connectionState !== "connected") return;
    const stats = /** @type {Iterable<[string, any]>} */ (/** @type {unknown} */ (await connection.getStats()));
    const { report, memory } = look(stats, this.#memory, connection !== this.#last);
    this.#last = connection;
    this.#memory = memory;
    this.#holding.look(connection, stats);
    this.tell(report);
  }

  stop() { clearInterval(this.#timer); }
}
