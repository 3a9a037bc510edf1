// Sign-in: name, password, one-time code.
import { call, codeOf, Problem } from "../net/api.js";
import { signInAt } from "../net/proof.js";
import { goToProvider } from "../net/sso.js";
import { field, fill, h } from "../ui/dom.js";
import { t, wordsFor } from "../ui/i18n.js";
import { passkeyCode, passkeysHere, usePasskey } from "../ui/passkeys.js";
import { about, home, openPage } from "../ui/shell.js";

const facts = await about();
const { clinic, demo } = facts;
const main = openPage(clinic, demo);
document.title = `${t("signin.title")} · ${clinic.name}`;

/** @param {{user: {role: string}}} session */
function enter(session) {
  const wished = new URLSearchParams(location.search).get("next") ?? "";
  location.replace(/^\/[a-z]/.test(wished) ? wished : home(session.user.role));
}

const held = await call("GET", "/session").catch(() => null);
if (held) enter(held);
else show();

function show() {
  const login = h("input", { name: "login", autocomplete: "username", required: true, autocapitalize: "none", spellcheck: "false" });
  const password = h("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
  const code = h("input", { name: "code", autocomplete: "one-time-code", required: true, maxlength: 20 });
  const error = h("p", { class: "error", role: "alert" });
  const button = h("button", { class: "primary wide", type: "submit" }, t("signin.go"));
  const form = h("form", { class: "stack card", onsubmit: submit },
    h("h1", {}, t("signin.title")),
    passkeysHere(facts) && h("button", { class: "primary wide", type: "button", id: "passkey", onclick: withPasskey }, t("passkey.use")),
    typeof facts.sso === "string" && h("button", { class: "wide", type: "button", id: "sso", onclick: bySso }, facts.sso ? t("sso.use", { name: facts.sso }) : t("sso.use.plain")),
    (passkeysHere(facts) || typeof facts.sso === "string") && h("p", { class: "quiet small" }, t("signin.or")),
    field(t("signin.login"), login), field(t("signin.password"), password), field(t("signin.code"), code, t("signin.code.hint")),
    error, button);
  fill(main, form, h("p", { class: "quiet small foot" }, t("signin.patients"), " ", h("a", { href: "/join" }, t("lost.title")), " · ", h("a", { href: "/check" }, t("check.link"))));
  login.focus();

  /** @param {Event} event */
  async function withPasskey(event) {
    const pressed = /** @type {HTMLButtonElement} */ (event.currentTarget);
    pressed.disabled = true;
    error.textContent = "";
    try {
      const { options } = await call("POST", "/session/passkey/options");
      enter(await signInAt("/session/passkey", { credential: await usePasskey(options) }));
    } catch (problem) {
      error.textContent = wordsFor(passkeyCode(problem));
    } finally {
      pressed.disabled = false;
    }
  }

  /** @param {Event} event */
  async function bySso(event) {
    const pressed = /** @type {HTMLButtonElement} */ (event.currentTarget);
    pressed.disabled = true;
    error.textContent = "";
    try {
      await goToProvider({ link: false, next: new URLSearchParams(location.search).get("next") ?? "" });
    } catch (problem) {
      error.textContent = wordsFor(codeOf(problem));
      pressed.disabled = false;
    }
  }

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    error.textContent = "";
    try {
      enter(await signInAt("/session", { login: login.value, password: password.value, code: code.value.replaceAll(" ", "") }));
    } catch (problem) {
      const wait = problem instanceof Problem && problem.retryAfter;
      error.textContent = wait ? t("signin.wait", { seconds: Math.ceil(wait) }) : wordsFor(codeOf(problem));
      code.value = "";
      code.focus();
    } finally {
      button.disabled = false;
    }
  }
}
