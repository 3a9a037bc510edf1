// The patient's way to a copy: link → code → download, one thing at a time.
import { call, codeOf, Problem } from "../net/api.js";
import { field, fill, h } from "../ui/dom.js";
import { clock, dayAndTime, size, t, wordsFor } from "../ui/i18n.js";
import { about, openPage } from "../ui/shell.js";

const { clinic, demo } = await about();
const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname); // the secret leaves the address bar at once
addEventListener("hashchange", () => location.reload()); // another link opened in the same tab
document.title = `${t("taking.title")} · ${clinic.name}`;
const main = openPage(clinic, demo);

/** @param {string} step @param {...(Node | string | false | null)} content */
function card(step, ...content) {
  fill(main, h("div", { class: "card stack", "data-step": step }, ...content));
  if (!main.contains(document.activeElement)) main.focus();
}

/** @param {any} invitation */
function askCode(invitation) {
  const input = h("input", { id: "code", class: "code", dir: "ltr", required: true, maxlength: 64, inputmode: "numeric", autocomplete: "one-time-code" });
  const error = h("p", { class: "error", role: "alert" });
  const status = h("p", { class: "quiet small", role: "status" });
  const go = h("button", { class: "primary wide", type: "submit", id: "go" }, t("taking.go"));
  const told = invitation.channel === "told";
  const send = h("button", { class: "wide", type: "button", id: "send-code", onclick: mint }, told ? "" : t(/** @type {any} */ (`taking.send.${invitation.channel}`)));
  card("code", h("h1", {}, t("taking.hello")), h("p", {}, t(/** @type {any} */ (`taking.${invitation.channel}`))), !told && send, status,
    h("form", { class: "stack", onsubmit: verify }, field(t("taking.code"), input), error, go),
    h("p", { class: "quiet small" }, t("taking.until", { when: dayAndTime(invitation.expires_at) })));

  async function mint() {
    send.disabled = true;
    error.textContent = "";
    try {
      const sent = await call("POST", "/copy/code", { token });
      status.textContent = t("taking.sent", { time: clock(sent.expires_at) });
      input.focus();
    } catch (problem) {
      error.textContent = wordsFor(codeOf(problem));
    }
    setTimeout(() => { send.disabled = false; }, 5000);
  }

  /** @param {Event} event */
  async function verify(event) {
    event.preventDefault();
    go.disabled = true;
    error.textContent = "";
    try {
      ready(await call("POST", "/copy/verify", { token, code: input.value.trim() }));
    } catch (problem) {
      const left = problem instanceof Problem ? problem.triesLeft : null;
      error.textContent = [wordsFor(codeOf(problem)), left !== null && t("join.tries", { count: left })].filter(Boolean).join(" ");
      input.value = "";
      input.focus();
      go.disabled = false;
    }
  }
}

/** @param {any} opened */
function ready(opened) {
  const error = h("p", { class: "error", role: "alert" });
  const status = h("p", { role: "status", class: "quiet" });
  const bar = h("progress", { max: 1, value: 0, hidden: true, "aria-label": t("taking.progress") });
  const button = h("button", { class: "primary wide", id: "download", onclick: download }, t("taking.download"));
  card("ready", h("h1", {}, t("taking.ready")), h("p", {}, t("taking.size", { size: size(opened.size) })),
    h("p", { class: "note warn" }, t("taking.leaves")), button, bar, status, error);
  button.focus();

  async function download() {
    button.disabled = true;
    bar.hidden = false;
    error.textContent = "";
    status.textContent = t("taking.loading");
    try {
      save(await fetched(opened, (share) => { bar.value = share; }), opened.name);
      status.textContent = t("taking.done");
      button.textContent = t("taking.again");
    } catch (problem) {
      status.textContent = "";
      error.textContent = wordsFor(codeOf(problem));
    }
    bar.hidden = true;
    button.disabled = false;
  }
}

/**
 * The whole file, or nothing: one that broke off underway is not handed over.
 * @param {any} opened @param {(share: number) => void} progress
 */
async function fetched(opened, progress) {
  /** @type {Response} */
  let answer;
  try {
    answer = await fetch("/api/v1/copy/file", {
      method: "POST", headers: { "Content-Type": "application/json" }, cache: "no-store", credentials: "omit",
      body: JSON.stringify({ token, session: opened.session }),
    });
  } catch {
    throw new Problem(0, { code: "offline" });
  }
  if (!answer.ok || !answer.body) throw new Problem(answer.status, await answer.json().catch(() => ({})));
  let had = 0;
  const counted = answer.body.pipeThrough(new TransformStream({
    transform(piece, out) {
      had += piece.length;
      progress(had / opened.size);
      out.enqueue(piece);
    },
  }));
  /** @type {Blob} */
  let film;
  try {
    film = await new Response(counted, { headers: { "Content-Type": opened.mime } }).blob();
  } catch {
    throw new Problem(0, { code: "offline" });
  }
  if (film.size !== opened.size) throw new Problem(0, { code: "offline" });
  return film;
}

/** @param {Blob} film @param {string} name */
function save(film, name) {
  const url = URL.createObjectURL(film);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

try {
  if (!token) throw new Problem(404, { code: "copy_unknown" });
  askCode(await call("POST", "/copy", { token }));
} catch (error) {
  if (codeOf(error) === "offline") card("unknown", h("p", { role: "alert" }, wordsFor("offline")), h("button", { onclick: () => location.reload() }, t("again")));
  else card("unknown", h("h1", {}, t("taking.unknown")), h("p", {}, t("taking.unknown.text")));
}
