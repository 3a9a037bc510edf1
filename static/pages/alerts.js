// Alerts: what waits for somebody, what was taken on, and the week to be signed off.
import { showAlerts } from "../ui/alertlist.js";
import { fill, h } from "../ui/dom.js";
import { t } from "../ui/i18n.js";
import { ringBell, staffPage } from "../ui/shell.js";
import { tabbed } from "../ui/tabs.js";
import { showReview } from "../ui/weekreview.js";

const { session, main } = await staffPage("alerts.title");
const { bar, panel, choose } = tabbed(t("alerts.title"), [
  { name: "open", words: t("alerts.open"), show: (place) => showOpen(place) },
  { name: "past", words: t("alerts.past"), show: (place) => showAlerts(place, "past", refresh, session.user.role === "admin") },
  { name: "review", words: t("alerts.review"), show: (place) => showReview(place, session.user.id) },
]);

const refresh = () => choose(location.hash.slice(1));

/** The bell is asked after the list, so that it never knows less than what stands below it. @param {HTMLElement} place */
async function showOpen(place) {
  await showAlerts(place, "open", refresh, session.user.role === "admin");
  await ringBell();
}

fill(main, h("div", { class: "page-head" }, h("h1", {}, t("alerts.title"))), bar, panel);
choose(location.hash.slice(1));
