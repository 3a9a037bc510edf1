// What is known of somebody's device and line, and the few hints that follow from it. Pure.

/** @typedef {"ios" | "android" | "desktop"} System */
/** @typedef {{label: string, ended: boolean, muted: boolean, enabled: boolean}} Track `muted`: by the device, not by the person */
/** @typedef {{level: number, charging: boolean}} Battery */
/**
 * @typedef {{system: System, secure: boolean, capable: boolean, inApp: boolean, trouble: string | null, audio: Track | null, video: Track | null,
 *   quietSince: number | null, lost: boolean, battery: Battery | null, online: boolean, slow: boolean, quality: number | null, saving: boolean,
 *   closed: string[]}} Facts `quietSince`: ms; nothing was heard since then
 */
/**
 * @typedef {{kind: "tracks", audio: Track | null, video: Track | null, trouble: string | null}
 *   | {kind: "level", value: number, at: number} | {kind: "lost"} | {kind: "chosen"} | {kind: "battery", battery: Battery}
 *   | {kind: "online", online: boolean} | {kind: "line", slow: boolean} | {kind: "quality", level: number} | {kind: "closed", code: string}} Seen
 */
/** @typedef {{code: string, tone: "danger" | "warn" | "plain", values?: Record<string, string | number>, restart?: boolean}} Hint */

export const QUIET_MS = 8000; // people need a moment before they speak
const HEARD = 0.02; // of the meter's 0–1
const LOW = 0.2; // of a battery
const MOST = 3; // hints at once: more are not read

const IN_APP = /FBAN|FBAV|Instagram|MicroMessenger|WhatsApp|Snapchat|TikTok|musical_ly|LinkedInApp|Twitter|Pinterest|\bLine\/|; wv\)/;
const VIRTUAL = /\b(virtual|obs|snap camera|manycam|droidcam|xsplit|screen)\b/i;

/** Which system a browser says it runs on. iPads call themselves Macs, but have a touch screen. @param {string} agent @param {number} touches @returns {System} */
export const systemOf = (agent, touches) =>
  /iPhone|iPad|iPod/.test(agent) || (/Macintosh/.test(agent) && touches > 1) ? "ios" : /Android/.test(agent) ? "android" : "desktop";

/** Whether the page sits inside another app's window. @param {string} agent */
export const insideApp = (agent) => IN_APP.test(agent) || (/iPhone|iPad|iPod/.test(agent) && !/Safari\//.test(agent));

/** What is known at first. @param {{agent: string, touches: number, secure: boolean, capable: boolean, online: boolean, saving: boolean}} here @returns {Facts} */
export const begin = ({ agent, touches, secure, capable, online, saving }) => ({
  system: systemOf(agent, touches), inApp: insideApp(agent), secure, capable, online, saving,
  trouble: null, audio: null, video: null, quietSince: null, lost: false, battery: null, slow: false, quality: null, closed: [],
});

/** What is known after something was seen. @param {Facts} facts @param {Seen} seen @returns {Facts} */
export function observe(facts, seen) {
  switch (seen.kind) {
    case "tracks": {
      const same = facts.audio?.label === seen.audio?.label && seen.audio?.enabled;
      return { ...facts, audio: seen.audio, video: seen.video, trouble: seen.trouble, quietSince: same ? facts.quietSince : null };
    }
    case "level": return { ...facts, quietSince: seen.value > HEARD ? null : facts.quietSince ?? seen.at };
    case "lost": return { ...facts, lost: true };
    case "chosen": return { ...facts, lost: false, quietSince: null };
    case "battery": return { ...facts, battery: seen.battery };
    case "online": return { ...facts, online: seen.online };
    case "line": return { ...facts, slow: seen.slow };
    case "quality": return { ...facts, quality: seen.level };
    case "closed": return { ...facts, closed: [...facts.closed, seen.code] };
    default: return facts;
  }
}

/** The hints that help now, gravest first. @param {Facts} facts @param {number} now ms, as in `level` @returns {Hint[]} */
export function hints(facts, now) {
  return [...stops(facts), ...devices(facts, now), ...line(facts)].filter(({ code }) => !facts.closed.includes(code)).slice(0, MOST);
}

/** What makes a visit impossible. @param {Facts} facts @returns {Hint[]} */
function stops({ secure, capable, inApp, system, trouble, online }) {
  /** @type {Hint[]} */
  const found = [];
  if (!online) found.push({ code: "offline", tone: "danger" });
  if (!secure) found.push({ code: "insecure", tone: "danger" });
  else if (inApp) found.push({ code: system === "ios" ? "in_app.ios" : "in_app", tone: "warn" });
  else if (!capable) found.push({ code: "old_browser", tone: "danger" });
  if (secure && capable && trouble === "blocked") found.push({ code: `blocked.${system}`, tone: "warn" });
  return found;
}

/** @param {Facts} facts @param {number} now @returns {Hint[]} */
function devices({ audio, video, system, quietSince, lost }, now) {
  /** @type {Hint[]} */
  const found = [];
  const own = system === "ios" ? ".ios" : "";
  if (audio?.ended || video?.ended) found.push({ code: `ended${own}`, tone: "danger", restart: true });
  else if (audio?.muted) found.push({ code: `muted_microphone${own}`, tone: "warn" });
  else if (video?.muted) found.push({ code: "muted_camera", tone: "warn" });
  const silent = audio && audio.enabled && !audio.muted && !audio.ended && quietSince !== null && now - quietSince >= QUIET_MS;
  if (silent) found.push({ code: "silent", tone: "warn", values: { label: audio.label } });
  if (video && VIRTUAL.test(video.label)) found.push({ code: "virtual_camera", tone: "plain", values: { label: video.label } });
  if (lost) found.push({ code: "device_lost", tone: "plain" });
  return found;
}

/** @param {Facts} facts @returns {Hint[]} */
function line({ online, slow, quality, battery, saving }) {
  /** @type {Hint[]} */
  const found = [];
  const weak = quality === null ? slow : quality <= 2;
  if (online && weak) found.push({ code: "weak_line", tone: "warn" });
  if (online && weak && saving) found.push({ code: "saving", tone: "plain" });
  if (battery && !battery.charging && battery.level <= LOW) found.push({ code: "battery", tone: "plain", values: { percent: Math.round(battery.level * 100) } });
  return found;
}
