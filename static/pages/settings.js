// People with an account, and how long recordings are kept.
import { call, codeOf } from "../net/api.js";
import { copyLine } from "../ui/booking.js";
import { ask, field, fill, h, tell } from "../ui/dom.js";
import { t, wordsFor } from "../ui/i18n.js";
import { staffPage } from "../ui/shell.js";
import { resetSection, tokenSection } from "../ui/tokens.js";

const { session, main } = await staffPage("settings.title");
const body = h("tbody");
const rules = h("form", { class: "stack" });
const resets = resetSection(session.user.id);
fill(main,
  h("div", { class: "page-head" }, h("h1", {}, t("settings.title"))),
  h("section", { class: "card stack" },
    h("div", { class: "page-head" }, h("h2", {}, t("users.title")), h("button", { class: "primary", id: "add-user", onclick: add }, t("users.add"))),
    h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": t("users.title") }, h("table", {},
      h("thead", {}, h("tr", {}, ...["users.name", "users.role", "users.state"].map((key) => h("th", { scope: "col" }, t(/** @type {any} */ (key)))),
        h("td", {}, h("span", { class: "visually-hidden" }, t("users.acts"))))), body))),
  resets.section, tokenSection(),
  h("section", { class: "card stack" }, h("h2", {}, t("retention.title")), h("p", { class: "quiet" }, t("retention.text")), rules));

/** @param {() => Promise<unknown>} work */
async function trying(work) {
  try {
    await work();
  } catch (error) {
    tell(wordsFor(codeOf(error)), "danger", codeOf(error));
  }
}

const load = () => trying(async () => {
  fill(body, ...(await call("GET", "/users")).items.map(row));
  showRules((await call("GET", "/retention")).rules);
});

/** @param {any} user */
function row(user) {
  const own = user.id === session.user.id;
  return h("tr", {}, h("td", {}, h("div", {}, user.name), h("div", { class: "quiet small" }, user.login)),
    h("td", {}, t(/** @type {any} */ (`role.${user.role}`))),
    h("td", {}, h("span", { class: `chip ${user.disabled ? "danger" : "plain"}` }, t(user.disabled ? "users.disabled" : user.enrolled ? "users.active" : "users.invited"))),
    h("td", {}, h("div", { class: "actions end" },
      !own && h("button", { class: "small", onclick: () => reset(user) }, t("users.reset")),
      !own && h("button", { class: "small danger", onclick: () => trying(() => call("PATCH", `/users/${user.id}`, { disabled: !user.disabled })).then(load) },
        t(user.disabled ? "users.enable" : "users.disable")))));
}

/** @param {any} user */
const reset = (user) => trying(async () => {
  const sure = await ask(t("users.reset"), (close) => [h("p", {}, t("users.reset.sure", { name: user.name })),
    h("div", { class: "actions end" }, h("button", { onclick: () => close(null) }, t("cancel")), h("button", { class: "primary", onclick: () => close(true) }, t("users.reset")))]);
  if (!sure) return;
  const made = await call("POST", `/users/${user.id}/reset`);
  if (made.enrolment_url) await showLink(made);
  else tell(t("resets.asked"));
  await resets.load();
});

/** @param {{enrolment_url: string}} made */
const showLink = (made) => ask(t("users.link"), (close) => [h("p", {}, t("users.link.text")), copyLine(t("link.url"), made.enrolment_url, "enrolment-url"),
  h("div", { class: "actions end" }, h("button", { class: "primary", onclick: () => close(true) }, t("done")))]);

async function add() {
  const name = h("input", { name: "name", required: true, maxlength: 80 });
  const login = h("input", { name: "login", required: true, maxlength: 80, autocapitalize: "none" });
  const role = h("select", { name: "role" }, ...["clinician", "front_desk", "admin", "auditor"].map((one) => new Option(t(/** @type {any} */ (`role.${one}`)), one)));
  const wished = await ask(t("users.add"), (close) => [h("form", { class: "stack", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); close(true); } },
    field(t("users.name"), name), field(t("signin.login"), login), field(t("users.role"), role),
    h("div", { class: "actions end" }, h("button", { type: "button", onclick: () => close(null) }, t("cancel")), h("button", { class: "primary", type: "submit" }, t("users.add"))))]);
  if (wished) await trying(async () => showLink(await call("POST", "/users", { name: name.value, login: login.value, role: role.value })));
  await load();
}

/** @param {any[]} kept */
function showRules(kept) {
  const lines = kept.map((rule) => ({
    rule,
    days: h("input", { type: "number", min: 1, max: 36525, value: rule.days, required: true }),
    least: h("input", { type: "number", min: 0, max: 36525, value: rule.minimum_days, required: true }),
  }));
  rules.onsubmit = (event) => {
    event.preventDefault();
    void trying(async () => {
      await call("PUT", "/retention", { rules: lines.map(({ rule, days, least }) => ({ class: rule.class, days: Number(days.value), minimum_days: Number(least.value) })) });
      tell(t("saved"));
    });
  };
  fill(rules, ...lines.map(({ rule, days, least }) => h("fieldset", { class: "field" }, h("legend", {}, rule.class === "visit" ? t("retention.visit") : rule.class),
    h("div", { class: "pair" }, field(t("retention.days"), days), field(t("retention.least"), least)))),
  h("div", { class: "actions" }, h("button", { class: "primary", type: "submit" }, t("save"))));
}

await load();
