// العربية.
import { access } from "./ar.access.js";
import { account } from "./ar.account.js";
import { audit } from "./ar.audit.js";
import { alerts } from "./ar.alerts.js";
import { check } from "./ar.check.js";
import { codes } from "./ar.codes.js";
import { desk } from "./ar.desk.js";
import { exporting } from "./ar.export.js";
import { erasing } from "./ar.erasing.js";
import { joining } from "./ar.joining.js";
import { sso } from "./ar.sso.js";
import { guide } from "./ar.guide.js";
import { registers } from "./ar.registers.js";
import { people } from "./ar.people.js";
import { privacy } from "./ar.privacy.js";
import { visit } from "./ar.visit.js";

export const ar = { ...desk, ...access, ...visit, ...joining, ...erasing, ...codes, ...exporting, ...account, ...sso, ...alerts, ...audit, ...guide, ...check, ...registers, ...people, ...privacy };
