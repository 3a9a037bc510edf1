"""Who saw what of a patient's, and what left the house: gathered from the log alone, names and places filled in."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from telehealth.audit.faults import DetailBroken, TooManyEntries
from telehealth.audit.leaf import Stored
from telehealth.audit.log import MAX_PAGE, AuditLog
from telehealth.audit.meaning import Meaning, disclosing_actions, meaning_of, read_by_programs
from telehealth.audit.reading import EntryFilter
from telehealth.audit.story import UNTOLD, Line, told

MOST = 10_000  # entries in one story, report or bundle
Names = Callable[[Iterable[str]], Awaitable[Mapping[str, str]]]
_PAGE = 500
_CARRIED = 300  # visits and recordings in one look-up


@dataclass(frozen=True, slots=True)
class Told:
    """One act as people read it. `name`: of staff or of a token; None for whoever stands under a pseudonym.

    `private`: address, device, recipient and free text; None where there was none or it was forgotten.
    """

    line: Line
    meaning: Meaning
    name: str | None
    private: Mapping[str, str] | None

    @property
    def stored(self) -> Stored:
        return self.line.stored

    @property
    def forgotten(self) -> bool:
        """Whether there was sealed text whose key is destroyed."""
        return self.stored.sealed is not None and self.private is None


async def each(log: AuditLog, only: EntryFilter) -> AsyncIterator[Stored]:
    """Entries that fit, oldest first, up to the head of now; a page in memory at a time."""
    size, after = log.head().size, -1
    while True:
        page = await log.entries(after=after, limit=min(_PAGE, MAX_PAGE), only=only)
        for stored in page:
            if stored.index >= size:
                return
            yield stored
        if len(page) < _PAGE:
            return
        after = page[-1].index


async def gathered(log: AuditLog, filters: Sequence[EntryFilter]) -> list[Stored]:
    """Entries that fit any of these, each once, in order. Raises TooManyEntries beyond MOST."""
    found: dict[int, Stored] = {}
    for only in filters:
        async for stored in each(log, only):
            found[stored.index] = stored
            if len(found) > MOST:
                raise TooManyEntries
    return [found[index] for index in sorted(found)]


async def about_patient(
    log: AuditLog, patient: str, since: datetime | None = None, until: datetime | None = None
) -> list[Stored]:
    """All that concerns a patient: under their pseudonym, and what names only their visits and recordings."""
    known = {
        thing
        async for stored in each(log, EntryFilter(patient=patient))  # of all time, and kept by nobody
        for thing in (stored.visit, stored.recording)
        if thing
    }
    things = sorted(known)
    more = [
        EntryFilter(about=frozenset(things[at : at + _CARRIED]), since=since, until=until)
        for at in range(0, len(things), _CARRIED)
    ]
    mine = EntryFilter(patient=patient, since=since, until=until)
    others = log.patient_pseudonym(patient)
    found = await gathered(log, [mine, *more])
    return [stored for stored in found if stored.patient in (None, others)]


async def access_report(
    log: AuditLog, names: Names, patient: str, since: datetime | None = None, until: datetime | None = None
) -> list[Told]:
    """Who saw what of a patient's, when, why and from where. Raises TooManyEntries."""
    lines = told(await about_patient(log, patient, since, until))
    return await filled(log, names, [line for line in lines if line.stored.action not in UNTOLD])


async def story(log: AuditLog, names: Names, visit: str) -> list[Told]:
    """A visit from booking to the deletion of its recordings, each act once. Raises TooManyEntries."""
    own = await gathered(log, [EntryFilter(visit=visit)])
    recordings = frozenset(stored.recording for stored in own if stored.recording)
    found = await gathered(log, [EntryFilter(visit=visit), *([EntryFilter(about=recordings)] if recordings else [])])
    return await filled(log, names, [line for line in told(found) if line.stored.action not in UNTOLD], places=False)


async def disclosures(
    log: AuditLog, names: Names, patient: str | None, since: datetime | None, until: datetime | None
) -> list[Told]:
    """What left the house (45 CFR 164.528): exports, copies, bundles, and what programs outside read."""
    if patient is not None:
        found = await about_patient(log, patient, since, until)
    else:
        during = EntryFilter(since=since, until=until)
        filters = [replace(during, action=action) for action in disclosing_actions()]
        filters += [replace(during, action=action, kind="token") for action in read_by_programs()]
        found = await gathered(log, filters)
    lines = [line for line in told(found) if meaning_of(line.stored) is Meaning.GIVEN_OUT]
    return _with_recipients(await filled(log, names, lines))


def _with_recipients(gone: Sequence[Told]) -> list[Told]:
    """A download goes to whom its export was made for; both name the export."""
    known = {
        one.stored.subject: one.private["recipient"]
        for one in gone
        if one.stored.subject and one.private and "recipient" in one.private
    }
    return [
        replace(one, private={"recipient": known[one.stored.subject], **(one.private or {})})
        if one.stored.subject in known and not one.forgotten
        else one
        for one in gone
    ]


async def opened(log: AuditLog, some: Sequence[Stored]) -> Mapping[int, Mapping[str, str]]:
    """The sealed texts by index; what is damaged says so in its place, and hides nothing that is whole."""
    try:
        return await log.open_all_private(some)
    except DetailBroken:
        if len(some) == 1:
            return {some[0].index: {"broken": "detail"}}
        half = len(some) // 2
        return {**await opened(log, some[:half]), **await opened(log, some[half:])}


async def filled(log: AuditLog, names: Names, lines: Sequence[Line], *, places: bool = True) -> list[Told]:
    """Names and private text put in; of guests, who are private people themselves, only the act."""
    known = await names({line.stored.actor for line in lines if line.stored.actor_kind in ("user", "token")})
    open_to = [line.stored for line in lines if places and line.stored.actor_role != "guest"]
    private = await opened(log, open_to)
    return [
        Told(line, meaning_of(line.stored), known.get(line.stored.actor), private.get(line.stored.index))
        for line in lines
    ]
