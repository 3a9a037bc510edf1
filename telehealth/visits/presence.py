"""Who comes into a visit and who goes: the waiting room, admission, removal, and coming back."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Actor, Entry
from telehealth.audit.faults import LogUnavailable
from telehealth.errors import WrongState
from telehealth.log import get_logger
from telehealth.visits.ending import ENDS
from telehealth.visits.faults import DetailsMissing, LinkOver, Removed, VisitFull, VisitOver
from telehealth.visits.media_flow import MediaFlow
from telehealth.visits.neighbours import Desk, visit_entry
from telehealth.visits.ports import EndReason
from telehealth.visits.recording_flow import RecordingFlow
from telehealth.visits.roster import Arrival, Here, LiveVisit, Person
from telehealth.visits.states import (
    HERE,
    OVER,
    PARTICIPANT,
    VISIT,
    ParticipantState,
    ParticipantStep,
    VisitState,
    VisitStep,
    after,
)
from telehealth.visits.topology import seats

log = get_logger(__name__)

Seat = Callable[[Here], None]  # binds the socket to the participant; called at once, before anybody is told


class Presence:
    """Moves people's states in one visit. Whoever goes is out at once; whoever comes waits for the entry."""

    def __init__(self, desk: Desk, visit: LiveVisit, flow: RecordingFlow, media: MediaFlow) -> None:
        self._desk = desk
        self._visit = visit
        self._flow = flow
        self._media = media

    async def enter(self, here: Here, person: Person, arrival: Arrival, seat: Seat) -> None:
        """Arrive in the waiting room, or come back into the call; the clinician into the call.

        Raises VisitOver, Removed, LinkOver, DetailsMissing, VisitFull, WrongState; LogUnavailable for staff.
        """
        await self._link_checked(person)
        async with self._visit.turn:
            step = ParticipantStep.HOST if person.staff else ParticipantStep.WAIT
            before = person.state
            self._may_enter(person, step)
            await self._entered(here, person, arrival, before)
            target = self._may_enter(person, step)  # whatever happened meanwhile counts
            await self._write_arrival(person, target, arrival)
            if self._may_enter(person, step) is not target:  # out meanwhile: an admission of before opens nothing now
                raise WrongState
            back = person.state is ParticipantState.ADMITTED
            self._take_seat(here, person, target, arrival)
            seat(here)
        if back:
            self._media.returned(person)
            self._flow.returned(person)
        elif target is ParticipantState.ADMITTED:
            self._flow.joined(person)
            self._media.reconsider()
        self._desk.tell(self._visit)

    async def _link_checked(self, person: Person) -> None:
        rooms = self._desk.rooms
        if person.link is not None and not await rooms.store.link_good(person.link, rooms.clock.now()):
            raise LinkOver

    def _may_enter(self, person: Person, step: ParticipantStep) -> ParticipantState:
        visit = self._visit
        if visit.row.state in OVER:
            raise VisitOver
        if person.state is ParticipantState.REMOVED:
            raise Removed
        target = after(PARTICIPANT, person.state, step)
        if person.patient and not (person.location and person.callback):
            raise DetailsMissing
        others = [other for other in visit.here() if other is not person]
        if not seats([other.role for other in others], person.role):
            raise VisitFull
        return target

    async def _entered(self, here: Here, person: Person, arrival: Arrival, before: ParticipantState) -> None:
        """The entry comes first. Waiting opens nothing, so a patient may wait while the log is down; staff may not."""
        detail = {"state": before.value, "key": arrival.key.thumbprint}
        entry = visit_entry(Action.JOIN, here.caller.actor(), self._visit, subject=person.id, detail=detail)
        try:
            await self._desk.enter(entry)
        except LogUnavailable:
            if person.staff and not arrival.break_glass:
                raise
            await self._desk.enter_break_glass(entry, arrival.words)

    async def _write_arrival(self, person: Person, target: ParticipantState, arrival: Arrival) -> None:
        rooms, row = self._desk.rooms, self._visit.row
        values: dict[str, Any] = {"public_key": dict(arrival.key.jwk), "left_at": None}
        now = rooms.clock.now()
        if target is not person.state:
            values["waiting_since" if target is ParticipantState.WAITING else "admitted_at"] = now
            person.since = now
        await rooms.store.set_person(person.id, target, **values)
        state = after(VISIT, row.state, VisitStep.ARRIVE)
        if state is not row.state:
            await rooms.store.change(row.id, state=state)

    def _take_seat(self, here: Here, person: Person, target: ParticipantState, arrival: Arrival) -> None:
        self._visit.set_state(after(VISIT, self._visit.row.state, VisitStep.ARRIVE))
        person.returned()
        person.session = here.caller.session
        person.state, person.online = target, True
        person.key, person.language, person.page = arrival.key, arrival.language, arrival.page
        person.audio, person.video, person.screen = arrival.audio, arrival.video, False

    async def admit(self, here: Here, participant: str, *, break_glass: bool, words: str | None) -> None:
        """Let somebody who waits into the call. Raises ClinicianOnly, NoSuchParticipant, WrongState, LogUnavailable."""
        visit = self._visit
        visit.clinician(here)
        person = visit.person(participant)
        async with visit.turn:
            after(PARTICIPANT, person.state, ParticipantStep.ADMIT)
            await self._admission_entered(here, person, break_glass, words)
            after(PARTICIPANT, person.state, ParticipantStep.ADMIT)
            try:
                await self._flow.make_room()
                await self._let_in(person)
            finally:
                if not person.admitted:
                    self._flow.nobody_came()

    async def _let_in(self, person: Person) -> None:
        """Raises WrongState for somebody who has gone meanwhile."""
        visit, rooms = self._visit, self._desk.rooms
        now = rooms.clock.now()
        await rooms.store.set_person(person.id, ParticipantState.ADMITTED, admitted_at=now)
        state = after(VISIT, visit.row.state, VisitStep.BEGIN)
        await rooms.store.change(visit.id, state=state)
        person.state = after(PARTICIPANT, person.state, ParticipantStep.ADMIT)
        person.since = now
        visit.set_state(state)
        self._flow.joined(person)
        self._media.reconsider()
        self._desk.tell(visit)

    async def _admission_entered(self, here: Here, person: Person, break_glass: bool, words: str | None) -> None:
        actor = here.caller.actor()
        try:
            await self._desk.enter(visit_entry(Action.ADMIT, actor, self._visit, subject=person.id))
        except LogUnavailable:
            if not break_glass:
                raise
            entry = visit_entry(Action.BREAK_GLASS_ADMIT, actor, self._visit, subject=person.id)
            await self._desk.enter_break_glass(entry, words)

    async def remove(self, here: Here, participant: str) -> None:
        """Put somebody out for good. Raises ClinicianOnly, NoSuchParticipant, WrongState."""
        visit = self._visit
        me, person = visit.clinician(here), visit.person(participant)
        if person is me:
            after(PARTICIPANT, ParticipantState.REMOVED, ParticipantStep.REMOVE)  # one leaves; one is not removed
        await self.depart(person, ParticipantStep.REMOVE, "removed", here.caller.actor())

    async def leave(self, here: Here) -> None:
        """Raises NotEntered."""
        await self.depart(self._visit.entered(here), ParticipantStep.LEAVE, "left", here.caller.actor())

    async def depart(
        self, person: Person, step: ParticipantStep, reason: EndReason, actor: Actor, *, code: str | None = None
    ) -> None:
        """Out at once, for everybody to see; written down right after. Raises WrongState."""
        visit = self._visit
        person.state = after(PARTICIPANT, person.state, step)
        person.returned()
        person.silent()
        self._flow.departed(person, code or reason)
        self._media.reconsider()
        self._desk.rooms.publish.close_participant(person.id, reason)
        self._desk.tell(visit)
        action = Action.REMOVE if step is ParticipantStep.REMOVE else Action.LEAVE
        detail = {"reason": code or reason}
        await self._written(person, visit_entry(action, actor, visit, subject=person.id, detail=detail))

    async def _written(self, person: Person, entry: Entry) -> None:
        rooms = self._desk.rooms
        await self._desk.enter_closing(entry)
        async with self._visit.turn:
            if person.state not in HERE:
                await rooms.store.set_person(person.id, person.state, left_at=rooms.clock.now())

    def dropped(self, person: Person) -> None:
        """A connection was lost: the seat is kept for a while."""
        if person.state not in HERE or not person.online:
            return
        person.silent()
        if person.admitted:
            self._media.dropped(person)
            self._media.police_screens()
            self._flow.dropped(person)
        self.expect(person)
        self._desk.tell(self._visit)

    def expect(self, person: Person) -> None:
        """Wait for somebody who is offline; who does not come back in time has left."""
        seconds = self._desk.settings.resume_seconds
        person.returned()
        person.away = self._desk.chores.later(seconds, lambda: self._stayed_away(person))

    def _stayed_away(self, person: Person) -> None:
        if person.state in HERE and not person.online:
            going = self.depart(person, ParticipantStep.LEAVE, "left", SYSTEM, code="away")
            self._desk.chores.start(going, f"visit.away {self._visit.id}")

    async def end(self, step: VisitStep, actor: Actor, now: datetime) -> VisitState:
        """Over for everybody. Raises WrongState."""
        visit, rooms = self._visit, self._desk.rooms
        state = after(VISIT, visit.row.state, step)
        visit.set_state(state, now)
        self._flow.run.finish("ended")
        self._media.close("ended")
        self._desk.tell(visit)
        gone = list(visit.here())
        for person in gone:
            person.state = after(PARTICIPANT, person.state, ParticipantStep.LEAVE)
            person.returned()
            person.silent()
            rooms.publish.close_participant(person.id, "ended")
        await self._desk.enter_closing(visit_entry(ENDS[state], actor, visit))
        async with visit.turn:
            await rooms.store.change(visit.id, state=state, ended_at=now)
            for person in gone:
                await rooms.store.set_person(person.id, person.state, left_at=now)
        self._desk.today.touch(visit.row.clinician)
        return state
