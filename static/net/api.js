// Talking HTTP: JSON in, JSON out, every refusal a Problem with a stable code.

/** A refusal of the server (RFC 9457). */
export class Problem extends Error {
  /** @param {number} status @param {{code?: string, retry_after?: number, tries_left?: number}} body */
  constructor(status, body) {
    super(body.code ?? `http_${status}`);
    this.status = status;
    this.code = body.code ?? `http_${status}`;
    this.retryAfter = body.retry_after ?? null;
    this.triesLeft = body.tries_left ?? null;
  }
}

/** @type {(() => Promise<boolean>) | null} */
let stepUp = null;

/** Pages of staff say how a person proves themselves again. @param {() => Promise<boolean>} confirm */
export const onStepUp = (confirm) => { stepUp = confirm; };

/** @type {(() => Promise<string | null>) | null} */
let purposeOf = null;
/** @type {string | null} what the person said they need this page for */
let stated = null;

/** Pages of staff say how a person is asked for a purpose. @param {() => Promise<string | null>} asked */
export const onPurpose = (asked) => { purposeOf = asked; };

/** What was said on this page already. */
export const purposeOfUse = () => stated;

/** Ask the person what they need this for. @returns {Promise<boolean>} whether they said it */
export async function askPurpose() {
  stated = (await purposeOf?.()) ?? stated;
  return stated !== null;
}

/**
 * Ask the server; where it wants both factors again, the person is asked and the request sent once more.
 * @param {string} method @param {string} path below /api/v1 @param {unknown} [body]
 * @param {Record<string, string>} [headers] @returns {Promise<any>}
 */
export async function call(method, path, body, headers = {}) {
  try {
    return await once(method, path, body, headers);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.code === "purpose_needed" && stated === null && await askPurpose()) return call(method, path, body, headers);
    if (!(error.code === "step_up_needed" && stepUp && await stepUp())) throw error;
    return once(method, path, body, headers);
  }
}

/**
 * @param {string} method
 * @param {string} path below /api/v1
 * @param {unknown} body
 * @param {Record<string, string>} headers
 * @returns {Promise<any>}
 */
async function once(method, path, body, headers) {
  let answer;
  if (stated) headers = { "Purpose-Of-Use": stated, ...headers };
  try {
    answer = await fetch(`/api/v1${path}`, {
      method,
      headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "same-origin",
    });
  } catch {
    throw new Problem(0, { code: "offline" });
  }
  if (answer.status === 204) return null;
  const type = answer.headers.get("Content-Type") ?? "";
  const content = type.includes("json") ? await answer.json() : {};
  if (!answer.ok) throw new Problem(answer.status, content);
  return content;
}

/**
 * Answers may overtake each other: `const asks = asking()` once, `const newest = asks()` before each question,
 * `newest()` after its answer says whether nothing was asked since, so that it is to be shown.
 */
export function asking() {
  let last = 0;
  return () => {
    const mine = ++last;
    return () => mine === last;
  };
}

/** The code of anything thrown. @param {unknown} error */
export const codeOf = (error) => (error instanceof Problem ? error.code : "failed");

/** A query string without empty values. @param {Record<string, string | number | null | undefined>} values */
export function query(values) {
  const kept = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return kept.length ? `?${new URLSearchParams(kept.map(([name, value]) => [name, String(value)]))}` : "";
}
