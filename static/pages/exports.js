// The part of a recording's page where it can be taken out: exports, and the patient's copy.
import { asking, call, codeOf } from "../net/api.js";
import { proof } from "../net/proof.js";
import { ask, field, fill, h, refill, tell } from "../ui/dom.js";
import { dayAndTime, language, size, t, wordsFor } from "../ui/i18n.js";
import { copyRow } from "./copies.js";

/** @typedef {import("../ui/i18n.js").Key} Key */
const OPEN = ["queued", "running"];

/**
 * The card for one sealed recording.
 * @param {string} recording its id
 * @param {string} role of whoever is signed in
 */
export function takingOut(recording, role) {
  const list = h("ul", { class: "rows", id: "exports" });
  const copies = h("ul", { class: "rows", id: "copies" });
  const fresh = h("button", { id: "export", disabled: true, onclick: begin }, t("export.new"));
  const wish = h("button", { id: "ask-copy", hidden: true, onclick: askForPatient }, t("copies.ask"));
  const card = h("section", { class: "card stack", "aria-label": t("export.title") },
    h("div", { class: "page-head" }, h("h2", {}, t("export.title")), h("div", { class: "actions" }, wish, role === "admin" && fresh)),
    role === "admin" && h("p", { class: "quiet small" }, t("export.text")), role === "admin" && list,
    h("h3", {}, t("copies.title")), copies);
  /** @type {{formats: string[], plain_allowed: boolean}} */
  let possible = { formats: ["webm"], plain_allowed: false };

  const asks = asking();
  let busy = false; // as far as the last answer knew

  async function load() {
    const newest = asks();
    const asked = [call("GET", `/recordings/${recording}/copies`), role === "admin" ? call("GET", `/recordings/${recording}/exports`) : null];
    const [requests, made] = await Promise.all(asked);
    if (!newest()) return;
    if (made) {
      possible = made;
      fresh.disabled = false;
      refill(list, ...made.items.map(row), !made.items.length && h("li", { class: "quiet" }, t("export.none")));
    }
    wish.hidden = made ? !made.copies_allowed : false;
    refill(copies, ...requests.items.map((/** @type {any} */ one) => copyRow(one, load)), !requests.items.length && h("li", { class: "quiet" }, t("copies.none")));
    busy = made?.items.some((/** @type {any} */ one) => OPEN.includes(one.state)) || requests.items.some((/** @type {any} */ one) => one.state === "approved");
    if (busy) setTimeout(refresh, 700);
  }

  const refresh = () => load().catch((error) => {
    tell(wordsFor(codeOf(error)), "danger", codeOf(error));
    if (busy) setTimeout(refresh, 5000);
  });

  /** @param {any} one */
  function row(one) {
    const open = OPEN.includes(one.state);
    const words = one.state === "failed" ? wordsFor(one.failure) : t(/** @type {Key} */ (`export.state.${one.state}`));
    return h("li", { class: "row two", "data-export": one.id, "data-state": one.state },
      h("div", {}, h("strong", {}, `${one.format.toUpperCase()} · ${t(/** @type {Key} */ (`export.${one.protection}`))}`),
        " ", one.for_patient && h("span", { class: "chip plain" }, t("export.patient")),
        h("div", { class: "small quiet", role: "status" }, [dayAndTime(one.created_at), words, one.state === "ready" && size(one.bytes),
          one.state === "ready" && one.downloads > 0 && t("export.downloads", { count: one.downloads }),
          one.state === "ready" && t("export.until", { when: dayAndTime(one.expires_at) })].filter(Boolean).join(" · ")),
        open && h("progress", { max: 1, value: one.progress, "aria-label": t("export.progress") })),
      h("div", { class: "acts" },
        open && h("button", { class: "small", onclick: () => change("POST", `/exports/${one.id}/cancel`) }, t("export.cancel")),
        one.state === "ready" && !one.for_patient && h("a", { class: "button small primary", href: `/api/v1/exports/${one.id}/file`, download: one.name }, t("export.download")),
        one.state === "ready" && h("button", { class: "small danger", onclick: () => change("DELETE", `/exports/${one.id}`) }, t("export.remove"))));
  }

  /** @param {string} method @param {string} path @param {object} [body] */
  async function change(method, path, body) {
    try {
      await call(method, path, body);
    } catch (error) {
      tell(wordsFor(codeOf(error)), "danger", codeOf(error));
    }
    await refresh();
  }

  async function askForPatient() {
    try {
      await call("POST", `/recordings/${recording}/copies`, { language });
      tell(t("copies.asked"));
    } catch (error) {
      tell(wordsFor(codeOf(error)), "danger", codeOf(error));
    }
    await refresh();
  }

  async function begin() {
    const wanted = await dialog(possible);
    if (!wanted) return;
    try {
      const shown = await proof();
      await call("POST", `/recordings/${recording}/exports`, wanted, shown ? { "Session-Proof": shown } : {});
    } catch (error) {
      tell(wordsFor(codeOf(error)), "danger", codeOf(error));
    }
    await refresh();
  }

  void refresh();
  return card;
}

/** Ask how it is to leave. @param {{formats: string[], plain_allowed: boolean}} possible @returns {Promise<object | null>} */
function dialog(possible) {
  const purpose = h("select", { id: "export-purpose" }, ...["legal", "patient_request", "treatment", "quality"].map((one) =>
    new Option(t(/** @type {Key} */ (`play.${one}`)), one)));
  const format = h("select", { id: "export-format" }, ...["mp4", "webm"].filter((one) => possible.formats.includes(one)).map((one) =>
    new Option(t(/** @type {Key} */ (`export.${one}`)), one)));
  const words = h("select", { id: "export-language" }, new Option("English", "en", language === "en", language === "en"), new Option("العربية", "ar", language === "ar", language === "ar"));
  const ways = ["passphrase", "recipient", ...(possible.plain_allowed ? ["plain"] : [])];
  const way = h("select", { id: "export-protection" }, ...ways.map((one) => new Option(t(/** @type {Key} */ (`export.${one}`)), one)));
  const recipient = h("input", { id: "export-recipient", pattern: "age1[a-z0-9]+", maxlength: 200, spellcheck: "false", autocomplete: "off", dir: "ltr" });
  const passphrase = h("input", { id: "export-passphrase", type: "password", minlength: 12, maxlength: 1024, autocomplete: "new-password" });
  const reason = h("input", { id: "export-reason", maxlength: 500 });
  const whom = h("input", { id: "export-whom", maxlength: 500, required: true, autocomplete: "off" });
  const detail = h("div", { class: "stack" });
  const choose = () => {
    const one = way.value;
    recipient.required = one === "recipient";
    passphrase.required = one === "passphrase";
    reason.required = one === "plain";
    if (one === "recipient") fill(detail, field(t("export.recipient.label"), recipient, t("export.recipient.hint")));
    else if (one === "passphrase") fill(detail, field(t("export.passphrase.label"), passphrase, t("export.passphrase.hint")));
    else fill(detail, h("p", { class: "note danger" }, t("export.plain.text")), field(t("export.reason"), reason));
  };
  way.addEventListener("change", choose);
  choose();
  return ask(t("export.title"), (close) => [h("form", { class: "stack", onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    const secret = way.value === "recipient" ? { recipient: recipient.value.trim() } : way.value === "passphrase" ? { passphrase: passphrase.value } : { reason: reason.value.trim() };
    close({ purpose: purpose.value, format: format.value, protection: way.value, language: words.value, given_to: whom.value.trim(), ...secret });
  } },
  h("p", { class: "quiet" }, t("export.logged")), field(t("recording.purpose"), purpose),
  field(t("export.whom"), whom, t("export.whom.hint")),
  h("div", { class: "pair" }, field(t("export.format"), format), field(t("export.language"), words)),
  field(t("export.protection"), way), detail,
  h("div", { class: "actions end" }, h("button", { type: "button", onclick: () => close(null) }, t("cancel")),
    h("button", { class: "primary", type: "submit", id: "export-go" }, t("export.make"))))]);
}
