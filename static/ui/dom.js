// Building elements: text is always text, never markup.

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Record<string, unknown>} Attributes */

/**
 * Make an element. `on…` attributes are listeners, `class`/`data-*`/`aria-*` are attributes, booleans toggle.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  element.append(...children.filter(present).map(asNode));
  return element;
}

/** @param {Element} element @param {string} name @param {unknown} value */
function set(element, name, value) {
  if (name.startsWith("on") && typeof value === "function") {
    element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
  } else if (value === true) {
    element.setAttribute(name, "");
  } else if (value !== false && value !== null && value !== undefined) {
    element.setAttribute(name, String(value));
  }
}

/** @param {Child} child @returns {child is Node | string | number} */
const present = (child) => child !== null && child !== undefined && child !== false;
/** @param {Node | string | number} child */
const asNode = (child) => (child instanceof Node ? child : document.createTextNode(String(child)));

/** Replace everything inside `place`. @param {Element} place @param {...Child} children */
export function fill(place, ...children) {
  place.replaceChildren(...children.filter(present).map(asNode));
}

const REACHED = "a[href], button, input, select, textarea, summary, [tabindex]";

/** What a pointer or the space bar is held down on: replaced before it is let go, its click would never come. @type {Node | null} */
let pressed = null;
/** What waits for the release, the newest of each place. @type {Map<Element, Child[]>} */
const later = new Map();

addEventListener("pointerdown", (event) => { if (event.button === 0) pressed = asPressed(event.target); }, true);
addEventListener("keydown", (event) => { if (event.key === " ") pressed = asPressed(event.target); }, true);
addEventListener("keyup", (event) => { if (event.key === " ") released(); }, true);
// A menu of the browser's own, and the list of a select, may keep the pointer's release to themselves.
for (const end of ["pointerup", "pointercancel", "contextmenu", "change", "blur"]) addEventListener(end, released, true);

/** @param {EventTarget | null} target */
const asPressed = (target) => (target instanceof Node ? target : null);

/** @param {Event} [event] a field that loses the focus is no release, the window's loss of it is */
function released(event) {
  if (event?.type === "blur" && event.target !== window) return;
  pressed = null;
  setTimeout(() => { // the click comes first
    const due = [...later];
    later.clear();
    for (const [place, children] of due) refill(place, ...children);
  });
}

/** Like `fill`, but who stands on the n-th control with the keyboard still stands there afterwards,
 * and what is pressed is let go first. @param {Element} place @param {...Child} children */
export function refill(place, ...children) {
  later.delete(place);
  if (place.contains(pressed)) {
    later.set(place, children);
    return;
  }
  const held = [...place.querySelectorAll(REACHED)].indexOf(document.activeElement ?? place);
  fill(place, ...children);
  const again = held >= 0 ? place.querySelectorAll(REACHED)[held] : null;
  if (again instanceof HTMLElement) again.focus();
}

/** The element with that id. @param {string} id @returns {HTMLElement} */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no element ${id}`);
  return element;
}

/** Say something once, to the eye and to the screen reader.
 * @param {string} text @param {"" | "danger"} [tone] @param {string} [code] of a refusal */
export function tell(text, tone = "", code = "") {
  let place = document.querySelector(".messages");
  if (!place) {
    place = h("div", { class: "messages", role: "status", "aria-live": "polite" });
    document.body.append(place);
  }
  const message = h("div", { class: `message ${tone}`, "data-code": code || null }, text);
  place.append(message);
  setTimeout(() => message.remove(), 6000);
}

/**
 * A modal dialog that resolves with what `close(value)` was given, or null.
 * @template V
 * @param {string} title
 * @param {(close: (value: V | null) => void) => Child[]} content
 * @param {string} [size]
 * @returns {Promise<V | null>}
 */
export function ask(title, content, size = "") {
  return new Promise((resolve) => {
    /** @type {V | null} */
    let answer = null;
    const heading = h("h2", { id: `dialog-${Math.random().toString(36).slice(2)}` }, title);
    const dialog = h("dialog", { class: size, "aria-labelledby": heading.id });
    /** @param {V | null} value */
    const close = (value) => {
      answer = value;
      dialog.close();
    };
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    dialog.append(heading, ...content(close).filter(present).map(asNode));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * A labelled field.
 * @param {string} label
 * @param {HTMLElement} input
 * @param {string} [hint]
 */
export function field(label, input, hint = "") {
  return h("label", { class: "field" }, h("span", {}, label), input, hint && h("small", {}, hint));
}
