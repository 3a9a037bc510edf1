// The clinic's registers: business associates, incidents with their clock, findings of security tests.
import { fill, h } from "../ui/dom.js";
import { t } from "../ui/i18n.js";
import { showRegister } from "../ui/registers.js";
import { staffPage } from "../ui/shell.js";
import { tabbed } from "../ui/tabs.js";

const { session, main } = await staffPage("registers.title");
const writes = session.user.role === "admin";
const { bar, panel, choose } = tabbed(t("registers.title"), [
  { name: "associates", words: t("registers.associates"), show: (place) => showRegister(place, "associates", writes) },
  { name: "incidents", words: t("registers.incidents"), show: (place) => showRegister(place, "incidents", writes) },
  { name: "findings", words: t("registers.findings"), show: (place) => showRegister(place, "findings", writes) },
]);

fill(main, h("div", { class: "page-head" }, h("h1", {}, t("registers.title"))), bar, panel);
choose(location.hash.slice(1));
