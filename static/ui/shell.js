// The frame of staff pages: brand, navigation, language, idle sign-out.
import { call, onStepUp, Problem } from "../net/api.js";
import "./care.js"; // staff may be asked for a purpose anywhere
import { ask, fill, h } from "./dom.js";
import { applyLanguage, language, languageChooser, t } from "./i18n.js";
import { icon } from "./icons.js";
import { confirmItIsYou } from "./passkeys.js";

/** @typedef {{id: string, name: string, role: "admin" | "clinician" | "auditor" | "front_desk"}} User */
/** @typedef {{name: string, logo: string | null}} Clinic */
/** @typedef {{user: User, idle_seconds: number, factor: string, clinic: Clinic, demo: boolean}} Session */

/** @type {Record<string, {path: string, key: import("./i18n.js").Key}[]>} */
const PLACES = {
  clinician: [{ path: "/visits", key: "nav.visits" }, { path: "/recordings", key: "nav.recordings" }],
  admin: [
    { path: "/visits", key: "nav.visits" }, { path: "/recordings", key: "nav.recordings" },
    { path: "/audit", key: "nav.audit" }, { path: "/alerts", key: "nav.alerts" }, { path: "/registers", key: "nav.registers" }, { path: "/settings", key: "nav.settings" },
  ],
  auditor: [{ path: "/audit", key: "nav.audit" }, { path: "/alerts", key: "nav.alerts" }, { path: "/registers", key: "nav.registers" }],
  front_desk: [{ path: "/visits", key: "nav.visits" }],
};

/** @type {{path: string, key: import("./i18n.js").Key}} */
const ACCOUNT = { path: "/account", key: "nav.account" };

let factor = "";

/** Where a role begins. @param {string} role */
export const home = (role) => (PLACES[role] ?? PLACES.auditor)[0].path;

/** @param {Clinic} clinic */
export function brand(clinic) {
  const mark = clinic.logo ? h("img", { src: clinic.logo, alt: "" }) : icon("pulse");
  return h("span", { class: "brand" }, mark, h("span", {}, clinic.name));
}

/** @returns {HTMLElement} the strip every page of a demo wears */
export const demoBanner = () => h("div", { class: "banner", role: "note" }, t("demo.banner"));

/**
 * Build the frame around `main` for somebody signed in; without a session go to the sign-in page.
 * @param {import("./i18n.js").Key} title
 * @param {() => boolean} [busy]
 * @returns {Promise<{session: Session, main: HTMLElement}>}
 */
export async function staffPage(title, busy = () => false) {
  applyLanguage();
  onStepUp(confirmItIsYou);
  const session = await signedIn();
  factor = session.factor;
  const main = h("main", { id: "main", tabindex: "-1" });
  document.title = `${t(title)} · ${session.clinic.name}`;
  fill(document.body,
    h("a", { class: "skip", href: "#main" }, t("skip")),
    session.demo && demoBanner(),
    h("header", { class: "top" }, brand(session.clinic), navigation(session.user), tools(session.user)),
    main);
  watchIdle(session.idle_seconds, busy);
  return { session, main };
}

/** @returns {Promise<Session>} */
async function signedIn() {
  try {
    return await call("GET", "/session");
  } catch (error) {
    if (error instanceof Problem && error.status === 401) {
      location.replace(`/?next=${encodeURIComponent(location.pathname)}`);
      return new Promise(() => {});
    }
    throw error;
  }
}

/** @param {User} user */
function navigation(user) {
  const links = [...(PLACES[user.role] ?? []), ACCOUNT].map(({ path, key }) =>
    h("a", { href: path, "aria-current": location.pathname.startsWith(path) ? "page" : null }, t(key)));
  return h("nav", { "aria-label": t("nav.label") }, ...links);
}

/** @param {User} user */
function tools(user) {
  const leave = h("button", { class: "small", type: "button", onclick: signOut }, t("signout"));
  return h("div", { class: "tools" }, ["admin", "auditor"].includes(user.role) && bell(), h("span", { class: "quiet small", title: user.name }, user.name), languageChooser(), leave);
}

const BELL_MS = 60_000;
const shown = h("span", { class: "count", hidden: true });

/** How many alerts wait, for those who look after them. Asking does not keep anybody signed in. */
function bell() {
  void ringBell();
  setInterval(ringBell, BELL_MS);
  return h("a", { class: "bell", id: "bell", href: "/alerts", "aria-label": t("alerts.bell", { count: 0 }) }, icon("bell"), shown);
}

let asked = 0;
let answered = 0;

/** Count anew; an answer never takes the place of one that was asked for later. */
export async function ringBell() {
  const turn = ++asked;
  const found = await call("GET", "/alerts/count").catch(() => null);
  if (!found || turn < answered) return;
  answered = turn;
  shown.hidden = found.open === 0;
  shown.textContent = found.open > 99 ? "99+" : String(found.open);
  shown.classList.toggle("danger", found.critical > 0);
  shown.parentElement?.setAttribute("aria-label", t("alerts.bell", { count: found.open }));
}

/** Whoever came by the identity provider leaves there too: on a shared desk the next person must not come in by one tap. */
export async function signOut() {
  const single = factor === "sso" || factor === "sso_code";
  const left = await (single ? call("POST", "/session/sso/sign-out") : call("DELETE", "/session")).catch(() => null);
  location.replace(left?.location ?? "/");
}

/** Renew while somebody is there; warn a minute before the end; then leave.
 * @param {number} idleSeconds @param {() => boolean} busy whether something, like a live call, counts as activity */
function watchIdle(idleSeconds, busy) {
  let seen = Date.now();
  let renewed = Date.now();
  let asking = false;
  const touched = () => { seen = Date.now(); };
  for (const kind of ["pointerdown", "keydown", "scroll"]) addEventListener(kind, touched, { passive: true });
  const renew = async () => {
    renewed = Date.now();
    await call("POST", "/session/renew").catch((error) => {
      if (error instanceof Problem && error.status === 401) location.replace("/");
    });
  };
  setInterval(async () => {
    if (busy()) touched();
    const idle = (Date.now() - seen) / 1000;
    if (seen > renewed && Date.now() - renewed > 60_000) await renew();
    if (idle > idleSeconds) return signOut();
    if (idle > idleSeconds - 60 && !asking) {
      asking = true;
      await ask(t("idle.title"), (close) => [
        h("p", {}, t("idle.text")),
        h("div", { class: "actions end" }, h("button", { class: "primary", onclick: () => close(true) }, t("idle.stay"))),
      ]);
      asking = false;
      touched();
      await renew();
    }
    return undefined;
  }, 5000);
}

/** A page for people without an account. @param {Clinic} clinic @param {boolean} demo @param {string} [shape] */
export function openPage(clinic, demo, shape = "narrow centre") {
  applyLanguage();
  const main = h("main", { id: "main", class: shape, tabindex: "-1" });
  fill(document.body,
    demo && demoBanner(),
    h("header", { class: "top" }, brand(clinic), h("div", { class: "tools" }, languageChooser())),
    main,
    location.pathname !== "/privacy" && h("footer", { class: "foot" }, h("a", { href: "/privacy" }, t("privacy.link"))));
  document.documentElement.lang = language;
  return main;
}

/** @typedef {{identity_days: number, recording_days: number, backup_days: number, audit_years: number, copies: boolean}} Kept */

/** @returns {Promise<{clinic: Clinic, demo: boolean, kept?: Kept, passkeys_at?: string | null, sso?: string | null}>} what anybody may know of this server */
export const about = () => call("GET", "/about").catch(() => ({ clinic: { name: "Telehealth", logo: null }, demo: false }));
