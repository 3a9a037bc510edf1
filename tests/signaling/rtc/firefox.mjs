// Opens one page in a headless Firefox with false camera and microphone; ends with its standard input.
import puppeteer from "puppeteer-core";

const [executablePath, url] = process.argv.slice(2);
const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath,
  headless: true,
  extraPrefsFirefox: { "media.navigator.streams.fake": true, "media.navigator.permission.disabled": true },
});
const page = await browser.newPage();
await page.goto(url);
process.stdin.on("end", () => browser.close()).resume();
