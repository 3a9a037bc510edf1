// Everybody on the stage: one large picture for two, a grid for more, a strip beside a shared screen.
import { company } from "../state/media.js";
import { grid, setting } from "../state/layout.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { Picture } from "./picture.js";
import { Tile } from "./tile.js";

/** @typedef {import("../state/visit.js").View} View */

export class People {
  /** @type {Map<string, Tile>} */ #tiles = new Map();
  /** @type {string | null} who shares what is shown: the first stays until they stop */ #sharer = null;
  #speaker = "";

  /** @param {HTMLElement} self own picture @param {HTMLElement} stage */
  constructor(self, stage) {
    this.stage = stage;
    this.self = h("li", { class: "self-view" }, ...self.childNodes);
    this.list = h("ul", { class: "people", "aria-label": t("people.here") }, this.self);
    this.screen = new Picture({ id: "far-screen", class: "screen-far", silent: true });
    this.screen.root.hidden = true;
    this.watch = new ResizeObserver(() => this.#place());
    this.watch.observe(this.list);
  }

  /** @param {View} view @param {import("../call/ways.js").Ways} ways */
  draw(view, ways) {
    const others = company(view);
    this.#screen(others, ways);
    for (const [participant, tile] of this.#tiles) {
      if (others.some((person) => person.participant === participant)) continue;
      tile.close();
      this.#tiles.delete(participant);
    }
    const shape = setting(others.length, !this.screen.root.hidden);
    for (const person of others) {
      const tile = this.#tiles.get(person.participant) ?? this.#seat(person.participant);
      tile.draw(person, ways.flows(person.participant), ways.reaches(person), others.length === 1);
    }
    this.stage.dataset.setting = shape;
    this.stage.classList.toggle("has-screen", !this.screen.root.hidden);
    this.#place();
  }

  /** Whether the only other person is seen. */
  get seen() { return this.#tiles.size > 1 || [...this.#tiles.values()].some((tile) => tile.seen); }

  /** @param {string} participant */
  #seat(participant) {
    const tile = new Tile(participant);
    if (this.#speaker) void tile.picture.speakThrough(this.#speaker);
    this.#tiles.set(participant, tile);
    this.self.before(tile.root); // never moved afterwards: a video that moves in the page stops
    return tile;
  }

  /** @param {import("../state/visit.js").Person[]} others @param {import("../call/ways.js").Ways} ways */
  #screen(others, ways) {
    const sharing = others.filter((person) => person.screen);
    if (!sharing.some((person) => person.participant === this.#sharer)) this.#sharer = sharing[0]?.participant ?? null;
    const flows = this.#sharer ? ways.flows(this.#sharer).filter((flow) => flow.screen) : [];
    this.screen.root.hidden = flows.length === 0;
    this.screen.show(flows.map(({ way, screen }) => ({ way, loud: false, tracks: screen ? [screen] : [] })));
  }

  /** As large as the place allows. */
  #place() {
    const { columns, rows } = grid(this.#tiles.size + 1, this.list.clientWidth, this.list.clientHeight);
    this.list.style.setProperty("--columns", String(columns));
    this.list.style.setProperty("--rows", String(rows));
  }

  /** @param {string | null} participant */
  mark(participant) {
    for (const [one, tile] of this.#tiles) tile.mark(one === participant && this.#tiles.size > 1);
  }

  /** @param {string} id of a speaker */
  async setSinkId(id) {
    this.#speaker = id;
    await Promise.all([...this.#tiles.values()].map((tile) => tile.picture.speakThrough(id)));
  }

  close() {
    this.watch.disconnect();
    for (const tile of this.#tiles.values()) tile.close();
    this.screen.close();
  }
}
