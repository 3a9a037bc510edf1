// Tabs (WAI-ARIA): one panel at a time, arrows move, the address remembers which.
import { fill, h } from "./dom.js";

/**
 * @param {string} label
 * @param {{name: string, words: string, show: (panel: HTMLElement) => Promise<void> | void}[]} tabs
 * @returns {{bar: HTMLElement, panel: HTMLElement, choose: (name: string) => void}}
 */
export function tabbed(label, tabs) {
  const panel = h("section", { role: "tabpanel", id: "panel", tabindex: "-1" });
  const buttons = tabs.map(({ name, words }) => h("button", {
    type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "panel", onclick: () => choose(name), onkeydown: move,
  }, words));
  const bar = h("div", { role: "tablist", class: "tabs", "aria-label": label }, ...buttons);

  /** @param {string} name */
  function choose(name) {
    const chosen = tabs.find((one) => one.name === name) ?? tabs[0];
    tabs.forEach((one, place) => {
      buttons[place].setAttribute("aria-selected", String(one === chosen));
      buttons[place].tabIndex = one === chosen ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", `tab-${chosen.name}`);
    history.replaceState(null, "", `#${chosen.name}`);
    fill(panel);
    void chosen.show(panel);
  }

  /** @param {KeyboardEvent} event */
  function move(event) {
    const forward = document.documentElement.dir === "rtl" ? "ArrowLeft" : "ArrowRight";
    const step = { [forward]: 1, [forward === "ArrowRight" ? "ArrowLeft" : "ArrowRight"]: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const place = buttons.findIndex((button) => button === event.currentTarget);
    const next = (place + step + tabs.length) % tabs.length;
    buttons[next].focus();
    choose(tabs[next].name);
  }

  return { bar, panel, choose };
}
