// Settings: tokens for programs, and resets of admins that wait for a second one.
import { call, codeOf } from "../net/api.js";
import { copyLine } from "./booking.js";
import { ask, field, fill, h, tell } from "./dom.js";
import { dayAndTime, t, wordsFor } from "./i18n.js";

const SCOPES = ["visits:read", "visits:write", "recordings:read", "recordings:manage", "retention:write", "audit:read", "users:manage", "metrics"];

/** @param {() => Promise<unknown>} work */
async function trying(work) {
  try {
    await work();
  } catch (error) {
    tell(wordsFor(codeOf(error)), "danger", codeOf(error));
  }
}

/** @param {string} title @param {string} text @param {string} label @param {string} value @param {string} id */
const showOnce = (title, text, label, value, id) => ask(title, (close) => [h("p", {}, text), copyLine(label, value, id),
  h("div", { class: "actions end" }, h("button", { class: "primary", onclick: () => close(true) }, t("done")))]);

/** Tokens for programs: made, rotated, revoked. */
export function tokenSection() {
  const list = h("ul", { class: "rows", id: "tokens" });
  const load = () => trying(async () => {
    const kept = (await call("GET", "/tokens")).items.filter((/** @type {any} */ one) => !one.revoked_at && new Date(one.expires_at) > new Date());
    fill(list, ...(kept.length ? kept.map(row) : [h("li", { class: "empty" }, t("tokens.none"))]));
  });

  /** @param {any} one */
  function row(one) {
    const places = one.networks.length ? one.networks.join(", ") : t("tokens.anywhere");
    const used = one.used_at ? t("passkeys.used", { at: dayAndTime(one.used_at) }) : t("passkeys.unused");
    return h("li", { class: "row two", "data-token": one.id },
      h("div", {}, h("h3", {}, one.label), h("p", { class: "quiet small", dir: "ltr" }, `${one.scopes.join(" ")} · ${places}`),
        h("p", { class: "quiet small" }, `${t("tokens.until", { at: dayAndTime(one.expires_at) })} ${used}`)),
      h("div", { class: "acts" }, h("div", { class: "actions" },
        !one.successor && h("button", { onclick: () => trying(async () => {
          await made(await call("POST", `/tokens/${one.id}/rotate`, { overlap_hours: 24 }), t("tokens.rotated"));
        }).then(load) }, t("tokens.rotate")),
        h("button", { class: "danger", onclick: () => trying(() => call("DELETE", `/tokens/${one.id}`)).then(load) }, t("link.revoke")))));
  }

  void load();
  return h("section", { class: "card stack" },
    h("div", { class: "page-head" }, h("h2", {}, t("tokens.title")), h("button", { class: "primary", id: "add-token", onclick: () => add().then(load) }, t("tokens.add"))),
    h("p", { class: "quiet" }, t("tokens.text")), list);
}

/** @param {{token: string}} fresh @param {string} text */
const made = (fresh, text) => showOnce(t("tokens.new"), text, t("tokens.secret"), fresh.token, "token-secret");

async function add() {
  const label = h("input", { name: "label", required: true, maxlength: 80 });
  const days = h("input", { name: "days", type: "number", min: 1, max: 366, value: 90, required: true });
  const networks = h("input", { name: "networks", dir: "ltr", maxlength: 400 });
  const scopes = SCOPES.map((one) => h("input", { type: "checkbox", name: "scope", value: one }));
  const wished = await ask(t("tokens.add"), (close) => [h("form", { class: "stack", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); close(true); } },
    field(t("tokens.label"), label),
    h("fieldset", { class: "field" }, h("legend", {}, t("tokens.scopes")), ...scopes.map((box) => h("label", { class: "choice" }, box, h("span", { dir: "ltr" }, box.value)))),
    h("div", { class: "pair" }, field(t("retention.days"), days), field(t("tokens.networks"), networks, t("tokens.networks.hint"))),
    h("div", { class: "actions end" }, h("button", { type: "button", onclick: () => close(null) }, t("cancel")), h("button", { class: "primary", type: "submit" }, t("tokens.add"))))], "large");
  if (!wished) return;
  await trying(async () => made(await call("POST", "/tokens", {
    label: label.value, days: Number(days.value), scopes: scopes.filter((box) => box.checked).map((box) => box.value),
    networks: networks.value.split(/[\s,]+/).filter(Boolean),
  }), t("tokens.once")));
}

/** Resets of admins that wait for a second one; shown only while there are some. @param {string} own id of whoever looks */
export function resetSection(own) {
  const list = h("ul", { class: "rows", id: "resets" });
  const section = h("section", { class: "card stack", hidden: true }, h("h2", {}, t("resets.title")), h("p", { class: "quiet" }, t("resets.text")), list);
  const load = () => trying(async () => {
    const waiting = (await call("GET", "/resets")).items;
    section.hidden = !waiting.length;
    fill(list, ...waiting.map(row));
  });

  /** @param {any} one */
  function row(one) {
    const may = ![one.user.id, one.asked_by.id].includes(own);
    return h("li", { class: "row two", "data-reset": one.id },
      h("div", {}, h("h3", {}, one.user.name), h("p", { class: "quiet small" }, t("resets.by", { name: one.asked_by.name, at: dayAndTime(one.asked_at) }))),
      h("div", { class: "acts" }, h("div", { class: "actions" },
        may && h("button", { class: "primary", onclick: () => trying(async () => {
          const done = await call("POST", `/resets/${one.id}/approve`);
          await showOnce(t("users.link"), t("users.link.text"), t("link.url"), done.enrolment_url, "enrolment-url");
        }).then(load) }, t("resets.approve")),
        h("button", { onclick: () => trying(() => call("DELETE", `/resets/${one.id}`)).then(load) }, t("resets.refuse")))));
  }

  void load();
  return { section, load };
}
