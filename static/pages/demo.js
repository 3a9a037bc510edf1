// In a demonstration alone: the printed link signs in, once.
import { codeOf } from "../net/api.js";
import { signInAt } from "../net/proof.js";
import { fill, h } from "../ui/dom.js";
import { wordsFor } from "../ui/i18n.js";
import { about, home, openPage } from "../ui/shell.js";

const { clinic, demo } = await about();
const main = openPage(clinic, demo);
const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
try {
  const session = await signInAt("/demo", { token });
  location.replace(home(session.user.role));
} catch (error) {
  fill(main, h("div", { class: "card" }, h("h1", {}, clinic.name), h("p", { role: "alert" }, wordsFor(codeOf(error)))));
}
