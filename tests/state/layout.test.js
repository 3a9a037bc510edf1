import assert from "node:assert/strict";
import { test } from "node:test";
import { grid, setting } from "../../static/state/layout.js";
import { slim } from "../../static/state/sdp.js";
import { changes } from "../../static/state/visit.js";

test("on a small phone many people stand two by two, on a desk they fill the width", () => {
  for (const count of [4, 5, 6, 7, 8]) assert.equal(grid(count, 320, 440).columns, 2, String(count));
  assert.deepEqual(grid(3, 320, 440), { columns: 1, rows: 3 });
  assert.deepEqual(grid(4, 1200, 640), { columns: 2, rows: 2 });
  assert.ok(grid(8, 1200, 640).columns >= 3);
});

test("there is a place for everybody in every window", () => {
  for (let count = 1; count <= 8; count += 1) {
    for (const [width, height] of [[320, 200], [320, 900], [812, 300], [1280, 640], [0, 0]]) {
      const { columns, rows } = grid(count, width, height);
      assert.ok(columns * rows >= count && (columns - 1) * rows < count + rows, `${count} ${width}`);
    }
  }
});

test("two people stay as they are when a screen is shared, more make room for it", () => {
  assert.deepEqual([setting(0, false), setting(1, false), setting(1, true), setting(2, false), setting(4, true)], ["alone", "two", "two", "many", "shared"]);
});

const OFFER = ["v=0", "a=group:BUNDLE 0 1", "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9", "a=mid:0", "a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10", "a=rtpmap:63 red/48000/2",
  "a=fmtp:63 111/111", "a=rtpmap:9 G722/8000", "m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103", "a=mid:1", "a=rtpmap:96 VP8/90000", "a=rtcp-fb:96 nack pli", "a=rtpmap:97 rtx/90000",
  "a=fmtp:97 apt=96", "a=rtpmap:102 H264/90000", "a=rtcp-fb:102 nack", "a=rtpmap:103 rtx/90000", "a=fmtp:103 apt=102", "a=sendonly", ""].join("\r\n");

test("an offer keeps Opus, VP8 and its repeats, and everything that is no codec", () => {
  const slimmed = slim(OFFER).split("\r\n");
  assert.ok(slimmed.includes("m=audio 9 UDP/TLS/RTP/SAVPF 111"));
  assert.ok(slimmed.includes("m=video 9 UDP/TLS/RTP/SAVPF 96 97"));
  for (const line of ["a=group:BUNDLE 0 1", "a=mid:1", "a=fmtp:97 apt=96", "a=sendonly", "a=rtcp-fb:96 nack pli"]) assert.ok(slimmed.includes(line), line);
  assert.ok(!slimmed.some((line) => /102|103|G722|red\//.test(line)));
});

test("an offer without our codecs is left for the server to refuse", () => {
  const foreign = ["v=0", "m=video 9 UDP/TLS/RTP/SAVPF 102", "a=rtpmap:102 H264/90000", ""].join("\r\n");
  assert.equal(slim(foreign), foreign);
});

test("coming and leaving is told of others only, and not of who was here before me", () => {
  const one = (participant, state = "admitted") => ({ participant, state });
  const view = (...people) => ({ self: { participant: "me" }, participants: [one("me"), ...people] });
  assert.deepEqual(changes(null, view(one("a"))), { came: [], left: [] });
  const seen = changes(view(one("a"), one("b", "waiting")), view(one("b"), one("a", "left")));
  assert.deepEqual([seen.came.map((p) => p.participant), seen.left.map((p) => p.participant)], [["b"], ["a"]]);
});
