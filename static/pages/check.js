// Test my connection: microphone, camera, and which way to the clinic's server works; for patients and staff.
import { Devices, meter } from "../call/devices.js";
import { Pattern, socketOpens, tryWay, turnServers } from "../call/trial.js";
import { call, codeOf } from "../net/api.js";
import { advice, best, decode, encode, software, verdict, WAYS } from "../state/check.js";
import { insideApp } from "../state/guide.js";
import { levelMeter } from "../ui/asking.js";
import { field, fill, h } from "../ui/dom.js";
import { t, wordsFor } from "../ui/i18n.js";
import { about, openPage } from "../ui/shell.js";

/** @typedef {import("../state/check.js").Found} Found */
/** @typedef {import("../state/check.js").WayName} WayName */
/** @typedef {import("../state/check.js").Way} Way */
/** @typedef {import("../ui/i18n.js").Key} Key */

const LISTEN_MS = 8000; // people need a moment before they speak
const HEARD = 0.02; // of the meter's 0–1
const MARKS = /** @type {Record<string, string>} */ ({ works: "✓", weak: "!", silent: "!", fails: "✕", blocked: "✕", missing: "✕", busy: "✕", running: "…" });

const { clinic, demo } = await about();
const main = openPage(clinic, demo);
document.title = `${t("check.title")} · ${clinic.name}`;
const devices = new Devices();
begin();

function begin() {
  fill(main, h("div", { class: "card stack", "data-step": "begin" },
    h("h1", {}, t("check.title")), h("p", {}, t("check.text")),
    h("button", { class: "primary wide", id: "start", onclick: () => void run() }, t("check.start")), readCode()));
}

/** For staff: what a code says that a patient reads out. */
function readCode() {
  const input = h("input", { id: "spoken", class: "code", dir: "ltr", maxlength: 12, autocapitalize: "characters", autocomplete: "off", spellcheck: "false" });
  const said = h("div", { class: "stack", id: "decoded", "aria-live": "polite" });
  input.addEventListener("input", () => {
    const found = decode(input.value);
    const whole = input.value.replace(/[\s-]/g, "").length >= 8;
    if (found) fill(said, outcome(found), rows(found));
    else fill(said, whole && h("p", { class: "error" }, t("check.code.wrong")));
  });
  return h("details", {}, h("summary", {}, t("check.code.have")), h("div", { class: "stack" }, field(t("check.code.type"), input, t("check.code.hint")), said));
}

/** One line of the list; `say` changes what it tells. @param {string} name @param {string} label */
function line(name, label) {
  const mark = h("span", { class: "mark", "aria-hidden": "true" }, MARKS.running);
  const text = h("span", { class: "quiet small" }, t("check.running"));
  const element = h("li", { class: "check-row", "data-check": name, "data-outcome": "running" }, mark, h("span", {}, h("strong", {}, label), " ", text));
  /** @param {string} result @param {string} words */
  const say = (result, words) => {
    element.dataset.outcome = result;
    mark.textContent = MARKS[result] ?? "–";
    text.textContent = words;
  };
  return { element, say };
}

/** @param {Way} way */
const wayWords = ({ outcome: result, rtt, loss }) => t(/** @type {Key} */ (`check.${result}`),
  { ms: rtt ?? "?", percent: Math.round((loss ?? 0) * 100) });

async function run() {
  const stop = new AbortController();
  const pattern = new Pattern(); // made by the tap: a page may not sound without one
  const video = h("video", { autoplay: true, playsinline: true });
  video.muted = true;
  const preview = h("div", { class: "preview small" }, h("span", {}, t("devices.nopicture")), video);
  const level = h("div", { class: "field", hidden: true });
  const status = h("div", { id: "verdict", role: "status" }, h("p", { class: "quiet" }, t("check.wait")));
  /** @type {Record<string, ReturnType<typeof line>>} */
  const lines = { microphone: line("microphone", t("check.microphone")), camera: line("camera", t("check.camera")), server: line("server", t("check.server")),
    ...Object.fromEntries(WAYS.map((name) => [name, line(name, t(/** @type {Key} */ (`check.${name}`)))])) };
  const after = h("div", { class: "stack" });
  fill(main, h("div", { class: "card stack", "data-step": "running", "aria-busy": "true" }, h("h1", {}, t("check.title")), status,
    preview, level,
    h("ul", { class: "check-list" }, ...Object.values(lines).map((one) => one.element)), after));
  main.focus();
  try {
    const here = software(navigator.userAgent, navigator.maxTouchPoints, insideApp(navigator.userAgent));
    const [own, server, ways] = await Promise.all([tryDevices(video, level, lines, stop.signal), tryServer(lines.server), tryWays(pattern, lines)]);
    /** @type {Found} */
    const found = { ...own, ...server, ways: ways.found, ...here };
    main.firstElementChild?.setAttribute("data-step", "done");
    main.firstElementChild?.removeAttribute("aria-busy");
    preview.hidden = level.hidden = true;
    for (const name of WAYS) lines[name].element.hidden = found.ways[name]?.outcome === "absent"; // nobody need know what there is not
    fill(status, outcome(found, ways.port));
    fill(after, codeCard(found), h("button", { class: "wide", id: "again", onclick: () => void run() }, t("check.again")), readCode());
  } finally {
    pattern.close();
    stop.abort();
    devices.close();
  }
}

/** @param {HTMLVideoElement} video @param {HTMLElement} level @param {Record<string, ReturnType<typeof line>>} lines @param {AbortSignal} signal
 * @returns {Promise<Pick<Found, "microphone" | "camera">>} */
async function tryDevices(video, level, lines, signal) {
  await devices.open();
  const why = devices.trouble === "blocked" ? "blocked" : devices.trouble === "busy" ? "busy" : "missing";
  if (devices.audio) lines.microphone.say("running", t("check.speak"));
  const [microphone, camera] = await Promise.all([
    devices.audio ? heard(devices.audio, level, signal) : why, devices.video ? seen(devices.video, video) : why]);
  const said = /** @type {Pick<Found, "microphone" | "camera">} */ ({ microphone, camera });
  for (const name of /** @type {const} */ (["microphone", "camera"])) lines[name].say(said[name] ?? "unheard", t(/** @type {Key} */ (`check.device.${said[name] ?? "unheard"}`)));
  return said;
}

/** Null where the browser did not let us listen. @param {MediaStreamTrack} track @param {HTMLElement} level @param {AbortSignal} signal
 * @returns {Promise<"works" | "silent" | null>} */
function heard(track, level, signal) {
  fill(level, h("span", { class: "small" }, t("devices.level")), levelMeter(track, signal));
  level.hidden = false;
  return new Promise((resolve) => {
    const stop = new AbortController();
    let listened = false;
    const done = (/** @type {"works" | "silent" | null} */ how) => {
      clearTimeout(timer);
      stop.abort();
      resolve(how);
    };
    const timer = setTimeout(() => done(listened ? "silent" : null), LISTEN_MS);
    meter(track, (value) => {
      listened = true;
      if (value > HEARD) done("works");
    }, AbortSignal.any([signal, stop.signal]));
  });
}

/** Whether the camera gives a picture. @param {MediaStreamTrack} track @param {HTMLVideoElement} video @returns {Promise<"works" | "busy">} */
function seen(track, video) {
  video.srcObject = new MediaStream([track]);
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve("busy"), LISTEN_MS);
    video.addEventListener("loadeddata", () => {
      clearTimeout(timer);
      resolve("works");
    }, { once: true });
  });
}

/** @param {ReturnType<typeof line>} row @returns {Promise<Pick<Found, "online" | "socket">>} */
async function tryServer(row) {
  const began = performance.now();
  const online = await fetch("/healthz", { cache: "no-store" }).then((answer) => answer.ok, () => false);
  const ms = Math.round(performance.now() - began);
  const socket = online && await socketOpens();
  row.say(socket ? "works" : "fails", t(!online ? "check.fails" : socket ? "check.works" : "check.nosocket", { ms }));
  return { online, socket };
}

/** @param {Pattern} pattern @param {Record<string, ReturnType<typeof line>>} lines */
async function tryWays(pattern, lines) {
  const there = await call("GET", "/connection-test").catch(() => ({ turn: false, turns: false }));
  const servers = there.turn || there.turns ? await turnOf() : null;
  const relays = servers && turnServers(servers);
  /** @type {Partial<Record<WayName, Way>>} */
  const found = {};
  let port = /** @type {number | null} */ (null);
  await Promise.all(WAYS.map(async (name) => {
    const relayed = name === "turn" || name === "turns";
    if (relayed && !there[name]) found[name] = { outcome: "absent", rtt: null, loss: null };
    else if (relayed && !relays?.[name].length) found[name] = { outcome: "unasked", rtt: null, loss: null };
    else {
      try {
        const { port: used, ...way } = await tryWay(name, relayed && relays ? relays[name] : [], pattern);
        port ??= used;
        found[name] = way;
      } catch (error) {
        found[name] = { outcome: "unasked", rtt: null, loss: null };
        return lines[name].say("unasked", wordsFor(codeOf(error)));
      }
    }
    return lines[name].say(found[name].outcome, wayWords(found[name]));
  }));
  return { found, port };
}

/** TURN servers for whoever is known here: somebody signed in, or invited. @returns {Promise<RTCIceServer[] | null>} */
const turnOf = () => call("GET", "/connection-test/servers").catch(() => call("GET", "/join/test-servers"))
  .then((answer) => answer.ice_servers, () => null);

/** What it comes to, and what helps. @param {Found} found @param {number | null} [port] */
function outcome(found, port = null) {
  const { code, tone, by } = verdict(found);
  const tips = advice(found).filter((tip) => tip !== "network" || port !== null); // a code holds no port
  return h("div", { class: `note ${tone === "good" ? "" : tone}`, "data-verdict": code, "data-by": by ?? "" },
    h("h2", {}, t(/** @type {Key} */ (`check.verdict.${code}`))),
    by && h("p", {}, t("check.by", { way: t(/** @type {Key} */ (`check.${by}`)) })),
    tips.length > 0 && h("ul", {}, ...tips.map((tip) => h("li", { "data-tip": tip }, t(/** @type {Key} */ (`check.tip.${tip}`), { port: port ?? "" })))));
}

/** A finished list, from a code. @param {Found} found */
function rows(found) {
  const by = best(found);
  const list = h("ul", { class: "check-list" });
  for (const name of /** @type {const} */ (["microphone", "camera"])) {
    const row = line(name, t(`check.${name}`));
    const said = found[name];
    row.say(said ?? "unasked", t(/** @type {Key} */ (said ? `check.device.${said}` : "check.unknown")));
    list.append(row.element);
  }
  for (const name of WAYS) {
    const way = found.ways[name];
    const row = line(name, t(/** @type {Key} */ (`check.${name}`)));
    row.say(way?.outcome ?? "absent", way ? (name === by ? t("check.upto", { ms: way.rtt ?? "?", percent: Math.round((way.loss ?? 0) * 100) })
      : t(/** @type {Key} */ (`check.only.${way.outcome}`))) : t("check.unknown"));
    list.append(row.element);
  }
  return h("div", { class: "stack" }, list, h("p", { class: "quiet small" }, t("check.software", {
    system: t(/** @type {Key} */ (`check.system.${found.system}`)), browser: t(/** @type {Key} */ (`check.browser.${found.browser}`)) })));
}

/** @param {Found} found */
function codeCard(found) {
  return h("section", { class: "note plain", "aria-labelledby": "code-title" }, h("h2", { id: "code-title" }, t("check.code.title")),
    h("p", { class: "support-code", id: "support-code", dir: "ltr" }, encode(found)), h("p", { class: "small quiet" }, t("check.code.text")));
}
