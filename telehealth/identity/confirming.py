"""The guard against a message that reached somebody else: what whoever joins confirms, looked at with their code.

One look, one answer: a wrong code and a wrong confirmation are the same refusal and the same try.
"""

import hmac
import unicodedata
from typing import Literal, get_args

from telehealth.identity.ports import Fields
from telehealth.identity.secrets import as_read
from telehealth.identity.standing import SENT
from telehealth.store.guests import GuestFacts
from telehealth.store.links import VisitFacts

Confirm = Literal["none", "initials", "birth_year", "question"]
Rule = Literal["sent", "always", "never"]
KINDS: tuple[str, ...] = get_args(Confirm)


def asked_of(chosen: str | None, rule: Rule, channel: str, *, born: bool) -> Confirm:
    """What is asked: the clinic's choice for the visit; else by rule, the year of birth where it is known.

    A link and a code that go to one address reach whoever owns it: `sent` asks there.
    """
    if chosen == "birth_year" and not born:
        return "initials"  # nobody is asked what nobody could get right
    if chosen in KINDS:
        return chosen  # type: ignore[return-value]  # narrowed by KINDS
    if rule == "never" or (rule == "sent" and channel not in SENT):
        return "none"
    return "birth_year" if born else "initials"


def initials_of(name: str) -> tuple[str, str]:
    """Of the first and the last part, and of every part, plain letters: Žofia van Dam → (zd, zvd)."""
    parts = [part for part in (_plain(word) for word in name.replace("-", " ").split()) if part]
    every = "".join(part[0] for part in parts)
    return (every[:1] + every[-1:] if len(every) > 1 else every), every


def answer_right(kind: Confirm, typed: str, known: str) -> bool:
    """Whether the typed answer is the known one, in constant time. `known`: name, birth date or answer, as stored."""
    if kind == "none":
        return True
    if kind == "birth_year":
        return _same(as_read(typed), known[:4])
    if kind == "initials":
        short, every = initials_of(known)
        given = _plain(typed)
        return _same(given, short) | _same(given, every)
    return _same(_plain(typed), _plain(known))


def _plain(text: str) -> str:
    """Letters and digits alone, case folded, without accents, digits of any script as 0–9."""
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return as_read("".join(c for c in apart if c.isalnum()))


def _same(given: str, wanted: str) -> bool:
    return bool(wanted) and hmac.compare_digest(given.encode(), wanted.encode())


class Confirming:
    """Opens what is needed for one look, and keeps nothing."""

    def __init__(self, fields: Fields, rule: Rule = "sent") -> None:
        self._fields = fields
        self._rule = rule

    def asked(self, visit: VisitFacts, channel: str, guest: GuestFacts | None = None) -> Confirm:
        """What the visit's patient confirms; a guest their own initials where the patient confirms anything.

        A guest knows no year of birth, and the clinic's own question may say something about the patient.
        """
        if guest is not None:
            chosen = None if visit.confirm is None else "initials" if visit.confirm != "none" else "none"
            return asked_of(chosen, self._rule, channel, born=False)
        return asked_of(visit.confirm, self._rule, channel, born=visit.patient_birth_sealed is not None)

    def question(self, visit: VisitFacts, channel: str, guest: GuestFacts | None = None) -> str | None:
        """The clinic's own question, where it asks one."""
        if self.asked(visit, channel, guest) != "question":
            return None
        return self._opened(visit, "confirm_question_sealed")

    def right(self, visit: VisitFacts, channel: str, typed: str, guest: GuestFacts | None = None) -> bool:
        """Whether the answer is the one on file; nothing on file is never right."""
        kind = self.asked(visit, channel, guest)
        if guest is not None:
            name = self._fields.open(guest.name_sealed, table="guests", column="name_sealed", row=guest.id)
            return answer_right(kind, typed, name)
        column = {
            "initials": "patient_name_sealed",
            "birth_year": "patient_birth_sealed",
            "question": "confirm_answer_sealed",
        }.get(kind)
        return answer_right(kind, typed, self._opened(visit, column) if column else "")

    def _opened(self, visit: VisitFacts, column: str) -> str:
        sealed: bytes | None = getattr(visit, column)
        return "" if sealed is None else self._fields.open(sealed, table="visits", column=column, row=visit.id)
