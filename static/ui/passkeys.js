// Passkeys in the browser, and the dialog that asks a person to prove themselves again.
import { call, codeOf } from "../net/api.js";
import { goToProvider } from "../net/sso.js";
import { ask, field, h } from "./dom.js";
import { t, wordsFor } from "./i18n.js";

/** @param {ArrayBuffer} octets */
const spelled = (octets) => btoa(String.fromCharCode(...new Uint8Array(octets))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
/** @param {string} text */
const octets = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
/** @param {{id: string}[]} [list] @returns {any} */
const described = (list) => (list ?? []).map((one) => ({ ...one, id: octets(one.id) }));

/** Whether this page, under this name, can use passkeys. @param {{passkeys_at?: string | null}} about */
export const passkeysHere = (about) => "PublicKeyCredential" in window && Boolean(about.passkeys_at) && location.hostname === about.passkeys_at;

/** Have the authenticator sign; the answer as WebAuthn spells it in JSON. @param {any} options @returns {Promise<object>} */
export async function usePasskey(options) {
  const publicKey = { ...options, challenge: octets(options.challenge), allowCredentials: described(options.allowCredentials) };
  const made = /** @type {PublicKeyCredential} */ (await navigator.credentials.get({ publicKey }));
  const said = /** @type {AuthenticatorAssertionResponse} */ (made.response);
  const response = {
    clientDataJSON: spelled(said.clientDataJSON),
    authenticatorData: spelled(said.authenticatorData),
    signature: spelled(said.signature),
    ...(said.userHandle ? { userHandle: spelled(said.userHandle) } : {}),
  };
  return { id: made.id, rawId: spelled(made.rawId), type: made.type, response };
}

/** Have the authenticator make a passkey. @param {any} options @returns {Promise<object>} */
export async function makePasskey(options) {
  const publicKey = {
    ...options, challenge: octets(options.challenge), user: { ...options.user, id: octets(options.user.id) },
    excludeCredentials: described(options.excludeCredentials),
  };
  const made = /** @type {PublicKeyCredential} */ (await navigator.credentials.create({ publicKey }));
  const said = /** @type {AuthenticatorAttestationResponse} */ (made.response);
  const response = {
    clientDataJSON: spelled(said.clientDataJSON), attestationObject: spelled(said.attestationObject),
    transports: said.getTransports?.() ?? [],
  };
  return { id: made.id, rawId: spelled(made.rawId), type: made.type, response };
}

/** The code of what went wrong; a person who closed the browser's dialog is no failure of ours. @param {unknown} error */
export const passkeyCode = (error) => (error instanceof DOMException ? "passkey_not_used" : codeOf(error));

/** @type {Promise<boolean> | null} */
let asking = null;

/** Ask for both factors again: a passkey, or password and code. Several at once share one dialog.
 * @returns {Promise<boolean>} whether it was proved */
export function confirmItIsYou() {
  asking ??= confirmed().finally(() => { asking = null; });
  return asking;
}

async function confirmed() {
  const { options } = await call("POST", "/session/step-up/options").catch(() => ({ options: null }));
  const { name, since } = await call("GET", "/sso/link").catch(() => ({ name: null, since: null }));
  const single = name !== null && since !== null;
  const usable = options && "PublicKeyCredential" in window && location.hostname === options.rpId;
  const password = h("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
  const code = h("input", { name: "code", autocomplete: "one-time-code", required: true, maxlength: 20 });
  const error = h("p", { class: "error", role: "alert" });
  /** @param {(close: true) => void} close @param {() => Promise<unknown>} prove */
  const trying = async (close, prove) => {
    error.textContent = "";
    try {
      await prove();
      close(true);
    } catch (problem) {
      error.textContent = wordsFor(passkeyCode(problem));
    }
  };
  return true === await ask(t("stepup.title"), (close) => [h("form", {
    class: "stack", id: "step-up",
    onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      void trying(close, () => call("POST", "/session/step-up", { password: password.value, code: code.value.replaceAll(" ", "") }));
    },
  },
  h("p", {}, t("stepup.text")),
  usable && h("button", { class: "primary wide", type: "button", id: "step-up-passkey", onclick: () => trying(close, async () => {
    const fresh = await call("POST", "/session/step-up/options");
    await call("POST", "/session/step-up", { credential: await usePasskey(fresh.options) });
  }) }, t("passkey.use")),
  single && h("button", { class: "wide", type: "button", id: "step-up-sso", onclick: () => trying(() => {}, () =>
    goToProvider({ link: false, next: location.pathname }, true)) }, name ? t("sso.again", { name }) : t("sso.again.plain")),
  field(t("signin.password"), password), field(t("signin.code"), code, t("signin.code.hint")), error,
  h("div", { class: "actions end" }, h("button", { type: "button", onclick: () => close(null) }, t("cancel")),
    h("button", { class: usable ? "" : "primary", type: "submit" }, t("stepup.go"))))]);
}
