// What is kept of a visit, how long, who sees it, and what patients may ask for; in plain words, from the configuration.
import { fill, h } from "../ui/dom.js";
import { t } from "../ui/i18n.js";
import { about, openPage } from "../ui/shell.js";

/** @typedef {import("../ui/i18n.js").Key} Key */

const { clinic, demo, kept } = await about();
const main = openPage(clinic, demo, "narrow");
document.title = `${t("privacy.title")} · ${clinic.name}`;

/** A term as people say it: in years, months or days, never shorter than it is. @param {number} days */
export function term(days) {
  if (days >= 730) return t("privacy.years", { n: Math.ceil(days / 365.25 - 0.01) });
  if (days >= 60) return t("privacy.months", { n: Math.ceil(days / 30.44 - 0.01) });
  return t("privacy.days", { n: days });
}

/** @param {Key} title @param {(string | false | undefined)[]} lines */
function part(title, lines) {
  const said = lines.filter((one) => typeof one === "string");
  return said.length > 0 && h("section", { class: "card stack" }, h("h2", {}, t(title)), h("ul", {}, ...said.map((one) => h("li", {}, one))));
}

fill(main,
  h("h1", {}, t("privacy.title")),
  h("p", {}, t("privacy.text", { clinic: clinic.name })),
  part("privacy.live", [t("privacy.live.nothing"), t("privacy.live.chat"), t("privacy.live.consent")]),
  part("privacy.kept", kept ? [
    t("privacy.kept.visit", { term: term(kept.identity_days) }),
    t("privacy.kept.recording", { term: term(kept.recording_days) }),
    t("privacy.kept.log", { term: t("privacy.years", { n: kept.audit_years }) }),
    kept.backup_days > 0 && t("privacy.kept.backup", { term: term(kept.backup_days) }),
  ] : []),
  part("privacy.who", [t("privacy.who.team"), t("privacy.who.others"), t("privacy.who.guests"), t("privacy.who.nobody")]),
  part("privacy.rights", [
    t("privacy.rights.no"),
    t("privacy.rights.report"),
    kept?.copies && t("privacy.rights.copy"),
    t("privacy.rights.delete"),
    t("privacy.rights.ask", { clinic: clinic.name }),
  ]),
  part("privacy.browser", [t("privacy.browser.cookie"), t("privacy.browser.address")]));
