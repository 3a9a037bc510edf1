// English.
import { account } from "./en.account.js";
import { codes } from "./en.codes.js";
import { desk } from "./en.desk.js";
import { visit } from "./en.visit.js";

export const en = { ...desk, ...visit, ...codes, ...account };
