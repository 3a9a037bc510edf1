"""Ending a visit where no process carries its sockets: the command line, and tests of bookings."""

from typing import Protocol

from telehealth.access import Caller
from telehealth.audit.actions import Action
from telehealth.audit.entry import Entry, Outcome
from telehealth.clock import Clock
from telehealth.errors import NotFound
from telehealth.visits.ports import Audit
from telehealth.visits.states import VISIT, VisitState, VisitStep, after
from telehealth.visits.store import VisitStore

ENDS = {
    VisitState.ENDED: Action.VISIT_END,
    VisitState.CANCELLED: Action.VISIT_CANCEL,
    VisitState.EXPIRED: Action.VISIT_EXPIRE,
}


class Ending(Protocol):
    """Whoever ends visits: the running visits of a server, or the database alone."""

    async def end_from_outside(self, caller: Caller, visit: str, step: VisitStep) -> None:
        """Raises NotFound, WrongState."""
        ...


class EndingInDatabase:
    """No sockets here: the state changes and the entry is made."""

    def __init__(self, store: VisitStore, audit: Audit, clock: Clock) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock

    async def end_from_outside(self, caller: Caller, visit: str, step: VisitStep) -> None:
        row = await self._store.get(visit)
        if row is None:
            raise NotFound
        state = after(VISIT, row.state, step)
        await self._store.change(visit, state=state, ended_at=self._clock.now())
        patient = row.patient_lookup.hex()
        await self._audit.enter_closing(Entry(ENDS[state], Outcome.DONE, caller.actor(), visit=visit, patient=patient))
