// After the visit: the patient asks for a copy of what was recorded.
import { call, codeOf } from "../net/api.js";
import { fill, h } from "../ui/dom.js";
import { language, t, wordsFor } from "../ui/i18n.js";

/** @typedef {import("../ui/i18n.js").Key} Key */

/** What was recorded, and a button for each; nothing where there is nothing or the session is over. */
export function ownRecordings() {
  const place = h("section", { class: "stack", hidden: true, id: "own", "aria-label": t("own.title") });
  const load = async () => {
    const found = await call("GET", "/join/recordings").catch(() => ({ items: [] }));
    place.hidden = !found.items.length;
    fill(place, h("h2", {}, t("own.title")), h("p", { class: "quiet" }, t("own.text")),
      ...found.items.map((/** @type {any} */ one, /** @type {number} */ index) => row(one, found.items.length > 1 ? t("own.number", { number: index + 1 }) : "")));
  };

  /** @param {any} one @param {string} name */
  function row(one, name) {
    const error = h("p", { class: "error", role: "alert" });
    const asks = one.copy_state === null || one.copy_state === "expired";
    const button = h("button", { class: "wide", "data-own": one.id, onclick: wish }, [name, t("own.ask")].filter(Boolean).join(": "));
    return h("div", { class: "stack" }, one.copy_state && h("p", { role: "status" }, [name, t(/** @type {Key} */ (`own.state.${one.copy_state}`))].filter(Boolean).join(": ")), asks && button, error);

    async function wish() {
      button.disabled = true;
      try {
        await call("POST", `/join/recordings/${one.id}/copy`, { language });
        await load();
      } catch (problem) {
        error.textContent = wordsFor(codeOf(problem));
        button.disabled = false;
      }
    }
  }

  void load();
  return place;
}
