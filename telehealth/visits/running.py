"""Which visits run in this process: loaded when needed, rebuilt at start, told what other rooms decide, tidied up."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from telehealth.access import SYSTEM as SERVER
from telehealth.access import Caller
from telehealth.audit.entry import SYSTEM, Actor
from telehealth.errors import NotFound
from telehealth.events import (
    Bus,
    CircleLeft,
    CodeMinted,
    CodeVoided,
    IdentitySeen,
    LinkRevoked,
    ParticipantSignedOut,
    SessionEnded,
    VisitChanged,
)
from telehealth.log import get_logger
from telehealth.nodes.registry import RunsElsewhere
from telehealth.visits.chores import Chores
from telehealth.visits.faults import NotEntered
from telehealth.visits.media_flow import MediaFlow
from telehealth.visits.neighbours import Desk, Neighbours, Settings
from telehealth.visits.ports import EndReason
from telehealth.visits.presence import Presence
from telehealth.visits.recording_flow import RecordingFlow
from telehealth.visits.roster import Here, LiveVisit, Person, seated
from telehealth.visits.rows import PersonRow, VisitRow
from telehealth.visits.states import HERE, ParticipantState, ParticipantStep, VisitStep, allows
from telehealth.visits.states import VISIT as VISIT_TABLE
from telehealth.visits.today import Sources, Today

log = get_logger(__name__)

_BEFORE = frozenset({ParticipantState.INVITED, ParticipantState.ARRIVED, ParticipantState.VERIFIED})


@dataclass(frozen=True, slots=True)
class Running:
    """One visit and those who move it."""

    visit: LiveVisit
    media: MediaFlow
    flow: RecordingFlow
    presence: Presence


class RunningVisits:
    """Owns the state of every running visit and all work done for them."""

    def __init__(self, rooms: Neighbours, settings: Settings) -> None:
        self.rooms: Final = rooms
        self.chores: Final = Chores()
        sources = Sources(rooms.store, rooms.publish, rooms.clock, settings.zone, self.running, rooms.tenure)
        self.desk: Final = Desk(rooms, settings, self.chores, Today(sources, self.chores))
        self._running: dict[str, Running] = {}
        self._loading = asyncio.Lock()

    async def start(self) -> None:
        """Take up the visits that were running; who was in them has the time of a reconnect to come back."""
        await self.take_up_all()
        self._tidy_later()

    async def take_up_all(self) -> None:
        """Run here every visit that was running and is run nowhere."""
        await self.take_up([row.id for row in await self.rooms.store.unfinished()])

    async def take_up(self, visits: Iterable[str]) -> None:
        """Run these here, but for those that run on another server."""
        for visit in visits:
            with suppress(RunsElsewhere):
                await self.load(visit)

    async def close(self) -> None:
        """End every recording, so that it is handed over whole, and wait for all work under way."""
        for running in tuple(self._running.values()):
            running.flow.run.finish("server_stopped")
            running.media.close("server_stopped")
        await self.chores.close()

    def listen(self, bus: Bus) -> None:
        """Hear what other rooms decide about sessions, links, codes and bookings."""
        bus.subscribe(SessionEnded, self.session_ended)
        bus.subscribe(LinkRevoked, self.link_revoked)
        bus.subscribe(ParticipantSignedOut, self.participant_signed_out)
        bus.subscribe(CodeMinted, self.code_minted)
        bus.subscribe(CodeVoided, self.code_voided)
        bus.subscribe(VisitChanged, self.visit_changed)
        bus.subscribe(CircleLeft, self.circle_left)
        bus.subscribe(IdentitySeen, self.identity_seen)

    def find(self, visit: str) -> Running | None:
        return self._running.get(visit)

    def running(self, visit: str) -> LiveVisit | None:
        """The visit as it runs, if it does."""
        found = self._running.get(visit)
        return found.visit if found else None

    def of(self, here: Here) -> Running:
        """Raises NotEntered."""
        found = self._running.get(here.visit)
        if found is None:
            raise NotEntered
        return found

    async def load(self, visit: str) -> Running:
        """The running visit, taken up from the database if need be. Raises NotFound, RunsElsewhere."""
        async with self._loading:
            found = self._running.get(visit)
            if found is not None:
                return found
            await self.rooms.tenure.take(visit)
            row = await self.rooms.store.get(visit)
            if row is None:
                raise NotFound
            rows = await self.rooms.store.people(visit)
            names = await self.rooms.people.name_of([row.clinician, *(one.user for one in rows if one.user)])
            live = LiveVisit(row, names.get(row.clinician, ""), int(self.rooms.clock.now().timestamp() * 1000))
            media = MediaFlow(self.desk, live)
            flow = RecordingFlow(self.desk, live, media)
            running = Running(live, media, flow, Presence(self.desk, live, flow, media))
            for person_row in rows:
                self._take_up(running, person_row, names)
            media.reconsider()
            self._running[visit] = running
            return running

    def _take_up(self, running: Running, row: PersonRow, names: Mapping[str, str]) -> Person:
        visit = running.visit
        person = seated(row, names.get(row.user, "") if row.user else row.name or visit.row.patient.name)
        visit.people[person.id] = person
        if person.state in HERE:
            running.presence.expect(person)
        return person

    async def person(self, running: Running, caller: Caller) -> Person:
        """Whoever calls, as a participant; the clinician's is made at their first entry. Raises NotFound."""
        store, visit = self.rooms.store, running.visit
        if caller.participant is not None:
            row = await store.person(caller.participant)
        else:
            row = await store.host(visit.id, caller.id)
        if row is None or row.visit != visit.id:
            raise NotFound
        known = visit.people.get(row.id)
        if known is None:
            return self._take_up(running, row, await self.rooms.people.name_of([row.user] if row.user else []))
        known.location, known.callback = row.location, row.callback
        if known.state in _BEFORE:  # until they enter, the way in is the joining room's
            known.state = row.state
        return known

    def forget(self, running: Running) -> None:
        """It runs here no more."""
        self._running.pop(running.visit.id, None)

    def all_running(self) -> tuple[Running, ...]:
        return tuple(self._running.values())

    async def finish(self, running: Running, step: VisitStep, actor: Actor) -> None:
        """Over for everybody. Raises WrongState."""
        await running.presence.end(step, actor, self.rooms.clock.now())
        self.forget(running)

    async def end_from_outside(self, caller: Caller, visit: str, step: VisitStep) -> None:
        """End or cancel a visit that nobody need be in. Raises NotFound, WrongState."""
        await self.finish(await self.load(visit), step, caller.actor())

    # What other rooms decide.

    async def session_ended(self, event: SessionEnded) -> None:
        """Whoever signed out is out of every call, and their sockets close."""
        self.rooms.publish.close_user(event.user, event.session)
        for running, person in self._people():
            ended = event.session is None or person.session == event.session
            if person.user == event.user and ended and person.state in HERE:
                actor = Actor("user", id=event.user, role=person.role)
                await self._out(running, person, "signed_out", actor)

    async def link_revoked(self, event: LinkRevoked) -> None:
        """Whoever came by the link is out."""
        for row in await self.rooms.store.people(event.visit):
            if row.link == event.link:
                self.rooms.publish.close_participant(row.id, "link_revoked")
        for running, person in self._people():
            if person.link == event.link and person.state in HERE:
                await self._out(running, person, "link_revoked", SYSTEM)

    async def circle_left(self, event: CircleLeft) -> None:
        """Whoever may not see the visit any more is out of it; a call under way outlives a time that ran out."""
        running = self._running.get(event.visit)
        if running is None or running.visit.row.clinician == event.user:
            return
        for person in tuple(running.visit.people.values()):
            if person.user == event.user and person.state in HERE and not (event.in_time and person.online):
                await self._out(running, person, "left", SYSTEM)

    async def identity_seen(self, event: IdentitySeen) -> None:
        """The clinician looked at a face, or another browser goes on, whose face nobody has seen yet."""
        running = self._running.get(event.visit)
        person = running.visit.people.get(event.participant) if running else None
        if running and person:
            person.sighted = event.outcome
            running.media.police_screens()
            self.desk.tell(running.visit)

    async def participant_signed_out(self, event: ParticipantSignedOut) -> None:
        """A patient gave the session up, or goes on with it in another browser; the one before hears no more."""
        running = self._running.get(event.visit)
        if event.replaced:
            self.rooms.publish.replace_participant(event.participant)
            if running:
                running.media.legs.finish_of(event.participant, "replaced")
            return
        person = running.visit.people.get(event.participant) if running else None
        if running and person and person.state in HERE:
            await self._out(running, person, "left", Actor("participant", id=person.id, role=person.role))
        else:
            self.rooms.publish.close_participant(event.participant, "left")

    async def _out(self, running: Running, person: Person, reason: EndReason, actor: Actor) -> None:
        await running.presence.depart(person, ParticipantStep.LEAVE, reason, actor)

    def under_way(self) -> int:
        """How many calls there are that a server which is going lets finish."""
        return sum(running.visit.under_way for running in self._running.values())

    def everyone(self) -> Iterator[Person]:
        """Whoever is known in a visit that runs here; for figures."""
        return (person for _, person in self._people())

    def _people(self) -> Iterator[tuple[Running, Person]]:
        for running in tuple(self._running.values()):
            for person in tuple(running.visit.people.values()):
                yield running, person

    async def code_minted(self, event: CodeMinted) -> None:
        """A code to be told by phone appears on the clinician's list."""
        row = await self.rooms.store.get(event.visit)
        if row is not None:
            self.desk.today.show_code(row.clinician, event)

    async def code_voided(self, event: CodeVoided) -> None:
        self.desk.today.hide_code(event.visit, event.link)

    async def visit_changed(self, event: VisitChanged) -> None:
        """A booking was made or changed: lists and views follow."""
        row = await self.rooms.store.get(event.visit)
        if row is None:
            return
        visit = self.running(event.visit)
        if visit is None:
            self.desk.today.touch(row.clinician)
            return
        now = visit.row
        visit.row = replace(row, state=now.state, ended_at=now.ended_at, screen_forbidden=now.screen_forbidden)
        for person in visit.people.values():
            if person.patient:
                person.name = row.patient.name
        self.desk.tell(visit)

    # Time.

    def _tidy_later(self) -> None:
        self.chores.later(self.desk.settings.tidy_seconds, self._tidy_now)

    def _tidy_now(self) -> None:
        self.chores.start(self.tidy(), "visit.tidy")
        self._tidy_later()

    async def tidy(self) -> None:
        """End what is past its window with nobody there, and let a live call count as activity of its staff."""
        now = self.rooms.clock.now()
        for row in await self.rooms.store.unfinished(before=now):
            if self._past(row) and not self._anybody(row.id):
                await self.take_up([row.id])
                running = self.find(row.id)
                if running is None:  # on another server, whose matter it is
                    continue
                if allows(VISIT_TABLE, running.visit.row.state, VisitStep.EXPIRE) and not self._anybody(row.id):
                    await self.finish(running, VisitStep.EXPIRE, SERVER.actor())
        for user, session in {(person.user, person.session) for _, person in self._people() if person.online}:
            if user is not None:
                await self.rooms.touch_live(user, session)

    def _past(self, row: VisitRow) -> bool:
        ends = row.scheduled_at + timedelta(minutes=row.minutes + self.desk.settings.late_minutes)
        return self.rooms.clock.now() > ends

    def _anybody(self, visit: str) -> bool:
        live = self.running(visit)
        return live is not None and any(person.online for person in live.people.values())
