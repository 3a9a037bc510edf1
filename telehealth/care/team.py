"""A visit's team: colleagues whom its clinician puts on it, who then may see the visit and its recordings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from telehealth.access import Action as May
from telehealth.access import Caller, require
from telehealth.audit.actions import Action
from telehealth.audit.entry import Entry, Outcome
from telehealth.care.faults import NotAColleague
from telehealth.care.rooms import CareRooms
from telehealth.errors import NotFound
from telehealth.events import CircleLeft, VisitChanged
from telehealth.store import care as rows
from telehealth.visits.rows import VisitRow


@dataclass(frozen=True, slots=True)
class Colleague:
    id: str
    name: str
    added_by: str
    added_at: datetime


class Team:
    """Putting somebody on is entered before it holds; taking them off holds at once."""

    def __init__(self, rooms: CareRooms) -> None:
        self._rooms = rooms

    async def list(self, caller: Caller, visit: str) -> Sequence[Colleague]:
        """In the order they were put on it. Raises NotFound."""
        await self._visit(caller, visit, May.VISITS_READ)
        async with self._rooms.store.read() as connection:
            found = await rows.team_of(connection, visit)
        names = await self._rooms.names_of([user for user, _, _ in found])
        return [Colleague(user, names.get(user, ""), by, at) for user, by, at in found]

    async def add(self, caller: Caller, visit: str, user: str) -> None:
        """Raises NotFound, NotAColleague, LogUnavailable. Twice is once."""
        row = await self._visit(caller, visit, May.VISITS_TEAM)
        if user == row.clinician or not await self._rooms.visits.may_hold_visits(user):
            raise NotAColleague
        entry = _entry(Action.TEAM_ADD, caller, row, user)
        async with self._rooms.audit.act(entry), self._rooms.store.begin() as connection:
            await rows.join(connection, visit, user, caller.id, self._rooms.clock.now())
        await self._rooms.bus.publish(VisitChanged(visit))

    async def remove(self, caller: Caller, visit: str, user: str) -> None:
        """At once: what they play stops, and they leave the call. Raises NotFound, also the second time."""
        row = await self._visit(caller, visit, May.VISITS_TEAM)
        async with self._rooms.store.begin() as connection:
            if not await rows.part(connection, visit, user):
                raise NotFound
        await self._rooms.bus.publish(CircleLeft(visit, user))
        await self._rooms.audit.enter_closing(_entry(Action.TEAM_REMOVE, caller, row, user))
        await self._rooms.bus.publish(VisitChanged(visit))

    async def _visit(self, caller: Caller, visit: str, action: May) -> VisitRow:
        row, thing = await self._rooms.thing(visit)
        require(caller, action, thing)
        return row


def _entry(action: Action, caller: Caller, row: VisitRow, user: str) -> Entry:
    return Entry(action, Outcome.DONE, caller.actor(), visit=row.id, patient=row.patient_lookup.hex(), subject=user)
