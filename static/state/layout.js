// How many pictures stand side by side. Pure.

const SLIMMEST = 3 / 4;
const WIDEST = 16 / 9;

/** The part of a cell a face fills well, in square pixels. @param {number} width @param {number} height */
function useful(width, height) {
  const wide = Math.min(width, height * WIDEST);
  return wide * Math.min(height, wide / SLIMMEST);
}

/**
 * Columns and rows for `count` equal pictures, as large as the place allows; never slivers.
 * @param {number} count @param {number} width @param {number} height
 */
export function grid(count, width, height) {
  let best = { columns: 1, rows: Math.max(1, count), worth: -1 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const worth = useful(width / columns, height / rows);
    if (worth > best.worth) best = { columns, rows, worth };
  }
  return { columns: best.columns, rows: best.rows };
}

/** How the stage is set. @param {number} others @param {boolean} screen @returns {"alone" | "two" | "many" | "shared"} */
export function setting(others, screen) {
  if (others === 0) return "alone";
  if (others === 1) return "two";
  return screen ? "shared" : "many";
}
