// English.
import { access } from "./en.access.js";
import { account } from "./en.account.js";
import { audit } from "./en.audit.js";
import { alerts } from "./en.alerts.js";
import { check } from "./en.check.js";
import { codes } from "./en.codes.js";
import { desk } from "./en.desk.js";
import { exporting } from "./en.export.js";
import { erasing } from "./en.erasing.js";
import { joining } from "./en.joining.js";
import { sso } from "./en.sso.js";
import { guide } from "./en.guide.js";
import { registers } from "./en.registers.js";
import { people } from "./en.people.js";
import { privacy } from "./en.privacy.js";
import { visit } from "./en.visit.js";

export const en = { ...desk, ...access, ...visit, ...joining, ...erasing, ...codes, ...exporting, ...account, ...sso, ...alerts, ...audit, ...guide, ...check, ...registers, ...people, ...privacy };
