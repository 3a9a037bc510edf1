"""What the clinic expects of the rules, written down by hand as a table and read without the code under test.

Columns: admin, clinician, auditor, front desk, patient, stranger, the server itself, a guest of a visit.
A: for every object. o: for their own. -: never.
Marks: t the team counts as own; g so does a broken glass; p a purpose beyond one's own; f two factors again;
w the team only while the visit is held; u bounds do not matter; x nobody for what they asked themselves;
l a list. The last column is the scope a token needs: `no` for none that would do, `any` for no matter which.
"""

from dataclasses import dataclass
from datetime import timedelta

TABLE = """
public             A A A A A A A A   u     any
account.see        A A A A - - A -   u     no
account.use        A A A A - - A -   .     no
account.change     A A A A - - A -   f     no
users.manage       A - - - - - A -   .     users:manage
users.change       A - - - - - A -   f     users:manage
resets.read        A - - - - - A -   .     no
resets.approve     A - - - - - A -   f     no
tokens.manage      A - - - - - A -   .     no
tokens.change      A - - - - - A -   f     no
visits.create      A A - A - - A -   .     visits:write
visits.list        A o - A - - A -   tgl   visits:read
visits.read        A o - A - - A -   tg    visits:read
visits.write       A o - A - - A -   t     visits:write
visits.end         A o - - - - A -   t     visits:write
visits.call        o o - - - - - -   tgw   no
visits.join        - - - - o - - o   tu    no
visits.team        A o - - - - A -   .     no
visits.media       A o - - - - A -   tg    visits:read
recordings.list    A o - - - - A -   tgl   recordings:read
recordings.read    A o - - - - A -   tg    recordings:read
recordings.play    A o - - - - A -   tgp   recordings:read
recordings.export  A - - - - - A -   tp    recordings:manage
copies.ask         A o - A - - A -   t     no
copies.decide      A o - - - - A -   .     no
copies.approve     A o - - - - A -   f     no
parts.delete       A o - - - - A -   tf    recordings:manage
deletions.approve  A - - - - - A -   f     no
deletions.refuse   A o - - - - A -   .     recordings:manage
recordings.manage  A - - - - - A -   .     recordings:manage
recordings.delete  A - - - - - A -   f     recordings:manage
recordings.release A - - - - - A -   f     recordings:manage
retention.read     A - - - - - A -   .     recordings:read
retention.write    A - - - - - A -   .     retention:write
retention.change   A - - - - - A -   f     retention:write
glass.break        - A - - - - - -   .     no
glass.close        A o - - - - A -   u     no
glass.decide       A A - - - - - -   x     no
glass.list         A o A - - - A -   tl    no
access.explain     A - A - - - A -   .     no
audit.read         A - A - - - A -   .     audit:read
audit.report       A - - - - - A -   .     no
alerts.answer      A - A - - - A -   .     no
reviews.sign       A - A - - - A -   f     no
registers.read     A - A - - - A -   .     audit:read
registers.write    A - - - - - A -   .     no
privacy.read       A - - - - - A -   .     no
privacy.export     A - - - - - A -   f     no
metrics.read       A - - - - - A -   .     metrics
server.run         A - - - - - A -   .     no
"""
ROLES = ("admin", "clinician", "auditor", "front_desk", "patient", "stranger", "system", "guest")
GOOD_PURPOSES = {"treatment", "quality", "legal", "patient_request", "emergency"}


@dataclass(frozen=True)
class Line:
    letters: dict[str, str]
    marks: str
    scope: str


def lines() -> dict[str, Line]:
    found = {}
    for text in TABLE.strip().splitlines():
        action, *letters, marks, scope = text.split()
        found[action] = Line(dict(zip(ROLES, letters, strict=True)), marks, scope)
    return found


LINES = lines()


@dataclass(frozen=True)
class Case:
    """One request, in the plainest terms. `mine`, `on_team`, `glass`: how who asks stands to the object."""

    action: str
    kind: str
    role: str
    scopes: tuple[str, ...] = ()
    mine: bool = False
    on_team: bool = False
    glass: bool = False
    any: bool = False
    held: bool = False
    running: bool = False
    window: str = "none"  # none | inside | outside | unknown
    hours: str = "unset"  # unset | inside | outside | unknown
    network: str = "unset"
    country: str = "unset"
    outside: str = "refuse"
    device: str = "known"  # known | unknown | untold
    unknown_device: str = "allow"
    purpose: str | None = None
    proved: str = "lately"  # lately | long_ago | never | in_the_future


def expected(case: Case) -> str:
    """The id of the rule that decides: "allowed", or that which refuses first."""
    line = LINES[case.action]
    return next((rule for rule, stands in _against(case, line) if stands), "allowed")


def _against(case: Case, line: Line) -> list[tuple[str, bool]]:
    letter, person = line.letters[case.role], case.kind == "user"
    theirs = case.mine if case.kind == "participant" else _theirs(case, line)
    some = case.any or "l" in line.marks
    bound = case.kind in ("user", "token") and "u" not in line.marks
    saved = case.outside == "purpose" and case.purpose in GOOD_PURPOSES
    forgiven = case.outside in ("alert", "allow") or saved
    here = case.action == "visits.call" and case.running
    strange = case.device != "known" and (
        case.unknown_device == "refuse" or (case.unknown_device == "purpose" and case.purpose not in GOOD_PURPOSES)
    )
    return [
        ("role", letter == "-"),
        ("token", case.kind == "token" and line.scope != "any" and line.scope not in case.scopes),
        ("circle", "x" in line.marks and case.mine),
        ("circle", letter == "o" and not theirs and not some),
        (
            "need_to_know",
            "p" in line.marks
            and not some
            and not theirs
            and case.kind != "system"
            and case.purpose not in GOOD_PURPOSES,
        ),
        (
            "window",
            "w" in line.marks
            and not some
            and not case.mine
            and not case.running
            and case.window in ("outside", "unknown"),
        ),
        ("hours", bound and person and not here and case.hours in ("outside", "unknown") and not forgiven),
        ("network", bound and case.network in ("outside", "unknown") and not forgiven),
        ("country", bound and case.country in ("outside", "unknown") and not forgiven),
        ("device", bound and person and strange),
        ("mfa", "f" in line.marks and person and case.proved != "lately"),
        ("hold", case.action == "recordings.delete" and case.held),
    ]


def _theirs(case: Case, line: Line) -> bool:
    return case.mine or (case.on_team and "t" in line.marks) or (case.glass and "g" in line.marks)


STEP_UP = timedelta(minutes=10)
