// Holds a connection's sound back while too much of it has to be made up.
import { hold, NOTHING } from "../state/holding.js";

export class Holding {
  #memory = NOTHING;

  /** @param {RTCPeerConnection} connection @param {Iterable<[string, any]>} stats what it says of itself now */
  look(connection, stats) {
    const { held, memory } = hold(stats, this.#memory, performance.now());
    this.#memory = memory;
    for (const receiver of connection.getReceivers()) {
      if (receiver.track.kind === "audio" && "jitterBufferTarget" in receiver) receiver.jitterBufferTarget = held;
    }
  }
}
