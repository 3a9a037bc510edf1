// Forms of registers: what the server takes, and how near a date is.
import assert from "node:assert/strict";
import { test } from "node:test";
import { daysLeft, filled, tone } from "../../static/state/registers.js";

test("empty fields are null, numbers are numbers, nothing else is sent", () => {
  const item = filled("incidents", { title: " Lost phone ", discovered_on: "2031-05-01", people: "12", assessment: "open", more: "x" });
  assert.deepEqual(item, { title: "Lost phone", description: null, occurred_on: null, discovered_on: "2031-05-01", people: 12,
    people_in_one_state: null, assessment: "open", measures: null, closed_on: null });
});

test("days are calendar days, over a change of clocks and a leap year too", () => {
  assert.equal(daysLeft("2032-03-01", "2032-02-28"), 2);
  assert.equal(daysLeft("2031-03-31", "2031-03-30"), 1);
  assert.equal(daysLeft("2031-05-01", "2031-05-08"), -7);
  assert.deepEqual([-1, 0, 14, 15].map(tone), ["danger", "warn", "warn", "plain"]);
});
