// One's own account: where one is signed in, passkeys, the password.
import { call, codeOf } from "../net/api.js";
import { goToProvider } from "../net/sso.js";
import { ask, field, fill, h, tell } from "../ui/dom.js";
import { dayAndTime, t, wordsFor } from "../ui/i18n.js";
import { makePasskey, passkeyCode, passkeysHere } from "../ui/passkeys.js";
import { about, staffPage } from "../ui/shell.js";

const { session, main } = await staffPage("account.title");
const here = passkeysHere(await about());
const devices = h("ul", { class: "rows", id: "devices" });
const passkeys = h("ul", { class: "rows", id: "passkeys" });
const single = h("section", { class: "card stack", id: "single", hidden: true });
fill(main,
  h("div", { class: "page-head" }, h("h1", {}, t("account.title"))),
  h("section", { class: "card stack" },
    h("div", { class: "page-head" }, h("h2", {}, t("places.title")),
      h("button", { id: "end-others", onclick: () => trying(() => call("DELETE", "/sessions?others=true")).then(load) }, t("places.others"))),
    h("p", { class: "quiet" }, t("places.text")), devices),
  h("section", { class: "card stack" },
    h("div", { class: "page-head" }, h("h2", {}, t("passkeys.title")),
      here && h("button", { class: "primary", id: "add-passkey", onclick: add }, t("passkeys.add"))),
    h("p", { class: "quiet" }, t(here ? "passkeys.text" : "passkeys.off")), passkeys),
  single,
  h("section", { class: "card stack" }, h("h2", {}, t("password.title")), passwordForm()));

/** @param {() => Promise<unknown>} work */
async function trying(work) {
  try {
    await work();
  } catch (error) {
    tell(wordsFor(passkeyCode(error)), "danger", passkeyCode(error));
  }
}

const load = () => trying(async () => {
  showSingle(await call("GET", "/sso/link"));
  fill(devices, ...(await call("GET", "/sessions")).items.map(device));
  const kept = (await call("GET", "/passkeys")).items;
  fill(passkeys, ...(kept.length ? kept.map(passkey) : [h("li", { class: "empty" }, t("passkeys.none"))]));
});

/** @param {any} one */
function device(one) {
  const name = one.name || t("places.unknown");
  return h("li", { class: "row two", "data-session": one.id },
    h("div", {}, h("h3", {}, name), h("p", { class: "quiet small" },
      t("places.by", { how: t(/** @type {import("../ui/i18n.js").Key} */ (`factor.${one.factor}`)) }), " · ",
      t("places.since", { from: dayAndTime(one.created_at), seen: dayAndTime(one.seen_at) }))),
    h("div", { class: "acts" }, one.current
      ? h("span", { class: "chip" }, t("places.this"))
      : h("div", { class: "actions" }, h("button", { onclick: () => trying(() => call("DELETE", `/sessions/${one.id}`)).then(load) }, t("places.end")),
        h("button", { class: "danger", onclick: () => lost(one, name) }, t("places.lost")))));
}

/** @param {any} one @param {string} name */
const lost = (one, name) => trying(async () => {
  if (await sure(t("places.lost"), t("places.lost.sure", { name }))) await call("POST", `/sessions/${one.id}/lost`);
  await load();
});

/** @param {any} one */
function passkey(one) {
  const used = one.suspended_at ? t("passkeys.suspended") : one.used_at ? t("passkeys.used", { at: dayAndTime(one.used_at) }) : t("passkeys.unused");
  return h("li", { class: "row two", "data-passkey": one.id },
    h("div", {}, h("h3", {}, one.label), h("p", { class: "quiet small" }, used)),
    h("div", { class: "acts" }, h("button", { class: "danger", onclick: () => trying(async () => {
      if (await sure(t("passkeys.remove"), t("passkeys.remove.sure", { name: one.label }))) await call("DELETE", `/passkeys/${one.id}`);
      await load();
    }) }, t("passkeys.remove"))));
}

/** @param {{name: string | null, since: string | null}} tied */
function showSingle({ name, since }) {
  single.hidden = name === null && since === null;
  fill(single,
    h("div", { class: "page-head" }, h("h2", {}, name || t("sso.title")), since
      ? h("button", { class: "danger", id: "untie", onclick: () => trying(async () => {
        if (await sure(t("sso.untie"), t("sso.untie.sure"))) await call("DELETE", "/sso/link");
        await load();
      }) }, t("sso.untie"))
      : h("button", { id: "tie", onclick: () => trying(() => goToProvider({ link: true, next: "/account" })) }, t("sso.tie"))),
    h("p", { class: "quiet" }, since ? t("sso.tied", { at: dayAndTime(since) }) : t("sso.untied")));
}

/** @param {string} title @param {string} text */
const sure = (title, text) => ask(title, (close) => [h("p", {}, text), h("div", { class: "actions end" },
  h("button", { onclick: () => close(null) }, t("cancel")), h("button", { class: "primary danger", onclick: () => close(true) }, title))]);

async function add() {
  const label = h("input", { name: "label", required: true, maxlength: 80, value: t("passkeys.first") });
  const wished = await ask(t("passkeys.add"), (close) => [h("form", { class: "stack", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); close(true); } },
    h("p", {}, t("passkeys.add.text")), field(t("passkeys.label"), label),
    h("div", { class: "actions end" }, h("button", { type: "button", onclick: () => close(null) }, t("cancel")), h("button", { class: "primary", type: "submit" }, t("passkeys.add"))))]);
  if (!wished) return;
  await trying(async () => {
    const { options } = await call("POST", "/passkeys/options");
    await call("POST", "/passkeys", { credential: await makePasskey(options), label: label.value });
    tell(t("saved"));
  });
  await load();
}

function passwordForm() {
  const old = h("input", { name: "old", type: "password", autocomplete: "current-password", required: true });
  const fresh = h("input", { name: "new", type: "password", autocomplete: "new-password", required: true, minlength: 12 });
  const error = h("p", { class: "error", role: "alert" });
  const name = h("input", { type: "text", autocomplete: "username", value: session.user.name, hidden: true, readonly: true });
  return h("form", { class: "stack", id: "password", onsubmit: async (/** @type {Event} */ event) => {
    event.preventDefault();
    error.textContent = "";
    try {
      await call("PUT", "/password", { password: old.value, new_password: fresh.value });
      /** @type {HTMLFormElement} */ (event.target).reset();
      tell(t("password.done"));
      await load();
    } catch (problem) {
      error.textContent = wordsFor(codeOf(problem));
    }
  } }, name, h("div", { class: "pair" }, field(t("password.old"), old), field(t("password.new"), fresh, t("setup.password.hint"))),
  h("p", { class: "quiet small" }, t("password.text")), error,
  h("div", { class: "actions" }, h("button", { class: "primary", type: "submit" }, t("password.go"))));
}

await load();
