// The one socket of a page: events answered or refused by code, reconnecting by itself.
import { io } from "/vendor/socket.io.js";
import { Problem } from "./api.js";

const ANSWER_WITHIN = 10_000;

/** Connect to `/visit`. @param {Record<string, unknown>} purpose what the handshake says the socket is for */
export function connect(purpose) {
  return io("/visit", {
    transports: ["websocket"],
    auth: purpose,
    reconnectionDelay: 400,
    reconnectionDelayMax: 4000,
    withCredentials: true,
  });
}

/** @typedef {ReturnType<typeof connect>} Socket */

/**
 * Send and wait for the answer. Throws a Problem with the server's code.
 * @param {Socket} socket @param {string} event @param {object} [payload] @returns {Promise<any>}
 */
export async function send(socket, event, payload = {}) {
  let answer;
  try {
    answer = await socket.timeout(ANSWER_WITHIN).emitWithAck(event, payload);
  } catch {
    throw new Problem(0, { code: "offline" });
  }
  if (!answer?.ok) throw new Problem(400, { code: answer?.error ?? "failed" });
  return answer;
}
