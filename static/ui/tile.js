// One person on the stage: picture or initial, name, role, what they have switched off, whether they speak.
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { Picture } from "./picture.js";

/** @typedef {import("../state/visit.js").Person} Person */
/** @typedef {import("./i18n.js").Key} Key */

/** The name somebody is called by, or their role where they are not named. @param {Person | null} person */
export const called = (person) => person?.name ?? t(/** @type {Key} */ (`role.${person?.role ?? "nobody"}`));

/** Four bars. @param {number | null | undefined} level */
export function bars(level) {
  return h("span", { class: "bars", role: "img", "data-level": level ?? null, "aria-label": t(/** @type {Key} */ (`quality.${level ?? "unknown"}`)) },
    ...[1, 2, 3, 4].map(() => h("i")));
}

export class Tile {
  #drawn = "";

  /** @param {string} participant */
  constructor(participant) {
    this.picture = new Picture({ id: "", class: "far", silent: false });
    this.face = h("div", { class: "face", "aria-hidden": "true" });
    this.label = h("p", { class: "who" });
    this.root = h("li", { class: "tile", "data-participant": participant }, this.face, this.picture.root, this.label);
  }

  /** @param {Person} person @param {import("../call/ways.js").Flow[]} flows @param {boolean} reached @param {boolean} only alone on the stage */
  draw(person, flows, reached, only) {
    this.picture.id = only ? "far" : "";
    this.picture.show(flows.map(({ way, audio, camera, loud }) =>
      ({ way, loud, tracks: [audio, camera].filter((track) => track !== null) })));
    this.seen = person.video && reached;
    this.root.classList.toggle("no-picture", !this.seen);
    const name = called(person);
    const state = !person.online ? t("people.away") : reached ? "" : t("people.connecting");
    const drawn = [name, person.role, state, person.audio, person.video, person.screen, person.quality, only].join("\n");
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    fill(this.face, name.slice(0, 1));
    fill(this.label,
      !person.audio && h("span", { class: "off", role: "img", "aria-label": t("people.muted") }, icon("micOff")),
      h("span", { class: "label" }, h("span", { class: "name", dir: "auto" }, name),
        person.name && h("span", { class: "role" }, t(/** @type {Key} */ (`role.${person.role}`))),
        state && h("span", { class: "state" }, state)),
      !person.video && h("span", { class: "visually-hidden" }, t("people.nocamera")),
      person.screen && h("span", { class: "visually-hidden" }, t("people.sharing")));
    this.root.querySelector(":scope > .bars")?.remove();
    if (!only && typeof person.quality === "number") this.label.after(bars(person.quality));
  }

  /** @param {boolean} speaks */
  mark(speaks) { this.root.classList.toggle("speaks", speaks); }

  close() {
    this.picture.close();
    this.root.remove();
  }
}
