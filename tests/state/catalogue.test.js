import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { ar } from "../../static/ui/catalogue/ar.js";
import { en } from "../../static/ui/catalogue/en.js";

const placeholders = (text) => (text.match(/\{\w+\}/g) ?? []).sort();

test("both languages say the same things with the same blanks", () => {
  assert.deepEqual(Object.keys(ar).sort(), Object.keys(en).sort());
  for (const key of Object.keys(en)) assert.deepEqual(placeholders(ar[key]), placeholders(en[key]), key);
});

test("no part of a catalogue takes the words of another", async () => {
  const folder = new URL("../../static/ui/catalogue/", import.meta.url);
  for (const language of ["en", "ar"]) {
    const said = [];
    for (const name of readdirSync(folder).filter((one) => one.startsWith(`${language}.`) && one !== `${language}.js`)) {
      for (const part of Object.values(await import(new URL(name, folder)))) said.push(...Object.keys(part));
    }
    assert.deepEqual(said.filter((key, place) => said.indexOf(key) !== place), [], language);
    assert.equal(said.length, Object.keys(en).length);
  }
});

test("every key a page asks for exists, and no markup is built from text", () => {
  const root = new URL("../../static/", import.meta.url);
  for (const folder of ["pages", "ui", "call", "net", "state"]) {
    for (const name of readdirSync(new URL(`${folder}/`, root)).filter((one) => one.endsWith(".js"))) {
      const source = readFileSync(new URL(`${folder}/${name}`, root), "utf8");
      for (const [, key] of source.matchAll(/\bt\("([a-z0-9_.]+)"/g)) assert.ok(key in en, `${folder}/${name}: ${key}`);
      assert.doesNotMatch(source, /innerHTML|outerHTML|insertAdjacentHTML|document\.write/, name);
    }
  }
});

test("no file of pages or words is longer than 300 lines", () => {
  const root = new URL("../../static/", import.meta.url);
  for (const name of readdirSync(root, { recursive: true }).filter((one) => one.endsWith(".js"))) {
    assert.ok(readFileSync(new URL(name, root), "utf8").split("\n").length <= 301, name);
  }
});
