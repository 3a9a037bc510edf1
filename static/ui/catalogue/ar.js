// العربية.
import { account } from "./ar.account.js";
import { codes } from "./ar.codes.js";
import { desk } from "./ar.desk.js";
import { visit } from "./ar.visit.js";

export const ar = { ...desk, ...visit, ...codes, ...account };
