"""What sockets ask of the visits that run: thin, each answer given by the part that owns it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from telehealth.access import Action as May
from telehealth.access import Caller, Kind, Object, refused_entry, require, unusual_entry
from telehealth.audit.actions import Action
from telehealth.audit.entry import Entry, Outcome
from telehealth.errors import NotFound, Refusal
from telehealth.visits.among import VisitsAmongServers
from telehealth.visits.consent import Answer
from telehealth.visits.faults import (
    DirectForbidden,
    IdentityOpen,
    NoSuchParticipant,
    Removed,
    ScreenForbidden,
    VisitOver,
)
from telehealth.visits.neighbours import visit_entry
from telehealth.visits.objects import visit_object
from telehealth.visits.ports import Slot
from telehealth.visits.presence import Seat
from telehealth.visits.roster import Arrival, Here, Quality
from telehealth.visits.rows import VisitRow
from telehealth.visits.states import OVER, ParticipantState, VisitStep


class LiveVisits(VisitsAmongServers):
    """All running visits of this process. `start` before the first socket, `close` after the last."""

    # Coming and going.

    async def approach(self, caller: Caller, visit: str) -> None:
        """Whether a socket may be opened for this visit; refusals are entered. Raises NotFound, Removed, VisitOver."""
        async with self._tried(caller, visit):
            await self._approach(caller, visit)

    @asynccontextmanager
    async def _tried(self, caller: Caller, visit: str) -> AsyncIterator[None]:
        """Every try to come in is an entry, refused ones too."""
        try:
            yield
        except Refusal as refusal:
            by_rule = refused_entry(caller, refusal, {"code": refusal.code})
            entry = Entry(Action.JOIN, Outcome.REFUSED, caller.actor(), visit=visit, detail={"code": refusal.code})
            if by_rule is not None:
                entry = replace(entry, patient=by_rule.patient, detail=by_rule.detail)
            await self.rooms.audit.enter_throttled(entry, caller.id)
            raise

    async def _approach(self, caller: Caller, visit: str) -> None:
        row = await self.rooms.store.get(visit)
        if row is None:
            raise NotFound
        await self._may_take_part(caller, row)
        if caller.participant is not None:
            person = await self.rooms.store.person(caller.participant)
            if person is None or person.visit != visit:
                raise NotFound
            if person.state is ParticipantState.REMOVED:
                raise Removed
        if row.state in OVER:
            raise VisitOver

    async def enter(self, caller: Caller, visit: str, arrival: Arrival, seat: Seat) -> tuple[Here, Mapping[str, Any]]:
        """Enter; where one is now, and the view. Raises as `approach` and `Presence.enter`, and ServerDraining."""
        async with self._tried(caller, visit):
            await self._approach(caller, visit)
            running = await self.load(visit)
            if not running.visit.under_way:
                self.rooms.draining.refuse_new()
            person = await self.person(running, caller)
            here = Here(caller, visit, person.id)
            await running.presence.enter(here, person, arrival, seat)
        return here, self.view_for(here)

    def view_for(self, here: Here) -> Mapping[str, Any]:
        """The present view. Raises NotEntered."""
        visit = self.of(here).visit
        return self.desk.view_of(visit, visit.entered(here))

    async def admit(self, here: Here, participant: str, *, break_glass: bool = False, words: str | None = None) -> None:
        await self.of(here).presence.admit(here, participant, break_glass=break_glass, words=words)

    async def remove(self, here: Here, participant: str) -> None:
        await self.of(here).presence.remove(here, participant)

    async def leave(self, here: Here) -> None:
        await self.of(here).presence.leave(here)

    async def end(self, here: Here) -> None:
        """Raises ClinicianOnly, WrongState."""
        running = self.of(here)
        running.visit.clinician(here)
        await self.finish(running, VisitStep.END, here.caller.actor())

    def dropped(self, here: Here) -> None:
        """The socket that was entered is gone. A visit that is over knows nobody any more."""
        running = self.find(here.visit)
        person = running.visit.people.get(here.participant) if running else None
        if running and person:
            running.presence.dropped(person)

    # In the call.

    def may_signal(self, here: Here, to: str) -> str | None:
        """Whether a message may pass: both are admitted, the other is there, and there is something to agree on.

        The sender's page. Raises NotEntered, NotAdmitted, NoSuchParticipant; DirectForbidden where no browser may learn
        another's address, and where their media goes by the relay alone.
        """
        running = self.of(here)
        visit = running.visit
        visit.inside(here)
        if not self.desk.settings.direct_allowed:
            raise DirectForbidden
        me, other = visit.inside(here), visit.person(to)
        if not other.admitted or not other.online or other is me:
            raise NoSuchParticipant
        if not running.media.lets_meet(me.id, other.id):
            raise DirectForbidden
        return me.page

    def media(self, here: Here, *, audio: bool, video: bool, screen: bool) -> None:
        """What somebody sends, for the others to see. Raises NotAdmitted, ScreenForbidden, IdentityOpen."""
        running = self.of(here)
        visit = running.visit
        me = visit.inside(here)
        if screen and not visit.may_share(me):
            raise ScreenForbidden if visit.row.screen_forbidden and not me.staff else IdentityOpen
        me.audio, me.video, me.screen = audio, video, screen
        running.media.police_screens()
        self.desk.tell(visit)

    async def screen_policy(self, here: Here, *, forbidden: bool) -> None:
        """Forbid screen sharing, and stop a running share, or allow it. Raises ClinicianOnly."""
        running = self.of(here)
        visit = running.visit
        visit.clinician(here)
        visit.forbid_screen(forbidden)
        stopped = [person for person in visit.admitted() if forbidden and person.screen and not person.staff]
        for person in stopped:
            person.screen = False
            self.desk.send(person.id, "screen.stop", {})
        running.media.police_screens()
        self.desk.tell(visit)
        await self.rooms.store.change(visit.id, screen_share_forbidden=forbidden)
        for person in stopped:
            actor = here.caller.actor()
            await self.desk.enter_closing(visit_entry(Action.SCREEN_STOP, actor, visit, subject=person.id))

    def quality(self, here: Here, quality: Quality) -> None:
        """How somebody's connection does, for the clinician. Raises NotAdmitted."""
        visit = self.of(here).visit
        me = visit.inside(here)
        changed = me.quality is None or me.quality.level != quality.level
        me.quality = quality
        if changed:
            self.desk.tell(visit)

    # The relay.

    async def leg_offer(self, here: Here, sdp: str) -> tuple[str, Sequence[Slot]]:
        """The caller's leg to the relay, opened or gone on with: the answer, and who is on which of its sections."""
        return await self.of(here).media.offer(here, sdp)

    def leg_ready(self, here: Here, turn: int) -> None:
        self.of(here).media.ready(here, turn)

    def chat(self, here: Here, text: str) -> None:
        """Words to everybody else in the call, kept nowhere; in a direct call pages write to each other without us.

        Raises NotAdmitted.
        """
        visit = self.of(here).visit
        me = visit.inside(here)
        for person in visit.admitted():
            if person is not me:
                self.desk.send(person.id, "chat", {"from": me.id, "text": text})

    # The recording.

    async def recording_ask(self, here: Here, purpose: str) -> str:
        return await self.of(here).flow.ask(here, purpose)

    async def consent_answer(self, here: Here, request: str, answer: str, receipt: str, signature: str) -> None:
        await self.of(here).flow.answer(here, request, Answer(answer), receipt, signature)

    async def consent_withdraw(self, here: Here) -> None:
        await self.of(here).flow.withdraw(here)

    async def recording_stop(self, here: Here) -> None:
        await self.of(here).flow.stop(here)

    async def recording_pause(self, here: Here) -> None:
        await self.of(here).flow.pause(here)

    async def recording_resume(self, here: Here) -> None:
        await self.of(here).flow.resume(here)

    # The clinician's day.

    async def today_for(self, caller: Caller) -> Mapping[str, Any]:
        """The list of the caller's own visits today. Raises Forbidden."""
        try:
            require(caller, May.VISITS_CALL, Object(Kind.VISIT, any=True))
        except Refusal as refusal:
            entry = refused_entry(caller, refusal, {"request": "watch"})
            if entry is not None:
                await self.rooms.audit.enter_throttled(entry, f"refused:{caller.id}")
            raise
        return await self.desk.today.of(caller.id)

    async def _may_take_part(self, caller: Caller, row: VisitRow) -> None:
        """A patient in the visit of their link; the visit's own clinician or team, in person. Raises a Refusal."""
        settings, circle = self.desk.settings, await self.rooms.store.circle(row.id, self.rooms.clock.now())
        thing = visit_object(row, circle, early_minutes=settings.early_minutes, late_minutes=settings.late_minutes)
        action = May.VISITS_JOIN if caller.kind == "participant" else May.VISITS_CALL
        verdict = require(caller, action, thing)
        if verdict.alerts:
            entry = unusual_entry(caller, verdict, action, {"request": "approach"})
            await self.rooms.audit.enter_throttled(entry, f"unusual:{caller.id}:{'+'.join(verdict.alerts)}")
