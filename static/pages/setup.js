// A set-up link: choose a password, add the authenticator, keep the recovery codes.
import { call, codeOf } from "../net/api.js";
import { signInAt } from "../net/proof.js";
import { field, fill, h } from "../ui/dom.js";
import { t, wordsFor } from "../ui/i18n.js";
import { about, home, openPage } from "../ui/shell.js";

const { clinic, demo } = await about();
const main = openPage(clinic, demo);
const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
document.title = `${t("setup.title")} · ${clinic.name}`;

try {
  show(await call("POST", "/enrolment", { token }));
} catch (error) {
  const code = codeOf(error);
  fill(main, h("div", { class: "card" }, h("h1", {}, t("setup.title")),
    h("p", { role: "alert" }, wordsFor(code === "malformed" ? "invitation_over" : code)),
    h("a", { class: "button", href: "/" }, t("signin.title"))));
}

/** @param {{purpose: string, login?: string | null, name?: string | null, totp_secret: string, qr_svg: string}} offer */
function show(offer) {
  const fresh = offer.purpose === "first_admin";
  const name = h("input", { name: "name", autocomplete: "name", required: fresh, maxlength: 80 });
  const login = h("input", { name: "login", autocomplete: "username", required: fresh, maxlength: 80, autocapitalize: "none" });
  const password = h("input", { name: "password", type: "password", autocomplete: "new-password", required: true, minlength: 12 });
  const code = h("input", { name: "code", class: "code", inputmode: "numeric", autocomplete: "one-time-code", required: true, pattern: "[0-9 ]{6,7}" });
  const error = h("p", { class: "error", role: "alert" });
  const button = h("button", { class: "primary wide", type: "submit" }, t("setup.go"));
  fill(main, h("form", { class: "stack card", onsubmit: submit },
    h("h1", {}, fresh ? t("setup.first") : t("setup.title")),
    h("p", { class: "quiet" }, fresh ? t("setup.first.text") : t("setup.for", { name: offer.name ?? "" })),
    fresh && field(t("setup.name"), name), fresh && field(t("signin.login"), login),
    field(t("signin.password"), password, t("setup.password.hint")),
    h("h2", {}, t("setup.totp")), h("p", {}, t("setup.totp.text")),
    h("img", { class: "qr", src: offer.qr_svg, alt: t("setup.qr") }),
    h("details", {}, h("summary", {}, t("setup.manual")), h("code", { id: "totp-secret" }, offer.totp_secret)),
    field(t("setup.code"), code), error, button));

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    error.textContent = "";
    try {
      const names = fresh ? { login: login.value, name: name.value } : {};
      done(await signInAt("/enrolment/finish",
        { token, ...names, password: password.value, code: code.value.replaceAll(" ", "") }));
    } catch (problem) {
      error.textContent = wordsFor(codeOf(problem));
      button.disabled = false;
    }
  }
}

/** @param {{recovery_codes: string[], user: {role: string}}} result */
function done(result) {
  const kept = h("input", { type: "checkbox", id: "kept" });
  const go = h("button", { class: "primary wide", disabled: true, onclick: () => location.replace(home(result.user.role)) }, t("setup.on"));
  kept.addEventListener("change", () => { go.disabled = !kept.checked; });
  fill(main, h("div", { class: "stack card" },
    h("h1", {}, t("setup.codes")), h("p", {}, t("setup.codes.text")),
    h("ul", { class: "codes" }, ...result.recovery_codes.map((one) => h("li", {}, one))),
    h("label", { class: "choice" }, kept, h("span", {}, t("setup.kept"))), go));
  main.focus();
}
