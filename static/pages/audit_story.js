// One visit in order, in plain words.
import { call, codeOf } from "../net/api.js";
import { actWords, ending, entries, sections, when, who, why } from "../ui/acts.js";
import { fill, h } from "../ui/dom.js";
import { t, wordsFor } from "../ui/i18n.js";
import { staffPage } from "../ui/shell.js";

const { session, main } = await staffPage("audit.story");
const visit = location.pathname.split("/").pop() ?? "";
const list = h("ol", { class: "story" });
const status = h("p", { class: "empty", role: "status", hidden: true });
const head = h("p", { class: "quiet small" });
fill(main,
  h("div", { class: "page-head" }, h("h1", {}, t("audit.story")),
    h("div", { class: "actions screen-only" }, h("button", { class: "small", type: "button", onclick: () => print() }, t("report.print")),
      h("a", { class: "button small", href: `/api/v1/audit/export?visit=${visit}&format=bundle` }, t("audit.export.bundle")))),
  sections("", session.user.role === "admin"),
  h("p", { class: "quiet" }, t("story.lead"), " ", h("code", {}, visit)), list, status, head);

try {
  const story = await call("GET", `/audit/visits/${visit}/story`);
  const acts = story.acts.filter((/** @type {import("../ui/acts.js").Act} */ act) => !act.action.startsWith("audit."));
  fill(list, ...acts.map(line));
  status.hidden = acts.length > 0;
  status.textContent = t("story.none");
  head.textContent = t("audit.stands_at", { size: story.head.size });
} catch (error) {
  status.hidden = false;
  status.textContent = wordsFor(codeOf(error));
}

/** @param {import("../ui/acts.js").Act} act */
function line(act) {
  const recorder = act.indexes.length > 1 && ["recording.pause", "recording.resume", "recording.stop"].includes(act.action) && act.actor.kind !== "system";
  return h("li", { "data-action": act.action, "data-meaning": act.meaning },
    h("div", { class: "when" }, when(act)),
    h("div", {}, h("strong", {}, actWords(act.action)), " ", ending(act.outcome),
      h("div", { class: "quiet small" }, [who(act.actor), why(act), recorder ? t("story.twice") : ""].filter(Boolean).join(" · ")),
      h("div", { class: "quiet small" }, entries(act))));
}
