// The picture of a call: the people, own side, screen, light, controls. Draws what the session says, decides nothing.
import { fill, h } from "./dom.js";
import { length, t } from "./i18n.js";
import { icon } from "./icons.js";
import { company, mediaOf } from "../state/media.js";
import { light, unrecorded } from "../state/visit.js";
import { People } from "./people.js";
import { called } from "./tile.js";

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
    this.self = h("video", { autoplay: true, playsinline: true, id: "self" });
    this.self.muted = true;
    this.selfWord = h("span", {});
    this.selfLabel = h("p", { class: "who" });
    this.absent = h("div", { class: "absent" });
    this.tellPlace = h("div", { class: "call-tell", role: "status", "aria-live": "polite" });
    /** @type {Map<string, string>} */
    this.standing = new Map();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.saying = undefined;
    this.frame = h("div", { class: "sharing-frame", hidden: true });
    this.note = h("div", { class: "sharing-note", hidden: true, role: "status" }, t("screen.running"),
      h("button", { class: "small", type: "button", id: "stop-share", onclick: options.onshare }, t("screen.stop")));
    this.stage = h("section", { class: "stage", "aria-label": t("call.stage"), "data-setting": "alone" });
    this.people = new People(h("div", {}, this.selfWord, this.self, this.selfLabel), this.stage);
    this.stage.append(this.absent, this.people.screen.root, this.people.list, this.frame, this.note, this.tellPlace);
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
    session.addEventListener("speaking", (event) => this.people.mark(/** @type {CustomEvent} */ (event).detail));
    session.addEventListener("people", (event) => this.#came(/** @type {CustomEvent} */ (event).detail));
    for (const name of ["view", "far"]) session.addEventListener(name, () => this.draw());
    session.devices.addEventListener("change", () => this.draw());
    session.addEventListener("quality", (event) => this.#quality(/** @type {CustomEvent} */ (event).detail));
    for (const name of ["link", "straight"]) session.addEventListener(name, () => this.draw());
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
    const { view, devices } = this.session;
    if (!view) return;
    this.title.textContent = this.options.title(view);
    this.#drawOthers(view);
    this.#drawSelf(devices);
    this.#drawLight(view);
    this.share.button.disabled = view.screen_forbidden && view.self.role !== "clinician";
    this.share.button.setAttribute("aria-pressed", String(this.session.screen));
    this.frame.hidden = this.note.hidden = !this.session.screen;
    this.protection.textContent = t(protectionOf(view));
    const { topology, settled } = mediaOf(view);
    this.stage.dataset.media = [topology, settled && "settled", this.session.ways.straight && "straight"].filter(Boolean).join(" ");
    this.root.dataset.self = view.self.participant;
  }

  /** @param {View} view */
  #drawOthers(view) {
    const [person = null, more] = company(view);
    this.people.draw(view, this.session.ways);
    this.absent.hidden = Boolean(more) || this.people.seen;
    const name = called(person);
    fill(this.absent, person && h("div", { class: "initial", "aria-hidden": "true" }, name.slice(0, 1)), h("p", {}, this.#why(person, name)));
  }

  /** @param {import("../state/visit.js").Person | null} person @param {string} name */
  #why(person, name) {
    if (!person) return t("call.alone");
    if (!person.online) return t("call.away", { name });
    return t(this.session.ways.reaches(person) ? "call.nocamera" : "call.connecting", { name });
  }

  /** Where two become more, or more become two, it is said. @param {{came: import("../state/visit.js").Person[], left: import("../state/visit.js").Person[]}} changes */
  #came({ came, left }) {
    const crowd = this.session.view ? company(this.session.view).length + left.length > 1 : false;
    if (!crowd) return;
    const names = (/** @type {import("../state/visit.js").Person[]} */ people) => people.map(called).join(", ");
    const said = [came.length && t("people.came", { name: names(came) }), left.length && t("people.left", { name: names(left) })];
    this.say(said.filter(Boolean).join(" "));
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
    fill(this.selfLabel, muted && h("span", { class: "off", role: "img", "aria-label": t("people.muted") }, icon("micOff")), h("span", { class: "name" }, t("chat.you")));
  }

  /** @param {View} view */
  #drawLight(view) {
    const without = unrecorded(view);
    const straight = this.session.ways.straight && !this.session.socket.connected;
    const { state, key } = light(view.recording, { straight, gaps: without.length > 0 });
    const name = without.map((person) => (person.participant === view.self.participant ? t("chat.you") : called(person))).join(", ");
    const words = t(/** @type {any} */ (key), { name });
    if (this.light.dataset.state === state && this.light.textContent === words) return;
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

  /** A sentence on the stage for a while; then what stands there is seen again. @param {string} text */
  say(text) {
    clearTimeout(this.saying);
    this.saying = text ? setTimeout(() => this.say(""), 6000) : undefined;
    this.tellPlace.textContent = text || [...this.standing.values()].filter(Boolean).join(" ");
  }

  /** A sentence that stands on the stage until it is taken back. @param {"link" | "without" | "identity"} about @param {string} text */
  stand(about, text) {
    if ((this.standing.get(about) ?? "") === text) return;
    this.standing.set(about, text);
    if (text || !this.saying) this.say("");
  }

  close() {
    clearInterval(this.timer);
    clearTimeout(this.saying);
    this.people.close();
  }
}

/** How this call is protected, in a word of the catalogue. @param {View} view @returns {import("./i18n.js").Key} */
function protectionOf(view) {
  const kept = ["recording", "paused", "starting"].includes(view.recording.state);
  if (mediaOf(view).topology === "relay") return kept ? "protect.relayed.recorded" : "protect.relayed";
  return kept ? "protect.recorded" : "protect.direct";
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
