// The one socket of a page: events answered or refused by code, reconnecting by itself.
import { io } from "/vendor/socket.io.js";
import { askPurpose, call, Problem, purposeOfUse } from "./api.js";
import { proof } from "./proof.js";

const ANSWER_WITHIN = 10_000;
const AGAIN_AFTER = 2000;
/** Refusals of a handshake that pass by themselves. */
const PASSING = new Set(["unavailable", "draining", "slow_down", "internal", "proof_needed"]);
/** Sockets given up for good. */
const over = new WeakSet();

/** Whether a refused handshake is tried again. @param {string | undefined} code */
export const passes = (code) => code === undefined || PASSING.has(code);

/** Connect to `/visit`. @param {Record<string, unknown>} purpose what the handshake says the socket is for */
export function connect(purpose) {
  const staff = !("join" in purpose);
  const socket = io("/visit", {
    transports: ["websocket"],
    auth: (/** @type {(said: object) => void} */ say) => {
      if (staff) proof().then((given) => say({ ...purpose, proof: given, purpose: purposeOfUse() }), () => say(purpose));
      else say(purpose);
    },
    reconnectionDelay: 400,
    reconnectionDelayMax: 4000,
    withCredentials: true,
  });
  socket.on("connect_error", async (/** @type {Error & {data?: {error?: string}}} */ error) => {
    const code = error.data?.error;
    if (code === "proof_needed" && !(await proof().catch(() => "later"))) {
      await call("DELETE", "/session").catch(() => null); // this browser lost the session's key: only signing in helps
      location.replace("/");
    } else if (code === "purpose_needed" && purposeOfUse() === null && await askPurpose()) {
      socket.connect();
    } else if (code && passes(code)) {
      setTimeout(() => { if (!over.has(socket)) socket.connect(); }, AGAIN_AFTER); // a refused socket does not try again by itself
    }
  });
  return socket;
}

/** Close for good. @param {Socket} socket */
export function hangUp(socket) {
  over.add(socket);
  socket.disconnect();
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
