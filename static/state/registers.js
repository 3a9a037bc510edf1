// What the registers' forms hold, and how near a date is. Pure.

/** @typedef {"associates" | "incidents" | "findings"} Register */
/** @typedef {{name: string, kind: "line" | "text" | "day" | "number" | "choice", required?: boolean, choices?: string[]}} Field */

/** @type {Record<Register, Field[]>} */
export const FIELDS = {
  associates: [
    { name: "name", kind: "line", required: true }, { name: "service", kind: "line", required: true }, { name: "contact", kind: "line" },
    { name: "agreed_on", kind: "day" }, { name: "review_on", kind: "day", required: true }, { name: "ended_on", kind: "day" },
    { name: "note", kind: "text" },
  ],
  incidents: [
    { name: "title", kind: "line", required: true }, { name: "description", kind: "text" }, { name: "occurred_on", kind: "day" },
    { name: "discovered_on", kind: "day", required: true }, { name: "people", kind: "number" }, { name: "people_in_one_state", kind: "number" },
    { name: "assessment", kind: "choice", required: true, choices: ["open", "breach", "no_breach"] },
    { name: "measures", kind: "text" }, { name: "closed_on", kind: "day" },
  ],
  findings: [
    { name: "title", kind: "line", required: true }, { name: "source", kind: "line" },
    { name: "severity", kind: "choice", required: true, choices: ["critical", "high", "medium", "low", "info"] },
    { name: "found_on", kind: "day", required: true }, { name: "owner", kind: "line", required: true }, { name: "due_on", kind: "day", required: true },
    { name: "closed_on", kind: "day" }, { name: "outcome", kind: "choice", choices: ["fixed", "accepted", "false_alarm"] },
    { name: "note", kind: "text" },
  ],
};
export const NOTICE_TO = ["individuals", "secretary", "media", "authority", "associate", "other"];
export const NOTICE_HOW = ["letter", "email", "phone", "website", "form", "press", "other"];

/** What the server takes: empty fields are null, numbers are numbers. @param {Register} register @param {Record<string, string>} given */
export function filled(register, given) {
  return Object.fromEntries(FIELDS[register].map(({ name, kind }) => {
    const text = (given[name] ?? "").trim();
    return [name, text === "" ? null : kind === "number" ? Number(text) : text];
  }));
}

/** Whole days from `today` to `due`, both `YYYY-MM-DD`; negative when it is past. @param {string} due @param {string} today */
export const daysLeft = (due, today) => Math.round((Date.parse(`${due}T00:00Z`) - Date.parse(`${today}T00:00Z`)) / 86_400_000);

/** How loudly a date speaks. @param {number} left @returns {"danger" | "warn" | "plain"} */
export const tone = (left) => left < 0 ? "danger" : left <= 14 ? "warn" : "plain";
