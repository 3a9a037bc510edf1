"""Legal holds: a held recording is deleted by nobody, neither by wish nor by rule."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from recordings.catalogue import Catalogue
from recordings.deletionstore import LEAVING
from recordings.rows import RecordingRow
from recordings.states import State
from telehealth.access import Action as Act
from telehealth.access import Caller, require
from telehealth.audit.actions import Action
from telehealth.audit.entry import Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.errors import Refusal, WrongState
from telehealth.keys.fields import FieldCipher
from telehealth.keys.keystore import KeyStore
from telehealth.keys.provider import KeyDestroyed
from telehealth.log import get_logger

_log = get_logger(__name__)


class Holds:
    """The row is the hold; the key store's buckets follow it, so that no slip elsewhere can destroy what is held."""

    def __init__(self, catalogue: Catalogue, keys: KeyStore, log: AuditLog, fields: FieldCipher, clock: Clock) -> None:
        self._catalogue = catalogue
        self._keys = keys
        self._log = log
        self._fields = fields
        self._clock = clock
        self.turn = asyncio.Lock()  # a hold, a release and a part's destruction do not interleave in the key store

    async def hold(self, caller: Caller, recording: str, reason: str) -> RecordingRow:
        """Protect it from now on. Raises NotFound, Forbidden, WrongState once its deletion has begun.

        Raises what the key store refuses with while a part is being destroyed: then the row is held, and the part's
        keys may die all the same. Of a part, what lives when this returns stays.
        """
        require(caller, Act.RECORDINGS_MANAGE)
        row = await self._catalogue.recording(recording)
        sealed = self._fields.seal(reason, table="recordings", column="hold_reason", row=recording)
        outcome = Outcome.REFUSED
        try:
            async with self.turn:
                if await self._catalogue.mark_held(recording, caller.id, self._clock.now(), sealed):
                    outcome = Outcome.FAILED
                    await self._keep_leaving(recording)
                    await self.follow(await self._catalogue.recording(recording))
                    outcome = Outcome.DONE
        finally:
            entry = _entry(Action.HOLD_SET, outcome, caller, row)
            await self._log.enter_closing(replace(entry, private={"reason": reason}))
        if outcome is Outcome.REFUSED:
            raise WrongState
        return await self._catalogue.recording(recording)

    async def release(self, caller: Caller, recording: str) -> RecordingRow:
        """End the hold, entered first. Raises NotFound, Forbidden, WrongState where none is, LogUnavailable."""
        require(caller, Act.RECORDINGS_MANAGE)
        row = await self._catalogue.recording(recording)
        async with self._log.act(_entry(Action.HOLD_RELEASE, Outcome.INTENT, caller, row)), self.turn:
            if (await self._catalogue.recording(recording)).held_at is None:
                raise WrongState
            await self._each(self._keys.release, await self._files(recording, leaving=True))
            await self._keys.release(await self._files(recording, leaving=False))
            await self._catalogue.mark_released(recording)
        return await self._catalogue.recording(recording)

    async def follow(self, row: RecordingRow) -> None:
        """Move a held recording's shares to held buckets once it is sealed; what fails is tried at each sweep."""
        if row.held_at is None or row.state != State.SEALED:
            return
        try:
            await self._keep_leaving(row.id)
            await self._keys.hold(await self._files(row.id, leaving=False))
        except Refusal as refusal:
            _log.error("hold.keys_not_moved", recording=row.id, code=refusal.code)

    async def _keep_leaving(self, recording: str) -> None:
        """What lives of a part that is being destroyed, also by another server; the key store decides who is first."""
        await self._each(self._keys.hold, await self._files(recording, leaving=True))

    @staticmethod
    async def _each(move: Callable[[list[str]], Awaitable[None]], files: Iterable[str]) -> None:
        """Move the shares of those that have one."""
        for file in files:
            with suppress(KeyDestroyed):
                await move([file])

    async def _files(self, recording: str, *, leaving: bool) -> list[str]:
        """Its files: those of a part that is being destroyed, or all others."""
        return [file.id for file in await self._catalogue.files_of(recording) if (file.state == LEAVING) == leaving]

    async def follow_all(self) -> None:
        """At start and at each sweep: bring the key store up to the rows."""
        for row in await self._catalogue.held():
            async with self.turn:
                await self.follow(await self._catalogue.recording(row.id))

    def reason_of(self, row: RecordingRow) -> str | None:
        """Why it is held, in clear, for those who may read it."""
        if row.hold_reason_sealed is None:
            return None
        return self._fields.open(row.hold_reason_sealed, table="recordings", column="hold_reason", row=row.id)


def _entry(action: Action, outcome: Outcome, caller: Caller, row: RecordingRow) -> Entry:
    patient = row.patient_lookup.hex()
    return Entry(action, outcome, caller.actor(), visit=row.visit, recording=row.id, patient=patient)
