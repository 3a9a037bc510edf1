// The key of this session: made here, never extractable, kept by the browser; a cookie that was stolen comes without it.
import { call } from "./api.js";

const CURVE = { name: "ECDSA", namedCurve: "P-256" };
const TITLE = "telehealth session proof 1\n";

/** @param {IDBTransactionMode} mode @param {(store: IDBObjectStore) => IDBRequest} act @returns {Promise<any>} */
function kept(mode, act) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("telehealth", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("keys");
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const database = opening.result;
      const asked = database.transaction("keys", mode);
      const request = act(asked.objectStore("keys"));
      asked.oncomplete = () => { database.close(); resolve(request.result); };
      asked.onabort = () => { database.close(); reject(asked.error); };
    };
  });
}

/** Sign in somewhere, the new session bound to the key of this browser: by it the clinic knows the device again.
 * @param {string} path @param {object} body @returns {Promise<any>} */
export async function signInAt(path, body) {
  const before = await kept("readonly", (store) => store.get("session")).catch(() => null);
  const pair = before ?? await crypto.subtle.generateKey(CURVE, false, ["sign", "verify"]);
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const storable = await kept("readwrite", (store) => store.put(pair, "next")).then(() => true, () => false);
  const answer = await call("POST", path, storable ? { ...body, key: { kty, crv, x, y } } : body);
  if (storable) await kept("readwrite", (store) => store.put(pair, "session"));
  return answer;
}

/** A proof for the server that this browser began the session; null where it holds no key. @returns {Promise<string | null>} */
export async function proof() {
  const pair = await kept("readonly", (store) => store.get("session")).catch(() => null);
  if (!pair) return null;
  const { challenge } = await call("POST", "/session/challenge");
  const raw = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, new TextEncoder().encode(TITLE + challenge));
  const spelled = btoa(String.fromCharCode(...new Uint8Array(raw))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return `${challenge}.${spelled}`;
}
