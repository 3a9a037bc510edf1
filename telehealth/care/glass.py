"""Breaking the glass: a clinician reaches a visit outside their own patients, for a stated reason and a short time.

The entry is durable before anything opens, an alarm is raised, the patient's report shows it. Where a second person is
signed in they may approve or deny for a moment; when nobody answers the glass opens by itself, because care goes on.
Every breaking is on the list that is reviewed afterwards, which is made from the entries.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from telehealth.access import Action as May
from telehealth.access import Caller, Object, decide, only_own, require
from telehealth.access import Kind as Of
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM as SERVER
from telehealth.audit.entry import Actor, Code, Entry, Outcome
from telehealth.care.faults import GlassNotNeeded, GlassOver
from telehealth.care.rooms import CareRooms
from telehealth.errors import Malformed, NotFound
from telehealth.events import CircleLeft
from telehealth.ids import Kind, is_id, new_id
from telehealth.log import get_logger
from telehealth.store import care as rows

log = get_logger(__name__)
REASONS = frozenset({"emergency", "covering", "handover", "other"})
SHORTEST_WORDS, LONGEST_WORDS = 10, 500
LOOK_SECONDS = 5.0
State = Literal["waiting", "open", "denied", "over"]


@dataclass(frozen=True, slots=True)
class Glass:
    """One breaking; `words`: the stated reason. `by`, `decided_by`: user ids."""

    id: str
    visit: str
    recording: str | None
    by: str
    by_name: str
    reason: str
    words: str
    state: State
    asked_at: datetime
    opens_at: datetime
    expires_at: datetime
    decision: str | None
    decided_by: str | None


def state_of(row: rows.GlassRow, now: datetime) -> State:
    """One word for where a breaking stands."""
    if row.decision == "denied":
        return "denied"
    if row.closed_at is not None or row.expires_at <= now:
        return "over"
    return "open" if row.opens_at <= now else "waiting"


class Glasses:
    """`run` closes those whose time is over; what they opened ends with them."""

    def __init__(self, rooms: CareRooms) -> None:
        self._rooms = rooms

    async def break_(
        self, caller: Caller, *, reason: str, words: str, visit: str | None = None, recording: str | None = None
    ) -> Glass:
        """Open a visit and its recordings to the caller; the one that runs already is given again.

        Raises Forbidden, Malformed, NotFound, GlassNotNeeded, LogUnavailable.
        """
        require(caller, May.GLASS_BREAK, Object(Of.OPENING))
        if reason not in REASONS:
            raise Malformed("reason")
        if not SHORTEST_WORDS <= len(words.strip()) <= LONGEST_WORDS:
            raise Malformed("words")
        visit = visit if recording is None else await self._visit_of(recording)
        _, thing = await self._rooms.thing(visit or "")
        now = self._rooms.clock.now()
        async with self._rooms.store.read() as connection:
            mine = await rows.broken_by(connection, caller.id, thing.id or "", now)
        if mine is not None:
            return await self._told(mine)
        if decide(caller, May.RECORDINGS_READ, thing):
            raise GlassNotNeeded
        return await self._broken(caller, thing, recording, reason, words.strip())

    async def _broken(self, caller: Caller, thing: Object, recording: str | None, reason: str, words: str) -> Glass:
        rooms, now = self._rooms, self._rooms.clock.now()
        wait = rooms.limits.wait if await self._second_person(caller.id, now) else timedelta()
        glass = new_id(Kind.GLASS, rooms.entropy)
        detail: dict[str, Code] = {
            "minutes": int(rooms.limits.lasts.total_seconds() // 60),
            "wait_seconds": int(wait.total_seconds()),
            "second_person": bool(wait),
        }
        entry = Entry(
            Action.BREAK_GLASS_OPEN,
            Outcome.DONE,
            caller.actor(),
            visit=thing.id,
            recording=recording,
            patient=thing.patient,
            subject=glass,
            purpose=reason,
            detail=detail,
            private={"reason": words},
        )
        async with rooms.audit.act(entry), rooms.store.begin() as connection:
            await rows.insert_glass(
                connection,
                id=glass,
                visit_id=thing.id,
                user_id=caller.id,
                recording_id=recording,
                reason=reason,
                words_sealed=rooms.fields.seal(words, table="glasses", column="words_sealed", row=glass),
                asked_at=now,
                opens_at=now + wait,
                expires_at=now + wait + rooms.limits.lasts,
            )
        log.critical("alarm.break_glass", code=reason, visit=thing.id, user=caller.id)
        return await self._told(await self._row(glass))

    async def _second_person(self, user: str, now: datetime) -> bool:
        if not self._rooms.limits.wait:
            return False
        async with self._rooms.store.read() as connection:
            return await rows.somebody_there(connection, user, now - self._rooms.limits.idle, now)

    async def list(self, caller: Caller) -> Sequence[Glass]:
        """The newest first: everybody's for overseers; a clinician's own, and those they may answer."""
        require(caller, May.GLASS_LIST)
        now, own = self._rooms.clock.now(), only_own(caller, May.GLASS_LIST)
        async with self._rooms.store.read() as connection:
            found = await rows.all_glasses(connection)
        seen = [row for row in found if not own or row.user_id == caller.id or state_of(row, now) == "waiting"]
        return [await self._told(row) for row in seen]

    async def approve(self, caller: Caller, glass: str) -> Glass:
        """By a second person: it opens now. Raises NotFound, Forbidden, GlassOver, LogUnavailable."""
        row = await self._asked(caller, glass)
        now = self._rooms.clock.now()
        entry = _entry(Action.BREAK_GLASS_APPROVE, caller.actor(), row)
        async with self._rooms.audit.act(entry), self._rooms.store.begin() as connection:
            if not await rows.decide(connection, glass, caller.id, "approved", now, min(now, row.opens_at)):
                raise GlassOver
        return await self._told(await self._row(glass))

    async def deny(self, caller: Caller, glass: str) -> Glass:
        """By a second person: it opens nothing, or nothing any more, at once. Raises NotFound, Forbidden, GlassOver."""
        row = await self._asked(caller, glass)
        async with self._rooms.store.begin() as connection:
            if not await rows.decide(connection, glass, caller.id, "denied", self._rooms.clock.now(), None):
                raise GlassOver
        await self._rooms.bus.publish(CircleLeft(row.visit_id, row.user_id))
        await self._rooms.audit.enter_closing(_entry(Action.BREAK_GLASS_DENY, caller.actor(), row))
        return await self._told(await self._row(glass))

    async def close(self, caller: Caller, glass: str) -> None:
        """Before its time, by whoever broke it or an admin. Raises NotFound, GlassOver."""
        row = await self._row(glass)
        require(caller, May.GLASS_CLOSE, Object(Of.OPENING, glass, row.user_id))
        if not await self._shut(row, caller.actor(), "closed"):
            raise GlassOver

    async def expire(self) -> int:
        """Close those whose time is over; how many."""
        async with self._rooms.store.read() as connection:
            due = await rows.run_out(connection, self._rooms.clock.now())
        return sum([await self._shut(row, SERVER, "over") for row in due])

    async def run(self) -> None:
        """Close in time, until cancelled; a failing database is logged and tried again."""
        while True:
            try:
                await self.expire()
            except Exception:
                log.error("glass.expire_failed", exc_info=True)
            await asyncio.sleep(LOOK_SECONDS)

    async def _shut(self, row: rows.GlassRow, actor: Actor, why: str) -> bool:
        async with self._rooms.store.begin() as connection:
            if not await rows.close(connection, row.id, self._rooms.clock.now()):
                return False
        await self._rooms.bus.publish(CircleLeft(row.visit_id, row.user_id, in_time=why == "over"))
        await self._rooms.audit.enter_closing(_entry(Action.BREAK_GLASS_CLOSE, actor, row, {"why": why}))
        return True

    async def _asked(self, caller: Caller, glass: str) -> rows.GlassRow:
        row = await self._row(glass)
        require(caller, May.GLASS_DECIDE, Object(Of.OPENING, None, row.user_id))
        return row

    async def _row(self, glass: str) -> rows.GlassRow:
        async with self._rooms.store.read() as connection:
            row = await rows.glass(connection, glass) if is_id(Kind.GLASS, glass) else None
        if row is None:
            raise NotFound
        return row

    async def _visit_of(self, recording: str) -> str | None:
        async with self._rooms.store.read() as connection:
            return await rows.visit_of(connection, recording)

    async def _told(self, row: rows.GlassRow) -> Glass:
        names = await self._rooms.names_of([row.user_id])
        words = self._rooms.fields.open(row.words_sealed, table="glasses", column="words_sealed", row=row.id)
        return Glass(
            id=row.id,
            visit=row.visit_id,
            recording=row.recording_id,
            by=row.user_id,
            by_name=names.get(row.user_id, ""),
            reason=row.reason,
            words=words,
            state=state_of(row, self._rooms.clock.now()),
            asked_at=row.asked_at,
            opens_at=row.opens_at,
            expires_at=row.expires_at,
            decision=row.decision,
            decided_by=row.decided_by,
        )


def _entry(action: Action, actor: Actor, row: rows.GlassRow, detail: dict[str, Code] | None = None) -> Entry:
    return Entry(
        action,
        Outcome.DONE,
        actor,
        visit=row.visit_id,
        recording=row.recording_id,
        patient=row.patient_lookup.hex(),
        subject=row.id,
        purpose=row.reason,
        detail={"by": row.user_id, **(detail or {})},
    )
