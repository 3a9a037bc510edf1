// Hints follow from what is known of device and line: the gravest first, never more than three, none that is closed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { begin, hints, insideApp, observe, QUIET_MS, systemOf } from "../../static/state/guide.js";

const CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36";
const IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1";
const IPAD = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15";
const WEBVIEW = "Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/140.0 Mobile Safari/537.36";
const IN_IOS = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 300.0";
const TRACK = { label: "Microphone", ended: false, muted: false, enabled: true };

const on = (agent = CHROME, more = {}) => begin({ agent, touches: 0, secure: true, capable: true, online: true, saving: false, ...more });
const see = (facts, ...seen) => seen.reduce(observe, facts);
const codes = (facts, now = 0) => hints(facts, now).map(({ code }) => code);
const tracks = (audio = TRACK, video = null, trouble = null) => ({ kind: "tracks", audio, video, trouble });

test("a good device hears nothing from us", () => {
  assert.deepEqual(codes(see(on(), tracks(TRACK, { ...TRACK, label: "FaceTime HD Camera" }), { kind: "quality", level: 4 })), []);
});

test("systems and windows inside other apps are told apart", () => {
  assert.deepEqual([[CHROME, 0], [IPHONE, 5], [IPAD, 5], [IPAD, 0], [WEBVIEW, 5]].map(([agent, touches]) => systemOf(agent, touches)),
    ["desktop", "ios", "ios", "desktop", "android"]);
  assert.deepEqual([CHROME, IPHONE, IPAD, WEBVIEW, IN_IOS].map(insideApp), [false, false, false, true, true]);
  assert.deepEqual(codes(on(WEBVIEW)), ["in_app"]);
  assert.deepEqual(codes(on(IN_IOS)), ["in_app.ios"]);
});

test("an old browser is told to be old, but inside an app the app is the reason", () => {
  assert.deepEqual(codes(on(CHROME, { capable: false })), ["old_browser"]);
  assert.deepEqual(codes(on(WEBVIEW, { capable: false })), ["in_app"]);
  assert.deepEqual(codes(on(CHROME, { secure: false, capable: false })), ["insecure"]);
});

test("blocked permissions are explained for the system at hand", () => {
  const blocked = tracks(null, null, "blocked");
  assert.deepEqual([CHROME, IPHONE, WEBVIEW.replace("; wv", "")].map((agent) => codes(see(on(agent), blocked))),
    [["blocked.desktop"], ["blocked.ios"], ["blocked.android"]]);
});

test("a phone call on iOS offers to start again", () => {
  const [hint] = hints(see(on(IPHONE), tracks({ ...TRACK, ended: true })), 0);
  assert.deepEqual([hint.code, hint.restart], ["ended.ios", true]);
  assert.deepEqual(codes(see(on(IPHONE), tracks({ ...TRACK, muted: true }))), ["muted_microphone.ios"]);
  assert.deepEqual(codes(see(on(IPHONE), tracks({ ...TRACK, ended: true }), tracks())), []);
});

test("muted by the system is not muted by the person", () => {
  assert.deepEqual(codes(see(on(), tracks({ ...TRACK, muted: true }))), ["muted_microphone"]);
  assert.deepEqual(codes(see(on(), tracks({ ...TRACK, enabled: false }))), []);
  assert.deepEqual(codes(see(on(), tracks(TRACK, { ...TRACK, muted: true }))), ["muted_camera"]);
});

test("a silent microphone is noticed after a while, and forgotten with the first word or another choice", () => {
  const quiet = see(on(), tracks(), { kind: "level", value: 0, at: 1000 }, { kind: "level", value: 0.01, at: 2000 });
  assert.deepEqual(codes(quiet, 1000 + QUIET_MS - 1), []);
  assert.deepEqual(codes(quiet, 1000 + QUIET_MS), ["silent"]);
  assert.equal(hints(quiet, 1000 + QUIET_MS)[0].values.label, "Microphone");
  assert.deepEqual(codes(see(quiet, { kind: "level", value: 0.5, at: 3000 }), 60_000), []);
  assert.deepEqual(codes(see(quiet, { kind: "chosen" }), 60_000), []);
  assert.deepEqual(codes(see(quiet, tracks({ ...TRACK, label: "Other" })), 60_000), []);
  assert.deepEqual(codes(see(quiet, tracks({ ...TRACK, enabled: false })), 60_000), []);
});

test("what may be the wrong device is said gently", () => {
  assert.deepEqual(codes(see(on(), tracks(TRACK, { ...TRACK, label: "OBS Virtual Camera" }))), ["virtual_camera"]);
  assert.deepEqual(codes(see(on(), tracks(), { kind: "lost" })), ["device_lost"]);
});

test("a weak line says what to do, by the call's own measure once there is one", () => {
  assert.deepEqual(codes(see(on(), { kind: "line", slow: true })), ["weak_line"]);
  assert.deepEqual(codes(see(on(), { kind: "line", slow: true }, { kind: "quality", level: 4 })), []);
  assert.deepEqual(codes(see(on(CHROME, { saving: true }), { kind: "quality", level: 1 })), ["weak_line", "saving"]);
  assert.deepEqual(codes(see(on(), { kind: "quality", level: 1 }, { kind: "online", online: false })), ["offline"]);
});

test("a low battery is said only while nothing charges it", () => {
  assert.deepEqual(codes(see(on(), { kind: "battery", battery: { level: 0.2, charging: false } })), ["battery"]);
  assert.deepEqual(codes(see(on(), { kind: "battery", battery: { level: 0.2, charging: true } })), []);
  assert.deepEqual(codes(see(on(), { kind: "battery", battery: { level: 0.21, charging: false } })), []);
});

test("the gravest come first, three at most, and what was closed stays closed", () => {
  const all = see(on(CHROME, { saving: true }), tracks({ ...TRACK, muted: true }, { ...TRACK, label: "OBS" }), { kind: "lost" },
    { kind: "quality", level: 1 }, { kind: "battery", battery: { level: 0.1, charging: false } });
  assert.deepEqual(codes(all), ["muted_microphone", "virtual_camera", "device_lost"]);
  assert.deepEqual(codes(see(all, { kind: "closed", code: "virtual_camera" })), ["muted_microphone", "device_lost", "weak_line"]);
});
