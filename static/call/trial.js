// One way to the server tried: a connection of its own that sends a tone and listens to what the server reports of it.
import { call } from "../net/api.js";
import { wayOf } from "../state/check.js";

/** @typedef {import("../state/check.js").Way} Way */
/** @typedef {import("../state/check.js").WayName} WayName */

const CONNECT_MS = 9000;
const LISTEN_MS = 3200; // the server reports once a second
const LOOK_MS = 200;

/** A quiet tone and a small restless picture, so that neither microphone nor camera is needed. Close it with `close`. */
export class Pattern {
  constructor() {
    this.context = new AudioContext();
    const source = new OscillatorNode(this.context, { frequency: 440 });
    const quiet = new GainNode(this.context, { gain: 0.1 });
    this.out = this.context.createMediaStreamDestination();
    source.connect(quiet).connect(this.out);
    source.start();
    this.sound = this.out.stream.getAudioTracks()[0];
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [320, 240];
    const pen = canvas.getContext("2d");
    this.timer = setInterval(() => { // noise, which makes packets as large as a camera's: some networks drop these alone
      for (let spot = 0; pen && spot < 200; spot += 1) {
        pen.fillStyle = `hsl(${Math.random() * 360} 80% 50%)`;
        pen.fillRect(Math.random() * 320, Math.random() * 240, 30, 20);
      }
    }, 200);
    this.picture = canvas.captureStream(5).getVideoTracks()[0];
  }

  close() {
    clearInterval(this.timer);
    this.sound.stop();
    this.picture.stop();
    void this.context.close();
  }
}

/**
 * Try one way. Never throws for what the network does; a refusal of the server is thrown.
 * @param {WayName} name @param {RTCIceServer[]} servers those of this way; none for `udp` and `tcp`
 * @param {Pattern} pattern @returns {Promise<Way & {port: number | null}>}
 */
export async function tryWay(name, servers, pattern) {
  const relayed = name === "turn" || name === "turns";
  const pc = new RTCPeerConnection({ iceServers: servers, iceTransportPolicy: relayed ? "relay" : "all", bundlePolicy: "max-bundle" });
  try {
    pc.addTransceiver(pattern.sound, { direction: "sendonly" });
    pc.addTransceiver(pattern.picture, { direction: "sendonly" });
    await pc.setLocalDescription();
    const answer = await call("POST", "/connection-test", { sdp: pc.localDescription?.sdp ?? "", transports: [name === "tcp" ? "tcp" : "udp"] });
    const port = Number(/^a=candidate:\S+ 1 \S+ \d+ \S+ (\d+)/m.exec(answer.sdp)?.[1] ?? 0) || null;
    await pc.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    const connected = await connects(pc);
    const seen = connected ? await listen(pc) : { reports: 0, rtt: null, loss: 0 };
    return { ...wayOf({ connected, ...seen }), port };
  } finally {
    pc.close();
  }
}

/** @param {RTCPeerConnection} pc @returns {Promise<boolean>} */
function connects(pc) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), CONNECT_MS);
    const look = () => {
      if (pc.connectionState !== "connected" && pc.connectionState !== "failed") return;
      clearTimeout(timer);
      resolve(pc.connectionState === "connected");
    };
    pc.addEventListener("connectionstatechange", look);
    look();
  });
}

/** What came back within some seconds: the server's reports on the tone. @param {RTCPeerConnection} pc */
async function listen(pc) {
  const until = performance.now() + LISTEN_MS;
  /** @type {{reports: number, rtt: number | null, loss: number}} */
  let seen = { reports: 0, rtt: null, loss: 0 };
  while (performance.now() < until) {
    await new Promise((resolve) => { setTimeout(resolve, LOOK_MS); });
    seen = read(await pc.getStats());
  }
  return seen;
}

/** Loss is that of sound or picture, whichever lost more: large packets may be lost alone. @param {RTCStatsReport} stats */
function read(stats) {
  let reports = 0;
  let rtt = null;
  let loss = 0;
  for (const one of stats.values()) {
    if (one.type === "candidate-pair" && one.nominated && one.currentRoundTripTime) rtt = Math.round(one.currentRoundTripTime * 1000);
    if (one.type !== "outbound-rtp" || !one.packetsSent) continue;
    const heard = [...stats.values()].find((other) => other.type === "remote-inbound-rtp" && other.ssrc === one.ssrc);
    if (heard && one.kind === "audio") reports += 1;
    loss = Math.max(loss, heard ? Math.min(1, Math.max(0, heard.packetsLost ?? 0) / one.packetsSent) : one.packetsSent > 20 ? 1 : 0);
  }
  return { reports, rtt, loss };
}

/** Whether a WebSocket gets through to the server: its greeting comes. @returns {Promise<boolean>} */
export function socketOpens() {
  return new Promise((resolve) => {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/socket.io/?EIO=4&transport=websocket`);
    const done = (/** @type {boolean} */ good) => {
      clearTimeout(timer);
      socket.close();
      resolve(good);
    };
    const timer = setTimeout(() => done(false), 5000);
    socket.addEventListener("message", () => done(true), { once: true });
    socket.addEventListener("error", () => done(false), { once: true });
  });
}

/** Split TURN servers by how browsers reach them. @param {RTCIceServer[]} servers @returns {Record<"turn" | "turns", RTCIceServer[]>} */
export function turnServers(servers) {
  /** @param {boolean} secure */
  const only = (secure) => servers
    .map((one) => ({ ...one, urls: [one.urls].flat().filter((url) => url.startsWith("turns:") === secure && /^turns?:/.test(url)) }))
    .filter((one) => one.urls.length > 0);
  return { turn: only(false), turns: only(true) };
}
