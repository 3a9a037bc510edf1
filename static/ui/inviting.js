// Guests of a visit: invite an interpreter, a relative or a colleague; a link of their own to copy or send; take it back.
import { call, codeOf } from "../net/api.js";
import { channels, copyLine, senders, trying } from "./booking.js";
import { ask, field, fill, h } from "./dom.js";
import { dayAndTime, t, wordsFor } from "./i18n.js";

/** @typedef {import("./booking.js").Issued} Issued */
/** @typedef {import("./i18n.js").Key} Key */
/** @typedef {{id: string, role: string, name: string, link: {id: string, state: string} | null}} Guest */

const ROLES = ["interpreter", "relative", "colleague"];

/** Who is invited to a visit, and a form for one more. @param {string} visit @returns {Promise<true | null>} */
export function guestsDialog(visit) {
  return ask(t("guest.title"), (close) => {
    const place = h("div", { class: "stack" });
    void overview(place, visit);
    return [place, h("div", { class: "actions end" }, h("button", { type: "button", onclick: () => close(true) }, t("done")))];
  }, "large");
}

/** @param {HTMLElement} place @param {string} visit */
async function overview(place, visit) {
  const path = `/visits/${visit}/guests`;
  const error = h("p", { class: "error", role: "alert" });
  /** @type {Guest[]} */
  let guests = [];
  try {
    guests = (await call("GET", path)).items;
  } catch (problem) {
    error.textContent = wordsFor(codeOf(problem));
  }
  fill(place, guests.length > 0 && h("ul", { class: "company", "aria-label": t("guest.list") }, ...guests.map(row)), error, form(place, path));

  /** @param {Guest} guest */
  function row(guest) {
    const again = h("button", { class: "small", type: "button", "aria-label": `${t("guest.link")}: ${guest.name}` }, t("guest.link"));
    const revoke = h("button", { class: "small danger revoke", type: "button", "aria-label": `${t("guest.revoke")}: ${guest.name}` }, t("guest.revoke"));
    again.addEventListener("click", () => anew(place, `${path}/${guest.id}/links`, guest));
    revoke.addEventListener("click", () => trying(revoke, error, async () => {
      await call("DELETE", `${path}/${guest.id}`);
      await overview(place, visit);
      place.prepend(h("p", { role: "status" }, t("guest.revoked")));
    }));
    return h("li", { "data-guest": guest.id },
      h("span", { class: "grow" }, h("b", {}, h("bdi", {}, guest.name)), h("span", { class: "small quiet" }, t(/** @type {Key} */ (`role.${guest.role}`)))),
      again, revoke);
  }
}

/** @param {HTMLElement} place @param {string} path */
function form(place, path) {
  const role = h("select", { name: "role" }, ...ROLES.map((one) => new Option(t(/** @type {Key} */ (`role.${one}`)), one)));
  const name = h("input", { name: "name", required: true, maxlength: 120, autocomplete: "off" });
  const contact = h("input", { name: "contact", maxlength: 200, autocomplete: "off" });
  const channel = channels();
  const send = senders();
  const error = h("p", { class: "error", role: "alert" });
  const button = h("button", { class: "primary", type: "submit", id: "guest-go" }, t("guest.go"));
  return h("form", {
    class: "stack",
    onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      return trying(button, error, async () => {
        const made = await call("POST", path, {
          role: role.value, name: name.value.trim(), contact: contact.value.trim() || null, channel: channel.value, send: send.value || null,
        });
        shown(place, made.link, name.value.trim(), Boolean(send.value));
      });
    },
  }, h("h3", {}, t("guest.invite")), h("p", { class: "quiet small" }, t("guest.invite.text")),
  h("div", { class: "pair" }, field(t("guest.role"), role), field(t("guest.name"), name, t("guest.name.hint"))),
  field(t("guest.contact"), contact, t("guest.contact.hint")),
  h("div", { class: "pair" }, field(t("link.channel"), channel), field(t("link.send"), send)),
  error, h("div", { class: "actions end" }, button));
}

/** A new link for somebody who lost theirs. @param {HTMLElement} place @param {string} path @param {Guest} guest */
function anew(place, path, guest) {
  const channel = channels();
  const send = senders();
  const error = h("p", { class: "error", role: "alert" });
  const button = h("button", { class: "primary", type: "button" }, t("link.new"));
  button.addEventListener("click", () => trying(button, error, async () =>
    shown(place, await call("POST", path, { channel: channel.value, send: send.value || null }), guest.name, Boolean(send.value))));
  fill(place, h("h3", {}, t("guest.ready", { name: guest.name })), h("p", {}, t("link.held")),
    h("div", { class: "pair" }, field(t("link.channel"), channel), field(t("link.send"), send)), error, h("div", { class: "actions" }, button));
}

/** A link, once. @param {HTMLElement} place @param {Issued} link @param {string} name @param {boolean} sent */
function shown(place, link, name, sent) {
  const share = h("button", { type: "button", hidden: !("share" in navigator), onclick: () => navigator.share({ url: link.url }).catch(() => null) }, t("guest.share"));
  fill(place, h("h3", {}, t("guest.ready", { name })),
    sent && h("p", { role: "status" }, t("guest.sent", { name })),
    h("p", {}, t("link.once")), copyLine(t("link.url"), link.url, "guest-url"), share,
    link.passcode && copyLine(t("link.passcode"), link.passcode, "guest-passcode"),
    link.passcode && h("p", { class: "note" }, t("guest.passcode.tell")),
    h("p", { class: "quiet small" }, t("link.window", { from: dayAndTime(link.not_before), to: dayAndTime(link.expires_at) })));
}
