// The picture of a call: far side, own side, screen, light, controls. Draws what the session says, decides nothing.
import { fill, h } from "./dom.js";
import { length, t } from "./i18n.js";
import { icon } from "./icons.js";
import { light, partner } from "../state/visit.js";

/** @typedef {import("../call/session.js").Session} Session */
/** @typedef {import("../state/visit.js").View} View */

/** A round button with its word below. @param {Parameters<typeof icon>[0]} name @param {import("./i18n.js").Key} key @param {() => unknown} act @param {string} [id] */
function control(name, key, act, id = "") {
  const disc = h("span", { class: "disc" }, icon(name));
  const word = h("span", {}, t(key));
  const button = h("button", { type: "button", id: id || null, onclick: act }, disc, word);
  return { button, disc, word };
}

export class Stage {
  /** @param {Session} session @param {{title: (view: View) => string, onchat: () => void, extra?: HTMLElement[], onleave: () => void,
   *   ondevices: () => void, onshare: () => void}} options */
  constructor(session, options) {
    this.session = session;
    this.options = options;
    this.far = h("video", { class: "far", autoplay: true, playsinline: true, id: "far" });
    this.farScreen = h("video", { class: "screen-far", autoplay: true, playsinline: true, muted: true, id: "far-screen", hidden: true });
    this.self = h("video", { autoplay: true, playsinline: true, id: "self" });
    this.self.muted = true;
    this.selfWord = h("span", {});
    this.absent = h("div", { class: "absent" });
    this.tellPlace = h("div", { class: "call-tell", role: "status", "aria-live": "polite" });
    this.frame = h("div", { class: "sharing-frame", hidden: true });
    this.note = h("div", { class: "sharing-note", hidden: true, role: "status" }, t("screen.running"),
      h("button", { class: "small", type: "button", id: "stop-share", onclick: options.onshare }, t("screen.stop")));
    this.stage = h("section", { class: "stage", "aria-label": t("call.stage") }, this.absent, this.far, this.farScreen,
      h("div", { class: "self-view" }, this.selfWord, this.self), this.frame, this.note, this.tellPlace);
    this.title = h("h1", {});
    this.clock = h("span", { class: "number quiet", "aria-hidden": "true" });
    this.light = h("span", { class: "light", role: "status", "aria-live": "assertive", id: "light", hidden: true });
    this.bars = h("span", { class: "bars", role: "img", "aria-label": t("quality.unknown") }, ...[1, 2, 3, 4].map(() => h("i")));
    this.protection = h("span", {});
    this.protect = h("p", { class: "protect quiet small" }, icon("lock"), this.protection);
    const { devices } = session;
    this.mic = control("mic", "call.mute", () => (devices.broken ? devices.open() : devices.mute(Boolean(devices.audio?.enabled))), "mic");
    this.cam = control("camera", "call.camera.off", () => (devices.broken ? devices.open() : devices.camera(!devices.video)), "cam");
    this.share = control("screen", "call.share", options.onshare, "share");
    this.chat = control("chat", "call.chat", options.onchat, "chat");
    this.bar = this.#toolbar();
    this.root = h("main", { class: "call", id: "main" },
      h("header", { class: "call-top" }, this.title, this.clock, this.bars, h("span", { class: "spread" }), this.protect, this.light),
      this.stage, this.bar);
    this.root.tabIndex = -1;
    this.began = Date.now();
    this.timer = setInterval(() => { this.clock.textContent = length((Date.now() - this.began) / 1000); }, 1000);
    for (const name of ["view", "far", "peer"]) session.addEventListener(name, () => this.draw());
    session.devices.addEventListener("change", () => this.draw());
    session.addEventListener("quality", (event) => this.#quality(/** @type {CustomEvent} */ (event).detail));
    session.addEventListener("link", () => this.draw());
  }

  #toolbar() {
    const settings = control("devices", "call.devices", this.options.ondevices, "devices");
    const leave = control("leave", "call.leave", this.options.onleave, "leave");
    leave.button.classList.add("leave");
    this.share.button.hidden = !("getDisplayMedia" in (navigator.mediaDevices ?? {}));
    return h("div", { class: "controls", role: "toolbar", "aria-label": t("call.controls") },
      this.mic.button, this.cam.button, this.share.button, this.chat.button, settings.button, ...(this.options.extra ?? []), leave.button);
  }

  draw() {
    const { view, peer, devices } = this.session;
    if (!view) return;
    this.title.textContent = this.options.title(view);
    this.#drawFar(view, peer);
    this.#drawSelf(devices);
    this.#drawLight(view);
    this.share.button.disabled = view.screen_forbidden && view.self.role !== "clinician";
    this.share.button.setAttribute("aria-pressed", String(this.session.screen));
    this.frame.hidden = this.note.hidden = !this.session.screen;
    const kept = ["recording", "paused", "starting"].includes(view.recording.state);
    this.protection.textContent = t(kept ? "protect.recorded" : "protect.direct");
  }

  /** @param {View} view @param {import("../call/peer.js").Peer | null} peer */
  #drawFar(view, peer) {
    const person = partner(view);
    show(this.far, peer?.far ?? null);
    const screen = Boolean(person?.screen && peer?.farScreen.getVideoTracks().length);
    show(this.farScreen, screen ? peer?.farScreen ?? null : null);
    this.farScreen.hidden = !screen;
    this.stage.classList.toggle("has-screen", screen);
    const picture = Boolean(person?.video && peer && peer.connection.connectionState === "connected");
    this.far.style.visibility = picture ? "visible" : "hidden";
    this.absent.hidden = picture;
    const name = person?.name ?? t(/** @type {any} */ (`role.${person?.role ?? "nobody"}`));
    fill(this.absent, person && h("div", { class: "initial", "aria-hidden": "true" }, name.slice(0, 1)), h("p", {}, this.#why(person, peer, name)));
  }

  /** @param {import("../state/visit.js").Person | null} person @param {import("../call/peer.js").Peer | null} peer @param {string} name */
  #why(person, peer, name) {
    if (!person) return t("call.alone");
    if (!person.online) return t("call.away", { name });
    if (peer?.connection.connectionState !== "connected") return t("call.connecting", { name });
    return t("call.nocamera", { name });
  }

  /** @param {import("../call/devices.js").Devices} devices */
  #drawSelf(devices) {
    const stream = devices.video ? new MediaStream([devices.video]) : null;
    const held = /** @type {MediaStream | null} */ (this.self.srcObject)?.getVideoTracks()[0] ?? null;
    if (held !== devices.video) this.self.srcObject = stream;
    this.self.hidden = !devices.video;
    this.selfWord.textContent = devices.video ? "" : t("call.self.off");
    const muted = !devices.audio?.enabled;
    press(this.mic, muted, muted ? "micOff" : "mic", t(muted ? "call.unmute" : "call.mute"));
    press(this.cam, !devices.video, devices.video ? "camera" : "cameraOff", t(devices.video ? "call.camera.off" : "call.camera.on"));
    this.mic.button.disabled = !devices.audio;
  }

  /** @param {View} view */
  #drawLight(view) {
    const { state, key } = light(view.recording);
    const words = t(/** @type {any} */ (key));
    if (this.light.dataset.state === state) return;
    this.light.dataset.state = state;
    this.light.hidden = state === "none";
    this.light.textContent = words;
  }

  /** @param {number} level */
  #quality(level) {
    const before = Number(this.bars.dataset.level ?? 4);
    this.bars.dataset.level = String(level);
    this.bars.setAttribute("aria-label", t(/** @type {any} */ (`quality.${level}`)));
    if (level <= 2 && before > 2) this.say(t("quality.weak"));
  }

  /** A sentence on the stage for a while, or until the next. @param {string} text @param {boolean} [lasting] */
  say(text, lasting = false) {
    this.tellPlace.textContent = text;
    clearTimeout(this.saying);
    if (!lasting) this.saying = setTimeout(() => { this.tellPlace.textContent = ""; }, 6000);
  }

  close() { clearInterval(this.timer); }
}

/** @param {HTMLVideoElement} video @param {MediaStream | null} stream */
function show(video, stream) {
  if (video.srcObject !== stream) video.srcObject = stream;
  if (stream && video.paused) video.play().catch(() => null);
}

/** @param {ReturnType<typeof control>} one @param {boolean} pressed @param {Parameters<typeof icon>[0]} name @param {string} word */
function press(one, pressed, name, word) {
  one.button.setAttribute("aria-pressed", String(pressed));
  if (one.word.textContent !== word || !one.disc.dataset.icon || one.disc.dataset.icon !== name) {
    one.disc.dataset.icon = name;
    fill(one.disc, icon(name));
    one.word.textContent = word;
  }
}
