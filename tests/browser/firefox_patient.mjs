// A patient in Firefox: opens the link it is given, passes the code, joins, answers consent, reports as JSON lines.
// usage: node firefox_patient.mjs FIREFOX LINK PASSCODE   (then one command per line on standard input)
import { createInterface } from "node:readline";
import puppeteer from "puppeteer-core";

const [executablePath, link, passcode] = process.argv.slice(2);
const say = (fact) => process.stdout.write(`${JSON.stringify(fact)}\n`);

const browser = await puppeteer.launch({
  browser: "firefox", executablePath, headless: true,
  extraPrefsFirefox: {
    "media.navigator.streams.fake": true, "media.navigator.permission.disabled": true, "media.autoplay.default": 0,
    "media.peerconnection.ice.loopback": true, "media.peerconnection.ice.obfuscate_host_addresses": false,
  },
});
const page = await browser.newPage();
const errors = [];
const harmless = /interrupted while the page was loading/; // Firefox calls a socket that closes early an error
page.on("pageerror", (error) => harmless.test(String(error)) || errors.push(String(error)));

const commands = {
  async check() {
    await page.goto(new URL("/check", link));
    await page.locator("#start").click();
    await page.waitForSelector("[data-step=done]", { timeout: 60000 });
    const rows = await page.$$eval("[data-check]", (found) => found.map((row) => [row.dataset.check, row.dataset.outcome]));
    const verdict = await page.$eval("#verdict [data-verdict]", (said) => said.dataset.verdict);
    say({ step: "check", outcomes: Object.fromEntries(rows), verdict });
  },
  async join() {
    await page.goto(link);
    await page.locator("#code").fill(passcode);
    await page.locator("form button[type=submit]").click();
    await page.locator("#where").fill("At home");
    await page.locator("#callback-number").fill("+1 555 0101");
    await page.locator("#ready").click();
    await page.waitForSelector("#waiting-status");
    say({ step: "waiting" });
  },
  async call() {
    // Firefox counts no frames of a live stream in getVideoPlaybackQuality().
    await page.waitForFunction(() => document.querySelector("#far")?.mozPaintedFrames > 30, { timeout: 30000 });
    say({ step: "call", frames: await page.$eval("#far", (video) => video.mozPaintedFrames) });
  },
  async consent() {
    await page.locator("#consent-yes").click();
    await page.waitForSelector("#light[data-state=recording]", { timeout: 30000 });
    say({ step: "recording" });
  },
  async over() {
    await page.waitForSelector("[data-step=over]", { timeout: 30000 });
    say({ step: "over", errors });
  },
};

try {
  for await (const line of createInterface({ input: process.stdin })) {
    if (!(line in commands)) break;
    await commands[line]();
  }
} catch (error) {
  say({ step: "failed", error: String(error).slice(0, 500), errors, text: (await page.evaluate(() => document.body.innerText)).slice(0, 500) });
  process.exitCode = 1;
} finally {
  await browser.close();
}
