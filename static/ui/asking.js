// Dialogs of a call: consent, screen preview, devices.
import { meter } from "../call/devices.js";
import { ask, field, h } from "./dom.js";
import { t } from "./i18n.js";

/** What is asked, by whom, what for, how long kept; both answers equally large. Gone when `over` aborts.
 * @param {import("../call/session.js").Asked} asked @param {AbortSignal} over @returns {Promise<"yes" | "no" | null>} */
export function askConsent(asked, over) {
  return ask(t("consent.title"), (close) => (over.addEventListener("abort", () => close(null)), [
    h("p", {}, t("consent.by", { name: asked.by.name })),
    h("div", { class: "note stack", lang: asked.language, id: "consent-text" },
      ...asked.text.split("\n\n").map((part) => h("p", {}, part))),
    h("dl", { class: "facts small" },
      h("dt", {}, t("consent.purpose")), h("dd", {}, t(/** @type {any} */ (`purpose.${asked.purpose}`))),
      h("dt", {}, t("consent.kept")), h("dd", {}, t("consent.days", { years: Math.round(asked.retention_days / 36.525) / 10 })),
      h("dt", {}, t("consent.version")), h("dd", {}, `${asked.version} · ${asked.sha256.slice(0, 12)}`)),
    h("p", { class: "quiet" }, t("consent.free")),
    h("div", { class: "pair answers" },
      h("button", { id: "consent-no", onclick: () => close("no") }, t("consent.no")),
      h("button", { class: "primary", id: "consent-yes", onclick: () => close("yes") }, t("consent.yes"))),
  ]), "large");
}

/** Whether to go on although the audit log cannot note it. @returns {Promise<boolean | null>} */
export function askEmergency() {
  return ask(t("emergency.title"), (close) => [h("p", {}, t("emergency.text")),
    h("div", { class: "actions end" }, h("button", { onclick: () => close(null) }, t("cancel")),
      h("button", { class: "danger primary", id: "emergency-go", onclick: () => close(true) }, t("emergency.go")))]);
}

/** Which purpose the clinician asks for. @returns {Promise<string | null>} */
export function askPurpose() {
  return ask(t("record.ask.title"), (close) => {
    const select = h("select", { id: "purpose" });
    for (const purpose of ["treatment_record", "second_opinion", "training"]) {
      select.append(new Option(t(/** @type {any} */ (`purpose.${purpose}`)), purpose));
    }
    return [h("p", {}, t("record.ask.text")), field(t("consent.purpose"), select),
      h("div", { class: "actions end" }, h("button", { onclick: () => close(null) }, t("cancel")),
        h("button", { class: "primary", id: "ask-go", onclick: () => close(select.value) }, t("record.ask.go")))];
  });
}

/** Choose a screen, look at it, then share it. @returns {Promise<MediaStreamTrack | null>} */
export async function previewScreen() {
  const stream = await navigator.mediaDevices.getDisplayMedia({ video: true, audio: false }).catch(() => null);
  const track = stream?.getVideoTracks()[0] ?? null;
  if (!stream || !track) return null;
  const agreed = await ask(t("screen.preview"), (close) => {
    const video = h("video", { autoplay: true, playsinline: true, class: "wide" });
    video.muted = true;
    video.srcObject = stream;
    video.style.inlineSize = "100%";
    return [h("p", {}, t("screen.preview.text")), video,
      h("div", { class: "actions end" }, h("button", { onclick: () => close(false) }, t("cancel")),
        h("button", { class: "primary", id: "share-go", onclick: () => close(true) }, t("screen.go")))];
  }, "large");
  if (agreed) return track;
  track.stop();
  return null;
}

/** @typedef {{setSinkId: (id: string) => Promise<void>}} Output */

/** Choose camera, microphone and speaker while talking. @param {import("../call/devices.js").Devices} devices @param {Output[]} outputs */
export async function askDevices(devices, outputs) {
  const all = await devices.list();
  const stop = new AbortController();
  await ask(t("devices.title"), (close) => [h("div", { class: "stack" },
    ...deviceChoices(devices, all, outputs), h("span", { class: "small" }, t("devices.level")), levelMeter(devices.audio, stop.signal)),
    h("div", { class: "actions end" }, h("button", { class: "primary", onclick: () => close(true) }, t("done"))),
  ]);
  stop.abort();
}

/** How loud the microphone is, until `signal` aborts. @param {MediaStreamTrack | null} track @param {AbortSignal} signal */
export function levelMeter(track, signal) {
  const bar = h("i");
  const level = h("div", { class: "meter", role: "meter", "aria-label": t("devices.level"), "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 0 }, bar);
  if (track) {
    meter(track, (value) => {
      bar.style.setProperty("--level", value.toFixed(2));
      level.setAttribute("aria-valuenow", String(Math.round(value * 100)));
    }, signal);
  }
  return level;
}

/** @param {import("../call/devices.js").Devices} devices @param {MediaDeviceInfo[]} all @param {Output[]} outputs */
export function deviceChoices(devices, all, outputs) {
  return [
    field(t("devices.camera"), chooser("videoinput", (id) => devices.choose("video", id), devices.video)),
    field(t("devices.microphone"), chooser("audioinput", (id) => devices.choose("audio", id), devices.audio)),
    "setSinkId" in HTMLMediaElement.prototype && outputs.length > 0
      && field(t("devices.speaker"), chooser("audiooutput", (id) => Promise.all(outputs.map((one) => one.setSinkId(id))), null)),
  ];

  /** @param {MediaDeviceKind} kind @param {(id: string) => unknown} pick @param {MediaStreamTrack | null} track */
  function chooser(kind, pick, track) {
    const select = h("select", { onchange: () => pick(select.value) });
    for (const device of all.filter((one) => one.kind === kind)) select.append(new Option(device.label || t("devices.unnamed"), device.deviceId));
    const held = track?.getSettings().deviceId;
    if (held) select.value = held;
    if (!select.options.length) {
      select.append(new Option(t("devices.none"), ""));
      select.disabled = true;
    }
    return select;
  }
}
