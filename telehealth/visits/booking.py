"""Visits as staff book, change, cancel and end them; the first link comes with the visit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from telehealth.access import Action as May
from telehealth.access import Caller, Verdict, decide, only_own, reach, require, told
from telehealth.audit.actions import Action
from telehealth.audit.entry import Code, Entry, Outcome
from telehealth.clock import Clock
from telehealth.config import Config
from telehealth.errors import Malformed, NotFound, Refusal, WrongState
from telehealth.events import Bus, VisitChanged
from telehealth.identity.faults import ChannelNotAllowed
from telehealth.identity.links import IssuedLink, Links, NewBudget
from telehealth.identity.people import People
from telehealth.identity.ports import Audit
from telehealth.identity.standing import window_of
from telehealth.ids import Kind, is_id, new_id
from telehealth.outbox.outbox import Outbox
from telehealth.visits.cursor import cursor, place
from telehealth.visits.ending import Ending, EndingInDatabase
from telehealth.visits.objects import visit_object
from telehealth.visits.orders import (
    ChangeAsked,
    LinkAsked,
    ListAsked,
    PatientAsked,
    Visit,
    VisitAsked,
    VisitPage,
    confirmed,
    shown,
)
from telehealth.visits.rows import Filters, Patient, VisitRow
from telehealth.visits.sending import Sending
from telehealth.visits.states import OVER, VisitState, VisitStep
from telehealth.visits.store import VisitStore

__all__ = ["Booking", "BookingRooms", "ChannelNotAllowed"]

_MOVABLE = frozenset({VisitState.BOOKED, VisitState.OPEN})


@dataclass(frozen=True, slots=True)
class BookingRooms:
    """What booking works with."""

    store: VisitStore
    links: Links
    people: People
    outbox: Outbox
    audit: Audit
    bus: Bus
    clock: Clock
    config: Config


class Booking:
    """Whoever may not see a visit is told that there is none."""

    def __init__(self, rooms: BookingRooms) -> None:
        self._rooms = rooms
        self.sending = Sending(rooms.links, rooms.outbox, rooms.clock, rooms.config)
        self._zone = ZoneInfo(rooms.config.server.time_zone)
        self._ending: Ending = EndingInDatabase(rooms.store, rooms.audit, rooms.clock)

    def end_through(self, ending: Ending) -> None:
        """From now on visits are ended by whoever carries their sockets."""
        self._ending = ending

    async def create(self, caller: Caller, asked: VisitAsked) -> tuple[Visit, IssuedLink]:
        """A new visit and its first link.

        Raises Forbidden, Malformed, ChannelNotAllowed, ContactUnfit, ChannelOff, PasscodeWeak, LogUnavailable.
        """
        require(caller, May.VISITS_CREATE)
        row = await self._row_for(caller, asked)
        self.sending.sendable(row, asked, row.patient.contact)
        detail: dict[str, Code] = {"minutes": row.minutes, "assurance": row.assurance, "channel": asked.channel}
        async with self._rooms.audit.act(_entry(Action.VISIT_CREATE, caller, row, detail)):
            await self._rooms.store.add(row)
            try:
                issued = await self.sending.issue(caller, row, asked, row.patient.contact)
            except Refusal:
                await self._rooms.store.discard(row.id)
                raise
        await self._rooms.bus.publish(VisitChanged(row.id))
        return await self._shown(caller, row.id), issued

    async def _row_for(self, caller: Caller, asked: VisitAsked) -> VisitRow:
        now = _whole(self._rooms.clock.now())
        visit = new_id(Kind.VISIT)
        patient = _patient(asked.patient)
        return VisitRow(
            id=visit,
            clinician=await self._clinician(caller, asked.clinician),
            state=VisitState.BOOKED,
            patient=patient,
            patient_lookup=self._rooms.store.lookup(patient),
            scheduled_at=_whole(asked.scheduled_at) if asked.scheduled_at else now,
            minutes=asked.minutes,
            assurance=asked.assurance,
            recording_planned=asked.recording_planned,
            screen_forbidden=False,
            revision=0,
            created_at=now,
            ended_at=None,
            confirm=confirmed(asked.confirm),
        )

    async def _clinician(self, caller: Caller, asked: str | None) -> str:
        """The caller, or whom an admin books for. Raises Forbidden, Malformed for somebody who cannot hold visits."""
        clinician = asked or caller.id
        if clinician != caller.id:
            require(caller, May.VISITS_WRITE)
        if not await self._rooms.store.may_hold_visits(clinician):
            raise Malformed("clinician")
        return clinician

    async def list(self, caller: Caller, asked: ListAsked) -> VisitPage:
        """Visits in order of their time. Raises Forbidden, Malformed."""
        require(caller, May.VISITS_LIST)
        own = only_own(caller, May.VISITS_LIST)
        since, until = self._day(asked.day)
        filters = Filters(
            clinician=asked.clinician,
            state=VisitState(asked.state) if asked.state else None,
            since=since,
            until=until,
            reach=reach(caller, May.VISITS_LIST, self._rooms.clock.now()),
        )
        if not own:
            await self._rooms.audit.enter(Entry(Action.VISIT_READ, Outcome.DONE, caller.actor(), detail={"list": True}))
        rows = await self._rooms.store.page(filters, asked.limit + 1, place(asked.after))
        more = len(rows) > asked.limit
        rows = rows[: asked.limit]
        return VisitPage(await self._all_shown(caller, rows), cursor(rows[-1]) if more else None)

    async def show(self, caller: Caller, visit: str) -> Visit:
        """One visit; looking at another clinician's is entered first. Raises NotFound, LogUnavailable."""
        row, verdict = await self._seen(caller, visit, May.VISITS_READ)
        if row.clinician != caller.id:
            await self._rooms.audit.enter(_entry(Action.VISIT_READ, caller, row, told(verdict)))
        return await self._shown(caller, visit)

    async def edit(self, caller: Caller, visit: str, asked: ChangeAsked) -> Visit:
        """Change what is given; rescheduling moves the windows of live links, cancelling revokes them.

        Raises NotFound, WrongState, ChannelNotAllowed, LogUnavailable.
        """
        row = await self.seen(caller, visit, May.VISITS_WRITE)
        changed = await self._changes(row, asked)
        if changed:
            detail: dict[str, Code] = dict.fromkeys(changed, True)
            async with self._rooms.audit.act(_entry(Action.VISIT_EDIT, caller, row, detail)):
                await self._rooms.store.change(visit, **changed)
            when = {name: value for name, value in changed.items() if name in ("scheduled_at", "minutes")}
            if when:
                moved = replace(row, **when)
                window = window_of(moved.scheduled_at, moved.minutes, self._rooms.config.visits)
                await self._rooms.links.move(caller, visit, window)
        if asked.state == "cancelled":
            await self._ending.end_from_outside(caller, visit, VisitStep.CANCEL)
            await self._rooms.links.revoke_all(caller, visit)
        await self._rooms.bus.publish(VisitChanged(visit))
        return await self._shown(caller, visit)

    async def _changes(self, row: VisitRow, asked: ChangeAsked) -> dict[str, Any]:
        given: dict[str, Any] = {
            "patient": _patient(asked.patient) if asked.patient else None,
            "scheduled_at": _whole(asked.scheduled_at) if asked.scheduled_at else None,
            "minutes": asked.minutes,
            "assurance": asked.assurance,
            "recording_planned": asked.recording_planned,
            "confirm": confirmed(asked.confirm),
        }
        changed = {name: value for name, value in given.items() if value not in (None, getattr(row, name))}
        if changed and row.state in OVER:
            raise WrongState
        if "scheduled_at" in changed and row.state not in _MOVABLE:
            raise WrongState
        if changed.get("assurance") == "high" and await self._one_channel(row.id):
            raise ChannelNotAllowed
        return changed

    async def _one_channel(self, visit: str) -> bool:
        """Whether a link that still works has its codes by e-mail, or sent where the link itself was sent."""
        found, sent = await self._rooms.links.of([visit]), await self._rooms.store.deliveries([visit])
        channels = {link.channel for link in found[visit] if link.state in ("early", "live")}
        return "email" in channels or bool(channels & {one.channel for one in sent[visit] if one.kind == "link"})

    async def end(self, caller: Caller, visit: str) -> Visit:
        """End it for everybody. Raises NotFound, WrongState."""
        await self.seen(caller, visit, May.VISITS_END)
        await self._ending.end_from_outside(caller, visit, VisitStep.END)
        await self._rooms.bus.publish(VisitChanged(visit))
        return await self._shown(caller, visit)

    async def issue_link(self, caller: Caller, visit: str, asked: LinkAsked) -> IssuedLink:
        """A new link; the earlier one is revoked. Raises as `create`, and NotFound, WrongState."""
        row = await self.seen(caller, visit, May.VISITS_WRITE)
        self.sending.sendable(row, asked, row.patient.contact)
        return await self.sending.issue(caller, row, asked, row.patient.contact)

    async def revoke_link(self, caller: Caller, visit: str, link: str) -> None:
        """Raises NotFound."""
        await self.seen(caller, visit, May.VISITS_WRITE)
        await self._rooms.links.revoke(caller, visit, link)

    async def new_budget(self, caller: Caller, visit: str, link: str) -> NewBudget:
        """Raises NotFound, WrongState, LogUnavailable."""
        await self.seen(caller, visit, May.VISITS_WRITE)
        return await self._rooms.links.new_budget(caller, visit, link)

    async def seen(self, caller: Caller, visit: str, action: May) -> VisitRow:
        """A visit the caller may do that to. Raises NotFound."""
        return (await self._seen(caller, visit, action))[0]

    async def _seen(self, caller: Caller, visit: str, action: May) -> tuple[VisitRow, Verdict]:
        row = await self._rooms.store.get(visit) if is_id(Kind.VISIT, visit) else None
        if row is None:
            raise NotFound
        circle, limits = await self._rooms.store.circle(visit, self._rooms.clock.now()), self._rooms.config.visits
        thing = visit_object(row, circle, early_minutes=limits.early_minutes, late_minutes=limits.late_minutes)
        return row, require(caller, action, thing)

    async def _shown(self, caller: Caller, visit: str) -> Visit:
        row = await self._rooms.store.get(visit)
        if row is None:
            raise NotFound
        return (await self._all_shown(caller, [row]))[0]

    async def _all_shown(self, caller: Caller, rows: Sequence[VisitRow]) -> Sequence[Visit]:
        """Recordings are named only to whoever may list them."""
        rooms, wanted = self._rooms, [row.id for row in rows]
        names = await rooms.people.name_of({row.clinician for row in rows})
        links = await rooms.links.of(wanted)
        deliveries = await rooms.store.deliveries(wanted)
        recordings = await rooms.store.recordings_of(wanted) if decide(caller, May.RECORDINGS_LIST) else {}
        return [
            shown(row, names.get(row.clinician, ""), links[row.id], deliveries[row.id], recordings.get(row.id, ()))
            for row in rows
        ]

    def _day(self, day: date | None) -> tuple[datetime | None, datetime | None]:
        if day is None:
            return None, None
        since = datetime.combine(day, time.min, tzinfo=self._zone)
        return since, since + timedelta(days=1)


def _patient(asked: PatientAsked) -> Patient:
    born = asked.birth_date.isoformat() if asked.birth_date else None
    return Patient(asked.name.strip(), asked.contact, born, asked.record)


def _whole(moment: datetime) -> datetime:
    """Milliseconds, as they are told."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _entry(action: Action, caller: Caller, row: VisitRow, detail: dict[str, Code]) -> Entry:
    patient = row.patient_lookup.hex()
    return Entry(action, Outcome.DONE, caller.actor(), visit=row.id, patient=patient, detail=detail)
