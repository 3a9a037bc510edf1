// Every word on every page comes through `t`.
import { ar } from "./catalogue/ar.js";
import { en } from "./catalogue/en.js";

/** @typedef {keyof typeof en} Key */

/** @type {Record<string, Record<string, string>>} */
const CATALOGUES = { en, ar };
const NAMES = { en: "English", ar: "العربية" };
const RIGHT_TO_LEFT = new Set(["ar"]);

export const language = chosen();
/** The reader's own region where it speaks the page's language; digits as in codes and phone numbers. */
const LOCALE = `${navigator.languages.find((one) => one.split("-")[0] === language) ?? language}-u-nu-latn`;

function chosen() {
  const kept = localStorage.getItem("language");
  const wished = kept ?? navigator.language.slice(0, 2);
  return wished in CATALOGUES ? wished : "en";
}

/** The text for `key`, with `{name}` filled in. @param {Key} key @param {Record<string, string | number>} [values] */
export function t(key, values = {}) {
  const text = CATALOGUES[language][key] ?? en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** The plain words for an error code. @param {string} code @returns {string} */
export function wordsFor(code) {
  const key = `error.${code}`;
  return key in en ? t(/** @type {Key} */ (key)) : t("error.other", { code });
}

/** Why a recording does not run, in plain words. @param {string} code @returns {string} */
export function wordsForReason(code) {
  const key = `reason.${code}`;
  if (key in en) return t(/** @type {Key} */ (key));
  return `error.${code}` in en ? wordsFor(code) : t("reason.failed");
}

/** Mark the document with its language and direction. */
export function applyLanguage() {
  document.documentElement.lang = language;
  document.documentElement.dir = RIGHT_TO_LEFT.has(language) ? "rtl" : "ltr";
}

/** A chooser that reloads the page in the other language. */
export function languageChooser() {
  const select = document.createElement("select");
  select.setAttribute("aria-label", t("language"));
  for (const [code, name] of Object.entries(NAMES)) {
    const option = new Option(name, code, code === language, code === language);
    option.lang = code;
    select.append(option);
  }
  select.addEventListener("change", () => {
    localStorage.setItem("language", select.value);
    location.reload();
  });
  return select;
}

/** @param {string | Date} moment */
export const clock = (moment) =>
  new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit" }).format(new Date(moment));

/** @param {string | Date} moment */
export const day = (moment) =>
  new Intl.DateTimeFormat(LOCALE, { weekday: "long", day: "numeric", month: "long" }).format(new Date(moment));

/** @param {string | Date} moment */
export const dayAndTime = (moment) =>
  new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeStyle: "short" }).format(new Date(moment));

/** A calendar day, the same for everybody. @param {string} on `YYYY-MM-DD` */
export const dateOf = (on) =>
  new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeZone: "UTC" }).format(new Date(`${on}T00:00Z`));

/** Minutes and seconds of a length, `1:05` or `1:02:03`. @param {number} seconds */
export function length(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((part, place) => (place ? String(part).padStart(2, "0") : String(part))).join(":");
}

/** @param {number} bytes */
export function size(bytes) {
  const units = /** @type {const} */ (["byte", "kilobyte", "megabyte", "gigabyte"]);
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return new Intl.NumberFormat(LOCALE, {
    style: "unit", unit: units[unit], unitDisplay: "short", maximumFractionDigits: value < 10 && unit ? 1 : 0,
  }).format(value);
}
