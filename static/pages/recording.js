// One recording: facts, playback, hold, deletion, certificate.
import { Playback } from "../call/playback.js";
import { call, codeOf } from "../net/api.js";
import { proof } from "../net/proof.js";
import { glassOffer } from "../ui/care.js";
import { ask, field, fill, h, tell } from "../ui/dom.js";
import { certificates, gapStrip, parts, pendingWords, wishes } from "../ui/erasing.js";
import { dayAndTime, length, size, t, wordsFor, wordsForReason } from "../ui/i18n.js";
import { icon } from "../ui/icons.js";
import { staffPage } from "../ui/shell.js";
import { takingOut } from "./exports.js";

/** @type {Playback | null} */
let playback = null;
const { session, main } = await staffPage("recording.title", () => Boolean(playback?.playing));
const id = location.pathname.split("/")[2];
const stage = h("section", { class: "card stack", "aria-label": t("recording.play") });
const facts = h("section", { class: "card" });
const acts = h("div", { class: "actions" });
const erasing = h("div", { class: "stack" });
const heading = h("h1", {}, t("recording.title"));
fill(main, h("p", {}, h("a", { href: "/recordings" }, t("recording.back"))), h("div", { class: "page-head" }, heading, acts), stage, facts, erasing);
/** @type {any} */
let recording = null;
/** @type {HTMLElement | null} */
let taking = null;

async function load() {
  try {
    recording = await call("GET", `/recordings/${id}`);
    draw();
  } catch (error) {
    const offered = codeOf(error) === "not_found" && session.user.role === "clinician";
    fill(stage, h("p", { role: "alert" }, wordsFor(codeOf(error))), offered && glassOffer({ recording: id }, load));
  }
}

function draw() {
  heading.textContent = dayAndTime(recording.started_at);
  const gone = ["deleting", "deleted"].includes(recording.state);
  if (gone) taking?.remove();
  else if (recording.state === "sealed" && !taking) main.append(taking = takingOut(id, session.user.role));
  if (!playback) fill(stage, gone ? h("p", { class: "empty" }, t("recording.gone")) : recording.state === "sealed" ? startPlaying() : h("p", { role: "status" }, t("recording.notyet")));
  fill(facts, h("h2", {}, t("recording.facts")), h("dl", { class: "facts" }, ...pairs().flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
  fill(acts, ...(session.user.role === "admin" ? adminActs(gone) : []));
  const staff = ["admin", "clinician"].includes(session.user.role);
  fill(erasing, wishes(recording, session.user, load), staff && parts(recording, load));
}

/** @returns {[string, string][]} */
function pairs() {
  const state = recording.interrupted && recording.state === "sealed" ? "interrupted" : recording.state;
  /** @type {[string, string | null | false][]} */
  const all = [
    [t("recordings.state"), pendingWords(recording) ?? t(/** @type {any} */ (`recording.${state}`))],
    [t("recordings.length"), length(recording.milliseconds / 1000)],
    [t("recordings.clinician"), recording.clinician.name],
    [t("recordings.size"), size(recording.bytes)],
    [t("recording.stopped"), recording.stop_reason && wordsForReason(recording.stop_reason)],
    [t("recording.tracks"), recording.tracks.map((/** @type {any} */ one) => t(/** @type {any} */ (`role.${one.role}`))).join(", ")],
    [t("recordings.due"), recording.retention.due_at && dayAndTime(recording.retention.due_at)],
    [t("recording.hold"), recording.hold && `${recording.hold.reason} (${dayAndTime(recording.hold.at)})`],
    [t("recording.deleted.at"), recording.destroyed_at && dayAndTime(recording.destroyed_at)],
    [t("recording.effective"), recording.effective_after && dayAndTime(recording.effective_after)],
    [t("recording.id"), recording.id],
  ];
  return /** @type {[string, string][]} */ (all.filter(([, value]) => value));
}

function startPlaying() {
  const purpose = h("select", { id: "play-purpose" }, ...["treatment", "quality", "legal", "patient_request"].map((one) =>
    new Option(t(/** @type {any} */ (`play.${one}`)), one)));
  const button = h("button", { class: "primary", id: "play" }, icon("play"), t("recording.play"));
  button.addEventListener("click", () => play(purpose.value).catch((error) => tell(wordsFor(codeOf(error)), "danger", codeOf(error))));
  return h("div", { class: "stack" }, h("p", { class: "quiet" }, t("recording.logged")), field(t("recording.purpose"), purpose), h("div", { class: "actions" }, button));
}

/** @param {string} purpose */
async function play(purpose) {
  const shown = await proof();
  const grant = await call("POST", `/recordings/${id}/grants`, { purpose }, shown ? { "Session-Proof": shown } : {});
  const renew = setInterval(() => call("POST", `/grants/${grant.id}/renew`).catch(() => clearInterval(renew)), 25_000);
  const players = recording.tracks.map((/** @type {any} */ track) => ({
    track,
    video: h("video", { src: grant.tracks.find((/** @type {any} */ one) => one.id === track.id).url, playsinline: true, preload: "auto", "data-role": track.role }),
  }));
  const held = new Playback(players);
  playback = held;
  const slider = h("input", { type: "range", min: 0, max: held.seconds.toFixed(2), step: 0.05, value: 0, "aria-label": t("recording.position"), id: "position" });
  const time = h("span", { class: "number" });
  const toggle = h("button", { class: "primary", id: "toggle", "aria-label": t("recording.play") }, icon("play"));
  const done = h("button", { id: "stop-playing", onclick: close }, t("done"));
  toggle.addEventListener("click", () => (held.playing ? held.pause() : held.play()));
  slider.addEventListener("input", () => held.seek(Number(slider.value)));
  held.addEventListener("tick", () => {
    slider.value = String(held.at);
    time.textContent = `${length(held.at)} / ${length(held.seconds)}`;
    slider.setAttribute("aria-valuetext", time.textContent);
    fill(toggle, icon(held.playing ? "pause" : "play"));
    toggle.setAttribute("aria-label", t(held.playing ? "recording.pause" : "recording.play"));
  });
  fill(stage, h("div", { class: "players" }, ...players.map((/** @type {any} */ one) =>
    h("figure", {}, one.video, h("figcaption", {}, t(/** @type {any} */ (`role.${one.track.role}`)))))),
  h("div", { class: "transport" }, toggle, slider, time, done), gapStrip(recording.manifest, held.seconds));
  await held.seek(0);
  await held.play();

  async function close() {
    clearInterval(renew);
    held.close();
    for (const { video } of players) video.removeAttribute("src");
    playback = null;
    await call("DELETE", `/grants/${grant.id}`).catch(() => null);
    await load();
  }
}

/** @param {boolean} gone */
function adminActs(gone) {
  if (gone) return certificates(recording, `/recordings/${id}`, "");
  return [
    recording.hold
      ? h("button", { id: "release", onclick: () => change("DELETE", `/recordings/${id}/hold`) }, t("recording.release"))
      : h("button", { id: "hold", onclick: hold }, t("recording.hold")),
    h("button", { class: "danger", id: "delete", onclick: remove }, t("recording.delete")),
  ];
}

/** @param {string} method @param {string} path @param {object} [body] */
async function change(method, path, body) {
  try {
    await call(method, path, body);
  } catch (error) {
    tell(wordsFor(codeOf(error)), "danger", codeOf(error));
  }
  await load();
}

async function hold() {
  const reason = h("input", { id: "hold-reason", maxlength: 200, required: true });
  const given = await ask(t("recording.hold"), (close) => [h("form", { class: "stack", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); close(reason.value); } },
    h("p", {}, t("recording.hold.text")), field(t("reason"), reason),
    h("div", { class: "actions end" }, h("button", { type: "button", onclick: () => close(null) }, t("cancel")), h("button", { class: "primary", type: "submit" }, t("recording.hold"))))]);
  if (given) await change("PUT", `/recordings/${id}/hold`, { reason: given });
}

async function remove() {
  const reason = h("select", { id: "delete-reason" }, ...["patient_request", "error", "policy", "other"].map((one) => new Option(t(/** @type {any} */ (`delete.${one}`)), one)));
  const note = h("input", { id: "delete-note", maxlength: 500 });
  const sure = await ask(t("recording.delete"), (close) => [h("form", { class: "stack", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); close(true); } },
    h("p", { class: "note danger" }, t("recording.delete.text")), field(t("reason"), reason), field(t("recording.note"), note),
    h("div", { class: "actions end" }, h("button", { type: "button", onclick: () => close(null) }, t("cancel")), h("button", { class: "danger primary", type: "submit", id: "delete-go" }, t("recording.delete"))))]);
  if (!sure) return;
  await change("DELETE", `/recordings/${id}`, { reason: reason.value, note: note.value || null });
  if (recording.requests.length) tell(t("erase.asked"));
}

await load();
if (recording && !settled()) {
  const timer = setInterval(async () => {
    await load();
    if (settled()) clearInterval(timer);
  }, 2000);
}

/** Whether nothing is under way that the page should wait for. */
function settled() {
  return ["sealed", "deleted"].includes(recording.state) || Boolean(recording.certificate);
}
