"""Destroying before the term: one asks, another one approves, wherever the clinic has a second admin."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from recordings import retention
from recordings.catalogue import Catalogue
from recordings.deletion import Deletion
from recordings.deletionstore import Decision, DeletionStore
from recordings.parts import Parts
from recordings.rows import RecordingRow, RequestRow
from recordings.rules import Rules, subject
from recordings.wishes import Wish, note_of, refuse_now
from telehealth.access import Action as Act
from telehealth.access import Caller, may, require
from telehealth.audit.actions import Action
from telehealth.audit.entry import Code, Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.errors import NotFound, Refusal
from telehealth.identity.faults import SecondAdminNeeded
from telehealth.ids import Kind, new_id
from telehealth.keys.fields import FieldCipher

GOOD_FOR = timedelta(days=7)  # a request that nobody decides


class Quorum(Protocol):
    """Who counts as a second person."""

    async def needs_second(self) -> bool:
        """Whether the clinic has, or had within the last day, two admins who can sign in."""
        ...

    async def is_second(self, caller: Caller, asked_by: str, asked_at: datetime) -> bool:
        """Whether this person may approve what that one asked for then, and who asked still may ask."""
        ...


class Alone:
    """A clinic of one admin."""

    async def needs_second(self) -> bool:
        return False

    async def is_second(self, caller: Caller, asked_by: str, _asked_at: datetime) -> bool:
        return caller.id != asked_by


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be destroyed: a recording, or one participant's part; why, in a code and in words."""

    recording: str
    reason: str
    note: str | None = None
    participant: str | None = None


class Requests:
    """Owns the requests. `two_people` False: every admin's word is enough."""

    def __init__(
        self,
        catalogue: Catalogue,
        deletions: DeletionStore,
        deletion: Deletion,
        parts: Parts,
        rules: Rules,
        quorum: Quorum,
        log: AuditLog,
        fields: FieldCipher,
        clock: Clock,
        *,
        two_people: bool,
    ) -> None:
        self._catalogue = catalogue
        self._deletions = deletions
        self._deletion = deletion
        self._parts = parts
        self._rules = rules
        self._quorum = quorum
        self._log = log
        self._fields = fields
        self._clock = clock
        self._two_people = two_people

    async def destroy(self, caller: Caller, wanted: Wanted) -> RequestRow | None:
        """Destroy it now, or keep the request that waits for another person and return it.

        A recording's own clinician may ask for a part, and an admin approves. Raises NotFound, Forbidden, Held,
        TooEarly, WrongState, LastPart, LogUnavailable.
        """
        row = await self._catalogue.recording(wanted.recording)
        await self._require(caller, Act.RECORDINGS_MANAGE if wanted.participant is None else Act.PARTS_DELETE, row)
        is_admin = may(caller, Act.RECORDINGS_MANAGE)
        if is_admin and (await self._due(row) or not self._two_people or not await self._quorum.needs_second()):
            await self._do(wanted, Wish(caller.actor(), wanted.reason, wanted.note, asked_by=caller.id))
            return None
        await self._refuse(caller, wanted, row)
        return await self._ask(caller, wanted, row)

    async def approve(self, caller: Caller, request: str) -> RequestRow:
        """By another admin than asked, in person; a hold or a minimum that came meanwhile wins, and the request waits.

        Raises Forbidden, NotFound (decided, over), SecondAdminNeeded, Held, TooEarly, WrongState, LogUnavailable.
        """
        asked = await self._open(request)
        row = await self._catalogue.recording(asked.recording)
        await self._require(caller, Act.RECORDINGS_MANAGE, row)
        if caller.kind == "token" or not await self._quorum.is_second(caller, asked.asked_by, asked.asked_at):
            await self._refused(caller, row, asked.participant, SecondAdminNeeded.code)
            raise SecondAdminNeeded
        wish = Wish(
            caller.actor(),
            asked.reason,
            note_of(asked, self._fields),
            asked.asked_by,
            asked.asked_at,
            Decision(request, caller.id, self._clock.now()),
        )
        await self._do(Wanted(asked.recording, asked.reason, participant=asked.participant), wish)
        return asked

    async def refuse(self, caller: Caller, request: str) -> None:
        """By any admin, who asked included: nothing is destroyed. Raises Forbidden, NotFound."""
        asked = await self._open(request)
        row = await self._catalogue.recording(asked.recording)
        if caller.id != asked.asked_by:
            await self._require(caller, Act.RECORDINGS_MANAGE, row)
        if not await self._deletions.refuse(request, caller.id, self._clock.now()):
            raise NotFound
        entry = _entry(Action.RECORDING_DELETE_REFUSE, caller, row, asked.participant)
        await self._log.enter_closing(replace(entry, detail={"request": request, "asked_by": asked.asked_by}))

    async def waiting(self, caller: Caller) -> Sequence[RequestRow]:
        """All that nobody decided, oldest first. Raises Forbidden."""
        require(caller, Act.RECORDINGS_MANAGE)
        return await self._deletions.requests(self._clock.now())

    async def _require(self, caller: Caller, action: Act, row: RecordingRow) -> None:
        """Raises Refused, Unseen."""
        require(caller, action, await self._catalogue.object_of(row, self._clock.now()))

    async def _open(self, request: str) -> RequestRow:
        asked = await self._deletions.request(request, self._clock.now())
        if asked is None:
            raise NotFound
        return asked

    async def _due(self, row: RecordingRow) -> bool:
        found = retention.verdict(subject(row), await self._rules.of(row), self._clock.now())
        return not isinstance(found, retention.Keep)

    async def _do(self, wanted: Wanted, wish: Wish) -> None:
        if wanted.participant is None:
            await self._deletion.delete(wanted.recording, wish)
        else:
            await self._parts.destroy(wanted.recording, wanted.participant, wish)

    async def _refuse(self, caller: Caller, wanted: Wanted, row: RecordingRow) -> None:
        """What could not be destroyed now is not asked for either."""
        try:
            if wanted.participant is None:
                refuse_now(row, await self._rules.of(row), self._clock.now())
            else:
                await self._parts.check(row, wanted.participant)
        except Refusal as refusal:
            await self._refused(caller, row, wanted.participant, refusal.code)
            raise

    async def _refused(self, caller: Caller, row: RecordingRow, participant: str | None, code: str) -> None:
        action = Action.RECORDING_DELETE if participant is None else Action.RECORDING_PART_DELETE
        entry = _entry(action, caller, row, participant)
        await self._log.enter_closing(replace(entry, outcome=Outcome.REFUSED, detail={"code": code}))

    async def _ask(self, caller: Caller, wanted: Wanted, row: RecordingRow) -> RequestRow:
        now, request = self._clock.now(), new_id(Kind.DELETION)
        asked = RequestRow(
            id=request,
            recording=row.id,
            participant=wanted.participant,
            reason=wanted.reason,
            note_sealed=self._sealed(request, wanted.note),
            asked_by=caller.id,
            asked_at=now,
            expires_at=now + GOOD_FOR,
        )
        detail: dict[str, Code] = {"request": request, "reason": wanted.reason}
        entry = _entry(Action.RECORDING_DELETE_ASK, caller, row, wanted.participant)
        async with self._log.act(replace(entry, detail=detail)):
            return await self._deletions.ask(asked)

    def _sealed(self, request: str, note: str | None) -> bytes | None:
        return self._fields.seal(note, table="deletion_requests", column="note", row=request) if note else None


def _entry(action: Action, caller: Caller, row: RecordingRow, participant: str | None) -> Entry:
    return Entry(
        action=action,
        outcome=Outcome.DONE,
        actor=caller.actor(),
        visit=row.visit,
        recording=row.id,
        patient=row.patient_lookup.hex(),
        subject=participant,
    )
