// The connection test: what was found leads to one verdict, and a code read out leads back to what was found.
import assert from "node:assert/strict";
import { test } from "node:test";
import { advice, best, BROWSERS, decode, encode, software, SYSTEMS, verdict, WAYS, wayOf } from "../../static/state/check.js";

const way = (outcome, rtt = 30, loss = 0) => ({ outcome, rtt, loss });
const FINE = { microphone: "works", camera: "works", online: true, socket: true, ways: { udp: way("works"), tcp: way("works") }, system: "linux", browser: "chrome" };
const found = (more = {}) => ({ ...FINE, ...more });

test("a way without reports does not get through, however it says it is connected", () => {
  assert.equal(wayOf({ connected: true, reports: 0, rtt: 5, loss: 0 }).outcome, "fails");
  assert.equal(wayOf({ connected: false, reports: 3, rtt: 5, loss: 0 }).outcome, "fails");
  assert.equal(wayOf({ connected: true, reports: 1, rtt: 5, loss: 0 }).outcome, "works");
  assert.equal(wayOf({ connected: true, reports: 1, rtt: 5, loss: 0.2 }).outcome, "weak");
  assert.equal(wayOf({ connected: true, reports: 1, rtt: 900, loss: 0 }).outcome, "weak");
});

test("the first way that works carries the call, a weak one only where none works", () => {
  assert.equal(best(found()), "udp");
  assert.equal(best(found({ ways: { udp: way("fails"), tcp: way("works") } })), "tcp");
  assert.equal(best(found({ ways: { udp: way("weak"), tcp: way("fails"), turn: way("absent"), turns: way("works") } })), "turns");
  assert.equal(best(found({ ways: { udp: way("weak"), tcp: way("fails") } })), "udp");
  assert.equal(best(found({ ways: { udp: way("fails"), tcp: way("fails"), turn: way("unasked") } })), null);
});

test("every situation has its verdict", () => {
  const blocked = { udp: way("fails"), tcp: way("fails") };
  assert.equal(verdict(found()).code, "good");
  assert.equal(verdict(found({ ways: { udp: way("fails"), tcp: way("works") } })).code, "detour");
  assert.equal(verdict(found({ ways: { udp: way("weak"), tcp: way("fails") } })).code, "weak");
  assert.equal(verdict(found({ ways: blocked })).code, "blocked");
  assert.equal(verdict(found({ microphone: "silent" })).code, "listen");
  assert.equal(verdict(found({ microphone: null })).code, "good"); // nobody listened, so nothing was missed
  assert.equal(verdict(found({ socket: false })).code, "proxy");
  assert.equal(verdict(found({ online: false, ways: blocked })).code, "offline");
});

test("nobody is given advice who needs none, and a blocked microphone and camera are told once", () => {
  assert.deepEqual(advice(found()), []);
  assert.deepEqual(advice(found({ microphone: "blocked", camera: "blocked" })), ["microphone.blocked"]);
  assert.deepEqual(advice(found({ camera: "missing" })), ["camera.missing"]);
  assert.deepEqual(advice(found({ ways: { udp: way("fails"), tcp: way("fails") } })), ["blocked", "network"]);
});

/** As a code keeps it: which ways, and how the best one did. */
function kept(facts) {
  const ways = Object.fromEntries(WAYS.filter((name) => ["works", "weak", "fails"].includes(facts.ways[name]?.outcome)).map((name) => [name, facts.ways[name].outcome]));
  return { ...facts, ways, by: best(facts) };
}

test("a code leads back to what was found, for every combination", () => {
  let seed = 1;
  const pick = (all) => all[(seed = (seed * 48271) % 2147483647) % all.length];
  for (let round = 0; round < 2000; round += 1) {
    const ways = Object.fromEntries(WAYS.map((name) => [name, way(pick(["works", "weak", "fails", "absent", "unasked"]), pick([3, 75, 399, 5000]), pick([0, 0.04, 0.5]))]));
    const facts = found({ microphone: pick([null, "works", "silent", "blocked", "missing", "busy"]), camera: pick(["works", "missing"]), online: pick([true, false]),
      socket: pick([true, false]), ways, system: pick(SYSTEMS), browser: pick(BROWSERS) });
    const code = encode(facts);
    assert.match(code, /^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/);
    assert.deepEqual(kept(decode(code)), kept(facts));
    const by = best(facts);
    if (by) assert.ok(decode(code).ways[by].rtt >= facts.ways[by].rtt && decode(code).ways[by].loss >= facts.ways[by].loss);
  }
});

test("a code is understood as people write it, and one misheard letter is noticed", () => {
  const code = encode(found({ ways: { udp: way("fails"), tcp: way("works", 120) } }));
  const sloppy = ` ${code.toLowerCase().replace("-", " ").replaceAll("0", "o").replaceAll("1", "l")} `;
  assert.deepEqual(decode(sloppy), decode(code));
  const letters = code.replace("-", "");
  for (let at = 0; at < 8; at += 1) {
    for (const other of "0123456789ABCDEFGHJKMNPQRSTVWXYZ") {
      if (other !== letters[at]) assert.equal(decode(letters.slice(0, at) + other + letters.slice(at + 1)), null);
    }
  }
  for (const text of ["", "1234", "UUUU-UUUU", "not a code"]) assert.equal(decode(text), null);
});

test("systems and browsers are told apart as far as help needs it", () => {
  const chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36";
  assert.deepEqual(software(chrome, 0, false), { system: "linux", browser: "chrome" });
  assert.deepEqual(software(`${chrome} Edg/140.0`, 0, false), { system: "linux", browser: "edge" });
  assert.deepEqual(software("Mozilla/5.0 (Macintosh) AppleWebKit/605 Version/18.0 Safari/605", 5, false), { system: "ios", browser: "safari" });
  assert.deepEqual(software("Mozilla/5.0 (Android 14) Firefox/140.0", 5, false), { system: "android", browser: "firefox" });
  assert.deepEqual(software("Mozilla/5.0 (Linux; Android 14) FBAN", 5, true), { system: "android", browser: "in_app" });
});
