// This browser's own signing key: made here, never extractable, gone with the page.

const CURVE = { name: "ECDSA", namedCurve: "P-256" };
const pair = crypto.subtle.generateKey(CURVE, false, ["sign", "verify"]);

/** @returns {Promise<JsonWebKey>} */
export async function publicKey() {
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", (await pair).publicKey);
  return { kty, crv, x, y };
}

/** Sign a receipt; raw r‖s in base64. @param {string} text */
export async function sign(text) {
  const raw = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, (await pair).privateKey, new TextEncoder().encode(text));
  return btoa(String.fromCharCode(...new Uint8Array(raw)));
}

/** JSON with sorted keys and no spaces, as the server expects a receipt. @param {Record<string, string>} facts */
export const receipt = (facts) => JSON.stringify(Object.fromEntries(Object.entries(facts).sort(([a], [b]) => (a < b ? -1 : 1))));

/** SHA-256 in hex. @param {string} text */
export async function sha256(text) {
  const raw = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return Array.from(raw, (octet) => octet.toString(16).padStart(2, "0")).join("");
}
