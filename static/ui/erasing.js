// Destroying: wishes that wait for another person, one participant's part, and what certificates say.
import { call, codeOf } from "../net/api.js";
import { ask, field, h, tell } from "./dom.js";
import { dayAndTime, length, t, wordsFor } from "./i18n.js";

/** @typedef {() => Promise<void>} Reload */

/** "Destroyed on …, final from …" while copies may still exist; null for what lives or is final. @param {any} one @returns {string | null} */
export function pendingWords(one) {
  return one.certificate === "pending" ? t("erase.pending", { at: dayAndTime(one.destroyed_at), until: dayAndTime(one.effective_after) }) : null;
}

/** The certificate, and the pending one before it. @param {any} one @param {string} path @param {string} name */
export function certificates(one, path, name) {
  if (!one.certificate) return [];
  const waited = one.certificate === "final" && one.effective_after > one.destroyed_at;
  return [
    h("a", { class: "button", id: `certificate${name}`, href: `/api/v1${path}/certificate`, download: `certificate${name}.json` }, t("recording.certificate")),
    waited && h("a", { class: "button", href: `/api/v1${path}/certificate?first=true`, download: `certificate${name}-pending.json` }, t("erase.first")),
  ];
}

/** Wishes about this recording that another person decides. @param {any} recording @param {{id: string, role: string}} user @param {Reload} reload */
export function wishes(recording, user, reload) {
  if (!recording.requests.length) return null;
  return h("section", { class: "card stack", id: "wishes" }, h("h2", {}, t("erase.waiting")), h("p", { class: "quiet" }, t("erase.waiting.text")),
    h("ul", { class: "rows" }, ...recording.requests.map((/** @type {any} */ one) => wish(one))));

  /** @param {any} one */
  function wish(one) {
    const track = recording.tracks.find((/** @type {any} */ each) => each.participant === one.participant);
    const what = one.participant ? t("erase.part.of", { role: t(/** @type {any} */ (`role.${track?.role ?? "guest"}`)) }) : t("erase.whole");
    const asked = t("erase.by", { name: one.asked_by.name || one.asked_by.id, at: dayAndTime(one.asked_at), until: dayAndTime(one.expires_at) });
    return h("li", { class: "row two", "data-wish": one.id },
      h("div", {}, h("h3", {}, what), h("p", { class: "quiet small" }, `${t(/** @type {any} */ (`delete.${one.reason}`))}${one.note ? ` · ${one.note}` : ""}`), h("p", { class: "quiet small" }, asked)),
      h("div", { class: "acts" }, h("div", { class: "actions" },
        user.role === "admin" && user.id !== one.asked_by.id
          && h("button", { class: "danger", "data-act": "approve", onclick: () => approve(one) }, t("erase.approve")),
        (user.role === "admin" || user.id === one.asked_by.id)
          && h("button", { "data-act": "refuse", onclick: () => act("DELETE", `/deletions/${one.id}`, reload) }, t(user.id === one.asked_by.id ? "erase.takeback" : "erase.refuse")))));
  }

  /** @param {any} one */
  async function approve(one) {
    const sure = await ask(t("erase.approve"), (close) => [h("p", { class: "note danger" }, t("recording.delete.text")),
      h("div", { class: "actions end" }, h("button", { onclick: () => close(null) }, t("cancel")),
        h("button", { class: "danger primary", id: "approve-go", onclick: () => close(true) }, t("erase.approve")))]);
    if (sure) await act("POST", `/deletions/${one.id}/approve`, reload);
  }
}

/** Each person's part: destroyed, or to be destroyed on their wish. @param {any} recording @param {Reload} reload */
export function parts(recording, reload) {
  const people = [...new Map(recording.tracks.map((/** @type {any} */ one) => [one.participant, one])).values()];
  const living = recording.state === "sealed" && people.length > 1 ? people : [];
  if (!living.length && !recording.parts.length) return null;
  return h("section", { class: "card stack", id: "parts" }, h("h2", {}, t("erase.parts")), h("p", { class: "quiet" }, t("erase.parts.text")),
    h("ul", { class: "rows" }, ...recording.parts.map(gone), ...living.map(alive)));

  /** @param {any} one */
  function gone(one) {
    const until = pendingWords(one) ?? (one.destroyed_at && t("erase.destroyed", { at: dayAndTime(one.destroyed_at) })) ?? t("recording.deleting");
    return h("li", { class: "row two", "data-part": one.participant, "data-gone": "" },
      h("div", {}, h("h3", {}, t(/** @type {any} */ (`role.${one.role}`))), h("p", { class: "quiet small" }, until)),
      h("div", { class: "acts" }, h("div", { class: "actions" }, ...certificates(one, `/recordings/${recording.id}/parts/${one.participant}`, `-${one.participant}`))));
  }

  /** @param {any} one */
  function alive(one) {
    return h("li", { class: "row two", "data-part": one.participant },
      h("div", {}, h("h3", {}, t(/** @type {any} */ (`role.${one.role}`)))),
      h("div", { class: "acts" }, h("div", { class: "actions" }, h("button", { class: "danger", onclick: () => destroy(one) }, t("erase.part")))));
  }

  /** @param {any} one */
  async function destroy(one) {
    const reason = h("select", { id: "part-reason" }, ...["withdrawal", "patient_request", "error", "other"].map((why) => new Option(t(/** @type {any} */ (`delete.${why}`)), why)));
    const note = h("input", { id: "part-note", maxlength: 500 });
    const sure = await ask(t("erase.part"), (close) => [h("form", { class: "stack", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); close(true); } },
      h("p", { class: "note danger" }, t("erase.part.text", { role: t(/** @type {any} */ (`role.${one.role}`)) })), field(t("reason"), reason), field(t("recording.note"), note),
      h("div", { class: "actions end" }, h("button", { type: "button", onclick: () => close(null) }, t("cancel")), h("button", { class: "danger primary", type: "submit", id: "part-go" }, t("erase.part"))))]);
    if (sure) await act("DELETE", `/recordings/${recording.id}/parts/${one.participant}`, reload, { reason: reason.value, note: note.value || null });
  }
}

/** What is missing, and whose, on the recording's own time. @param {any} manifest @param {number} seconds */
export function gapStrip(manifest, seconds) {
  const roles = new Map(manifest?.participants.map((/** @type {any} */ one) => [one.participant_id, one.role]) ?? []);
  const gaps = manifest?.gaps.filter((/** @type {any} */ one) => one.to_ms > one.from_ms) ?? [];
  if (!gaps.length) return null;
  return h("ul", { class: "quiet small", id: "gaps", "aria-label": t("erase.gaps") }, ...gaps.map((/** @type {any} */ one) => h("li", { "data-reason": one.reason },
    t(one.reason === "destroyed" ? "erase.gap.destroyed" : "erase.gap", { role: t(/** @type {any} */ (`role.${roles.get(one.participant_id) ?? "guest"}`)),
      from: length(one.from_ms / 1000), to: length(Math.min(one.to_ms / 1000, Math.max(seconds, one.from_ms / 1000))) }))));
}

/** @param {string} method @param {string} path @param {Reload} reload @param {object} [body] */
async function act(method, path, reload, body) {
  try {
    await call(method, path, body);
  } catch (error) {
    tell(wordsFor(codeOf(error)), "danger", codeOf(error));
  }
  await reload();
}
