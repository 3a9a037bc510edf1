// Hints about one's own device and line, before the waiting room and in the call: looked at here, decided in `state/guide`.
import { meter } from "../call/devices.js";
import { begin, hints, observe } from "../state/guide.js";
import { h, refill } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {import("../state/guide.js").Seen} Seen */

/**
 * A list of hints that looks after itself until `signal` aborts. `listens`: notice a silent microphone (not while talking).
 * @param {import("../call/devices.js").Devices} devices @param {AbortSignal} signal @param {boolean} listens
 * @returns {{element: HTMLElement, saw: (seen: Seen) => void}}
 */
export function deviceHints(devices, signal, listens) {
  const element = h("ul", { class: "hints", "aria-label": t("guide.label"), "aria-live": "polite", hidden: true });
  let facts = begin(here());
  let shown = "";
  /** @type {AbortController | null} */
  let listening = null;
  /** @type {MediaStreamTrack | null} */
  let heard = null;

  /** @param {Seen} seen */
  function saw(seen) {
    facts = observe(facts, seen);
    draw();
  }

  function draw() {
    const found = hints(facts, performance.now());
    const key = JSON.stringify(found);
    if (key === shown) return; // said once, not again and again
    shown = key;
    element.hidden = found.length === 0;
    refill(element, ...found.map(hint));
  }

  /** @param {import("../state/guide.js").Hint} one */
  const hint = ({ code, tone, values, restart }) => h("li", { class: `hint ${tone}`, "data-hint": code },
    h("span", {}, t(/** @type {import("./i18n.js").Key} */ (`guide.${code}`), values)),
    restart ? h("button", { type: "button", class: "small", onclick: () => devices.open() }, t("guide.restart"))
      : h("button", { type: "button", class: "small bare", onclick: () => saw({ kind: "closed", code }), "aria-label": t("guide.close") }, "×"));

  function look() {
    saw({ kind: "tracks", audio: plain(devices.audio), video: plain(devices.video), trouble: devices.trouble });
    if (!listens || heard === devices.audio) return;
    heard = devices.audio;
    listening?.abort();
    listening = new AbortController();
    saw({ kind: "chosen" });
    if (heard) meter(heard, (value) => saw({ kind: "level", value, at: performance.now() }), AbortSignal.any([signal, listening.signal]));
  }

  devices.addEventListener("change", look, { signal });
  for (const kind of ["online", "offline"]) addEventListener(kind, () => saw({ kind: "online", online: navigator.onLine }), { signal });
  void watchPlugs(signal, saw);
  void watchBattery(signal, saw);
  look();
  return { element, saw };
}

function here() {
  const connection = /** @type {any} */ (navigator).connection;
  const capable = "RTCPeerConnection" in window && "getUserMedia" in (navigator.mediaDevices ?? {}) && "subtle" in crypto && "structuredClone" in window;
  return { agent: navigator.userAgent, touches: navigator.maxTouchPoints, secure: isSecureContext, capable, online: navigator.onLine, saving: Boolean(connection?.saveData) };
}

/** @param {MediaStreamTrack | null} track */
const plain = (track) => track && { label: track.label, ended: track.readyState === "ended", muted: track.muted, enabled: track.enabled };

/** Notice when there are fewer devices than before. @param {AbortSignal} signal @param {(seen: Seen) => void} saw */
async function watchPlugs(signal, saw) {
  const count = async () => (await navigator.mediaDevices?.enumerateDevices?.().catch(() => []) ?? []).length;
  let before = await count();
  navigator.mediaDevices?.addEventListener?.("devicechange", async () => {
    const now = await count();
    if (now < before) saw({ kind: "lost" });
    before = now;
  }, { signal });
}

/** Where the browser tells it; nowhere on iOS and in Firefox. @param {AbortSignal} signal @param {(seen: Seen) => void} saw */
async function watchBattery(signal, saw) {
  const battery = await /** @type {any} */ (navigator).getBattery?.().catch(() => null);
  if (!battery || signal.aborted) return;
  const tell = () => saw({ kind: "battery", battery: { level: battery.level, charging: battery.charging } });
  for (const kind of ["levelchange", "chargingchange"]) battery.addEventListener(kind, tell, { signal });
  tell();
}
