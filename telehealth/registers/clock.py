"""What a register's item waits for and by when. Pure; days are calendar days in the clinic's time zone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from telehealth.registers.forms import Associate, Finding, Form, Incident

NOTICE = timedelta(days=60)  # 164.404(b): without unreasonable delay, and in no case later
MANY = 500  # 164.408(b): 500 or more; 164.406(a): more than 500 residents of a State
LEAD: Mapping[str, int] = {"associates": 30, "incidents": 20, "findings": 7}  # days ahead that one is reminded


@dataclass(frozen=True, slots=True)
class Deadline:
    """`what`: a code. `met_on`: when it was done; None: not yet."""

    what: str
    by: date
    met_on: date | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an item stands. `due_on`: the first thing that is not done; None: nothing waits."""

    state: str
    due_on: date | None
    deadlines: tuple[Deadline, ...]


def standing(form: Form) -> Standing:
    """Of whichever register."""
    if isinstance(form, Associate):
        return _associate(form)
    if isinstance(form, Incident):
        return _incident(form)
    if isinstance(form, Finding):
        return _of("closed" if form.closed_on else "open", (Deadline("fix", form.due_on, form.closed_on),))
    raise TypeError(type(form).__name__)


def _of(state: str, deadlines: tuple[Deadline, ...], *, waits: bool = True) -> Standing:
    ahead = [one.by for one in deadlines if one.met_on is None] if waits else []
    return Standing(state, min(ahead, default=None), deadlines)


def _associate(form: Associate) -> Standing:
    if form.ended_on is not None:
        return _of("ended", (Deadline("review", form.review_on, None),), waits=False)
    return _of("active" if form.agreed_on else "no_agreement", (Deadline("review", form.review_on, None),))


def _incident(form: Incident) -> Standing:
    """Open ones and breaches run against the clock; closing stops it, and is refused while a notice is owed."""
    deadlines = deadlines_of(form)
    if form.closed_on is not None:
        return _of("closed", deadlines, waits=False)
    if form.assessment == "no_breach":
        return _of("no_breach", (), waits=False)
    told = all(one.met_on for one in deadlines)
    state = "open" if form.assessment == "open" else "notified" if told else "notify"
    return _of(state, deadlines)


def deadlines_of(form: Incident) -> tuple[Deadline, ...]:
    """Who must be told by when; unknown numbers of people count as many."""
    if form.assessment == "no_breach" or form.people == 0:
        return ()
    sixty = form.discovered_on + NOTICE
    sent = {
        to: min((one.on for one in form.notices if one.to == to), default=None)
        for to in ("individuals", "secretary", "media")
    }
    many = form.people is None or form.people >= MANY
    year_end = date(form.discovered_on.year, 12, 31) + NOTICE  # 164.408(c)
    found = [
        Deadline("individuals", sixty, sent["individuals"]),
        Deadline("secretary", sixty if many else year_end, sent["secretary"]),
    ]
    in_state = form.people if form.people_in_one_state is None else form.people_in_one_state
    if in_state is not None and in_state > MANY:
        found.append(Deadline("media", sixty, sent["media"]))
    return tuple(found)


def stage(register: str, due_on: date | None, today: date) -> str | None:
    """What to remind of: `soon`, `due`, `over_1` (one week past), `over_2` …; None: nothing yet."""
    if due_on is None:
        return None
    left = (due_on - today).days
    if left > LEAD[register]:
        return None
    if left > 0:
        return "soon"
    return "due" if left > -7 else f"over_{-left // 7}"
