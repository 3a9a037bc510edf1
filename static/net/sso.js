// The way to the clinic's identity provider and back; what we were about is remembered by this tab alone.
import { call } from "./api.js";

const KEPT = "sso";

/** @typedef {{link: boolean, next: string}} Way */

/** Go to the provider. `again`: prove oneself to it anew. @param {Way} way @param {boolean} [again] */
export async function goToProvider(way, again = false) {
  const { location: there } = await (way.link ? call("POST", "/sso/link") : call("POST", "/session/sso", { again }));
  sessionStorage.setItem(KEPT, JSON.stringify(way));
  location.assign(there);
}

/** What the provider put into the address, taken out of it at once, and what we were about.
 * @returns {{way: Way, brought: {state: string, code?: string, iss?: string}}} */
export function backFromProvider() {
  const said = new URLSearchParams(location.search);
  history.replaceState(null, "", location.pathname);
  const way = JSON.parse(sessionStorage.getItem(KEPT) ?? '{"link": false, "next": ""}');
  sessionStorage.removeItem(KEPT);
  const [state, code, iss] = ["state", "code", "iss"].map((name) => said.get(name));
  return { way, brought: { state: state || "none", ...(code ? { code } : {}), ...(iss ? { iss } : {}) } };
}
