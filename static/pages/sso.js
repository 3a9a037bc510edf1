// Come back from the clinic's identity provider: signed in, asked for the second factor, or told what is wrong.
import { call, codeOf, onStepUp, Problem } from "../net/api.js";
import { signInAt } from "../net/proof.js";
import { backFromProvider } from "../net/sso.js";
import { field, fill, h } from "../ui/dom.js";
import { t, wordsFor } from "../ui/i18n.js";
import { confirmItIsYou } from "../ui/passkeys.js";
import { about, home, openPage } from "../ui/shell.js";

const { way, brought } = backFromProvider();
const { clinic, demo } = await about();
const main = openPage(clinic, demo);
document.title = `${t("sso.title")} · ${clinic.name}`;
fill(main, h("p", { class: "quiet", role: "status" }, t("sso.wait")));

try {
  if (way.link) {
    onStepUp(confirmItIsYou);
    await call("POST", "/sso/link/finish", brought);
    location.replace("/account");
  } else {
    arrive(await signInAt("/session/sso/finish", brought));
  }
} catch (problem) {
  const wait = problem instanceof Problem && problem.retryAfter;
  fill(main, h("section", { class: "stack card" }, h("h1", {}, t("sso.title")),
    h("p", { class: "error", role: "alert" }, wait ? t("signin.wait", { seconds: Math.ceil(wait) }) : wordsFor(codeOf(problem))),
    h("div", { class: "actions" }, h("a", { class: "button primary", href: way.link ? "/account" : "/" }, t("sso.back")))));
}

/** @param {{code_needed: boolean, user: {role: string}}} said */
function arrive(said) {
  if (said.code_needed) {
    askCode();
    return;
  }
  location.replace(/^\/[a-z]/.test(way.next) ? way.next : home(said.user.role));
}

function askCode() {
  const code = h("input", { name: "code", autocomplete: "one-time-code", required: true, maxlength: 20 });
  const error = h("p", { class: "error", role: "alert" });
  const button = h("button", { class: "primary wide", type: "submit" }, t("signin.go"));
  fill(main, h("form", { class: "stack card", onsubmit: async (/** @type {Event} */ event) => {
    event.preventDefault();
    button.disabled = true;
    error.textContent = "";
    try {
      arrive(await signInAt("/session/sso/code", { code: code.value.replaceAll(" ", "") }));
    } catch (problem) {
      const wait = problem instanceof Problem && problem.retryAfter;
      error.textContent = wait ? t("signin.wait", { seconds: Math.ceil(wait) }) : wordsFor(codeOf(problem));
      code.value = "";
      code.focus();
    } finally {
      button.disabled = false;
    }
  } }, h("h1", {}, t("sso.code.title")), h("p", {}, t("sso.code.text")), field(t("signin.code"), code, t("signin.code.hint")), error, button));
  code.focus();
}
