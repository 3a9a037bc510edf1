// The line that two relayed pages keep to each other with nothing on it: when the server is gone, they go on over it.
import { straightens } from "../state/media.js";
import { flowing } from "./flowing.js";

/** @typedef {import("./peer.js").Peer} Peer */
/** @typedef {import("./leg.js").Leg} Leg */

export class Spare {
  /** @type {Peer | null} */ peer = null;
  /** Whether it is used. */ straight = false;
  /** @type {number | null} since when the server is not heard */ #cut = null;
  #legged = performance.now();

  /** @param {(on: boolean) => void} told whether it is used has changed */
  constructor(told) { this.told = told; }

  get key() { return this.peer?.key ?? null; }

  /** Whether the server is heard, as the socket sees it. @param {boolean} on */
  linked(on) { this.#cut = on ? null : this.#cut ?? performance.now(); }

  /** @param {Peer} peer nothing flows on it from now on */
  keep(peer) {
    this.peer = peer;
    peer.park(true);
  }

  /** It becomes a way like others. @returns {Peer | null} */
  release() {
    const { peer } = this;
    peer?.park(false);
    this.peer = null;
    this.#turn(false);
    return peer;
  }

  /** Use it while there is no other way, and leave it when the relay carries both again.
   * @param {import("../state/visit.js").Person} person @param {Leg | null} leg */
  mind(person, leg) {
    if (!this.peer) return;
    const now = performance.now();
    if (leg) this.#legged = now;
    const [straight, relayed] = [flowing(this.peer, person.participant), leg && flowing(leg, person.participant)];
    const quiet = leg ? leg.quiet(now) : now - this.#legged;
    const silent = !person.audio && !person.video && quiet < 2000;
    this.#turn(straightens(this.straight, {
      offline: this.#cut === null ? 0 : now - this.#cut, quiet, online: person.online,
      theirs: straight.sound || straight.picture, delivered: Boolean(relayed?.sound || relayed?.picture) || silent,
    }));
    leg?.hush(this.straight && this.#cut !== null);
  }

  /** @param {boolean} on */
  #turn(on) {
    if (this.straight === on) return;
    this.straight = on;
    this.peer?.park(!on);
    this.told(on);
  }

  close() {
    this.peer?.close();
    this.peer = null;
    this.#turn(false);
  }
}
