// The connection test as decisions: what was found, what it means, what helps, and a short code to read out. Pure.

/** @typedef {"works" | "weak" | "fails" | "absent" | "unasked"} Outcome `absent`: the clinic has none; `unasked`: not for strangers */
/** @typedef {{outcome: Outcome, rtt: number | null, loss: number | null}} Way `rtt` in ms, `loss` 0–1 */
/** @typedef {"works" | "silent" | "blocked" | "missing" | "busy" | null} Device */
/** @typedef {"udp" | "tcp" | "turn" | "turns"} WayName */
/**
 * @typedef {{microphone: Device, camera: Device, online: boolean, socket: boolean | null, ways: Partial<Record<WayName, Way>>,
 *   system: string, browser: string}} Found
 */
/** @typedef {{code: "good" | "detour" | "weak" | "blocked" | "proxy" | "offline" | "listen", tone: "good" | "warn" | "danger", by: WayName | null}} Verdict */

/** @type {readonly WayName[]} the best first */
export const WAYS = ["udp", "tcp", "turn", "turns"];

const LOSSY = 0.05;
const SLOW = 400; // ms

/** What a finished try came to. @param {{connected: boolean, reports: number, rtt: number | null, loss: number}} seen @returns {Way} */
export function wayOf({ connected, reports, rtt, loss }) {
  if (!connected || reports === 0) return { outcome: "fails", rtt: null, loss: null };
  return { outcome: loss > LOSSY || (rtt ?? 0) > SLOW ? "weak" : "works", rtt, loss };
}

/** The way media would take. @param {Found} found @returns {WayName | null} */
export const best = ({ ways }) =>
  WAYS.find((name) => ways[name]?.outcome === "works") ?? WAYS.find((name) => ways[name]?.outcome === "weak") ?? null;

/** @param {Found} found @returns {Verdict} */
export function verdict(found) {
  const by = best(found);
  if (!found.online) return { code: "offline", tone: "danger", by: null };
  if (found.socket === false) return { code: "proxy", tone: "danger", by: null }; // visits are led over it
  if (by === null) return { code: "blocked", tone: "danger", by };
  if (found.ways[by]?.outcome === "weak") return { code: "weak", tone: "warn", by };
  if (found.microphone !== "works" && found.microphone !== null) return { code: "listen", tone: "warn", by };
  return by === "udp" ? { code: "good", tone: "good", by } : { code: "detour", tone: "good", by };
}

/** What helps, gravest first. @param {Found} found @returns {string[]} */
export function advice(found) {
  const { code } = verdict(found);
  const said = [];
  if (code === "offline" || code === "proxy") return [code];
  if (code === "blocked") said.push("blocked", "network");
  if (code === "weak") said.push("weak");
  if (code === "detour") said.push("detour");
  if (found.microphone !== "works" && found.microphone !== null) said.push(`microphone.${found.microphone}`);
  if (found.camera !== "works" && found.camera !== null && found.camera !== found.microphone) said.push(`camera.${found.camera}`);
  return said;
}

// The code: 30 bits of what was found and 10 to notice a slip of the tongue, as 8 letters that are not mistaken for others.
const LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; // Crockford's base 32
const VERSION = 1;
/** @type {readonly Device[]} */
const DEVICES = [null, "works", "silent", "blocked", "missing", "busy"];
/** @type {readonly (Outcome | null)[]} */
const OUTCOMES = [null, "works", "weak", "fails"];
export const SYSTEMS = ["other", "windows", "mac", "linux", "android", "ios"];
export const BROWSERS = ["other", "chrome", "firefox", "safari", "edge", "in_app"];
const TRIPS = [50, 100, 200, 400, 800, 1600]; // ms; place 0 is "not known", place n is "up to TRIPS[n - 1]", the last is "more"
const LOSSES = [0.01, 0.05, 0.15]; // the last place is "more"

/** @param {number} value @param {readonly number[]} steps */
const step = (value, steps) => { const place = steps.findIndex((one) => value <= one); return place < 0 ? steps.length : place; };
/** @param {readonly unknown[]} all @param {unknown} one */
const place = (all, one) => Math.max(0, all.indexOf(one));

/** @param {Found} found @returns {[value: number, bits: number][]} */
function fields(found) {
  const by = best(found);
  const way = by ? found.ways[by] : undefined;
  return [
    [VERSION, 2], [place(DEVICES, found.microphone), 3], [place(DEVICES, found.camera), 3],
    ...WAYS.map((name) => /** @type {[number, number]} */ ([place(OUTCOMES, found.ways[name]?.outcome), 2])),
    [place(SYSTEMS, found.system), 3], [place(BROWSERS, found.browser), 3],
    [way?.rtt == null ? 0 : Math.min(7, step(way.rtt, TRIPS) + 1), 3], [way?.loss == null ? 0 : step(way.loss, LOSSES), 2],
    [found.socket === false ? 1 : 0, 1], [found.online ? 0 : 1, 1], [0, 1],
  ];
}

/** CRC-10/ATM. @param {number} data 30 bits */
function check(data) {
  let left = 0;
  for (let bit = 29; bit >= 0; bit -= 1) {
    const out = ((left >> 9) & 1) ^ ((data >>> bit) & 1);
    left = (left << 1) & 0x3ff;
    if (out) left ^= 0x233;
  }
  return left;
}

/** Eight letters in two groups, for reading out; says nothing about anybody. @param {Found} found */
export function encode(found) {
  const data = fields(found).reduce((sum, [value, bits]) => sum * 2 ** bits + value, 0);
  let rest = data * 1024 + check(data);
  let text = "";
  for (let letter = 0; letter < 8; letter += 1) {
    text = LETTERS[rest % 32] + text;
    rest = Math.floor(rest / 32);
  }
  return `${text.slice(0, 4)}-${text.slice(4)}`;
}

/**
 * What a code says, or null for one that was misheard. `rtt` and `loss` are upper bounds.
 * @param {string} spoken @returns {Found | null}
 */
export function decode(spoken) {
  const text = spoken.toUpperCase().replace(/[\s-]/g, "").replaceAll("O", "0").replace(/[IL]/g, "1");
  if (text.length !== 8 || [...text].some((letter) => !LETTERS.includes(letter))) return null;
  const all = [...text].reduce((sum, letter) => sum * 32 + LETTERS.indexOf(letter), 0);
  const data = Math.floor(all / 1024);
  if (check(data) !== all % 1024) return null;
  let left = data;
  const taken = [1, 1, 1, 2, 3, 3, 3, 2, 2, 2, 2, 3, 3, 2].map((bits) => {
    const value = left % 2 ** bits;
    left = Math.floor(left / 2 ** bits);
    return value;
  }).reverse();
  const [version, microphone, camera, udp, tcp, turn, turns, system, browser, trip, loss, socket, offline] = taken;
  if (version !== VERSION) return null;
  /** @type {Partial<Record<WayName, Way>>} */
  const ways = {};
  [udp, tcp, turn, turns].forEach((outcome, index) => {
    const said = OUTCOMES[outcome];
    if (said) ways[WAYS[index]] = { outcome: said, rtt: null, loss: null };
  });
  /** @type {Found} */
  const found = { microphone: DEVICES[microphone] ?? null, camera: DEVICES[camera] ?? null, online: !offline, socket: !socket, ways,
    system: SYSTEMS[system] ?? "other", browser: BROWSERS[browser] ?? "other" };
  const by = best(found);
  if (by) ways[by] = { outcome: ways[by]?.outcome ?? "works", rtt: trip ? TRIPS[trip - 1] ?? 9999 : null, loss: LOSSES[loss] ?? 1 };
  return found;
}

/** Which system and browser, as far as anybody need know. @param {string} agent @param {number} touches @param {boolean} inApp */
export function software(agent, touches, inApp) {
  const ios = /iPhone|iPad|iPod/.test(agent) || (/Macintosh/.test(agent) && touches > 1);
  const system = ios ? "ios" : /Android/.test(agent) ? "android" : /Windows/.test(agent) ? "windows" : /Macintosh/.test(agent) ? "mac" : /Linux|CrOS/.test(agent) ? "linux" : "other";
  const browser = inApp ? "in_app" : /Edg(A|iOS)?\//.test(agent) ? "edge" : /Firefox|FxiOS/.test(agent) ? "firefox"
    : /Chrome|CriOS|Chromium/.test(agent) ? "chrome" : /Safari\//.test(agent) ? "safari" : "other";
  return { system, browser };
}
