"""Deleting recordings for good, in steps that can be killed anywhere and run again.

intent in the log → state `deleting` (the one transaction a hold races with) → key material destroyed → evidence kept →
ciphertext removed → certificate signed, and state `deleted` if it is final, in one transaction → last entry in the log.
A pending certificate's successor is signed when its time has come: then `deleted`, and an entry that names its hash.
"""

import asyncio
from collections.abc import Mapping, Sequence

from recordings.catalogue import Catalogue
from recordings.claims import Claims
from recordings.deletionstore import DeletionStore
from recordings.evidence import Certifier, case_of, digest_of, gather
from recordings.playback import Playback
from recordings.refusals import Held
from recordings.rows import RecordingRow
from recordings.rules import Rules
from recordings.states import TRANSITIONS, State, Step
from recordings.vault.store import Vault
from recordings.wishes import Wish, in_force, refuse_now, said_of
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Actor, Code, Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.errors import Refusal, WrongState
from telehealth.keys.fields import FieldCipher
from telehealth.keys.keystore import KeyStore
from telehealth.log import get_logger

_log = get_logger(__name__)
DELETABLE = tuple(state.value for state, step in TRANSITIONS if step is Step.DELETE)
MOST_AT_ONCE = 100  # recordings whose key material goes in one change of the key store


class Deletion:
    """Destroys; a hold always wins, and what is being captured or sealed right now is refused."""

    def __init__(
        self,
        catalogue: Catalogue,
        deletions: DeletionStore,
        keys: KeyStore,
        log: AuditLog,
        vault: Vault,
        playback: Playback,
        rules: Rules,
        fields: FieldCipher,
        certifier: Certifier,
        clock: Clock,
        claims: Claims,
    ) -> None:
        self._catalogue = catalogue
        self._deletions = deletions
        self._keys = keys
        self._log = log
        self._vault = vault
        self._playback = playback
        self._rules = rules
        self._fields = fields
        self._certifier = certifier
        self._clock = clock
        self._claims = claims
        self._closing = False
        self._turn = asyncio.Lock()  # a sweep and a wish do not complete the same deletion twice

    async def delete(self, recording: str, wish: Wish) -> RecordingRow:
        """Delete one recording now. Raises NotFound, Held, TooEarly, WrongState (busy), LogUnavailable.

        Once the deletion has begun it can only go forward: a part that fails meanwhile raises, and `finish` goes on.
        """
        row = await self._catalogue.recording(recording)
        try:
            refuse_now(row, await self._rules.of(row), self._clock.now())
            await self.begin(row, wish)
        except Refusal as refusal:
            await self._log.enter_closing(
                _entry(row, Outcome.REFUSED, wish.actor, {**wish.detail(), "code": refusal.code})
            )
            raise
        await self.finish([recording])
        return await self._catalogue.recording(recording)

    async def begin(self, row: RecordingRow, wish: Wish) -> None:
        """The intent, durable, then the state. Raises LogUnavailable, Held, WrongState: nothing was destroyed."""
        with self._claims.having(row.id):
            index = await self._log.enter(_entry(row, Outcome.INTENT, wish.actor, wish.detail()))
            now = self._clock.now()
            begun = await self._deletions.begin(
                row.id,
                DELETABLE,
                wish.decision,
                delete_reason=wish.reason,
                delete_note_sealed=self._note(row.id, wish.note),
                delete_asked_by=wish.asker,
                delete_asked_at=wish.asked_at or now,
                delete_approved_by=wish.approver,
                delete_entry=index,
                delete_rule=in_force(row, await self._rules.of(row), now),
            )
        if not begun:
            raise Held if (await self._catalogue.recording(row.id)).held_at is not None else WrongState

    async def finish(self, recordings: Sequence[str] | None = None) -> int:
        """Go on with these deletions, or with all that began and did not end; how many were completed.

        One that cannot be completed now is logged and left for the next run; with `recordings` its fault is raised.
        """
        async with self._turn:
            return await self._finish(recordings)

    def close(self) -> None:
        """Begin to complete nothing more of what earlier runs left; the next start goes on with it."""
        self._closing = True

    async def _finish(self, recordings: Sequence[str] | None) -> int:
        rows = await self._deletions.unfinished()
        rows = rows if recordings is None else [row for row in rows if row.id in set(recordings)]
        done = 0
        faults: list[Exception] = []
        for first in range(0, len(rows), MOST_AT_ONCE):
            for row in await self._destroy(rows[first : first + MOST_AT_ONCE], faults):
                if recordings is None and self._closing:
                    return done
                try:
                    await self._complete(row)
                    done += 1
                except Exception as fault:  # noqa: BLE001  # logged, or raised below; the others go on
                    self._left(row, fault, faults)
        if recordings is not None and faults:
            raise faults[-1]
        return done

    @staticmethod
    def _left(row: RecordingRow, fault: Exception, faults: list[Exception]) -> None:
        """One that cannot be completed now."""
        is_foreseen = isinstance(fault, Refusal)
        code = fault.code if isinstance(fault, Refusal) else type(fault).__name__
        _log.error("deletion.unfinished", recording=row.id, code=code, exc_info=None if is_foreseen else fault)
        faults.append(fault)

    def _note(self, recording: str, note: str | None) -> bytes | None:
        return self._fields.seal(note, table="recordings", column="delete_note", row=recording) if note else None

    async def _destroy(self, rows: Sequence[RecordingRow], faults: list[Exception]) -> list[RecordingRow]:
        """Players first, then the key material of the whole batch in one change of the key store; who can go on."""
        wanted: list[str] = []
        ready: list[RecordingRow] = []
        for row in rows:
            try:
                await self._playback.end_all(recording=row.id)
                if row.destruction is None:
                    wanted += [file.id for file in await self._catalogue.files_of(row.id)]
                ready.append(row)
            except Exception as fault:  # noqa: BLE001  # logged; the others go on
                self._left(row, fault, faults)
        try:
            if wanted:
                await self._keys.destroy(wanted)
        except Exception as fault:  # noqa: BLE001  # one of them may be the reason; each is tried by itself next
            code = fault.code if isinstance(fault, Refusal) else type(fault).__name__
            _log.warning("deletion.batch_refused", code=code, count=len(rows))
        return ready

    async def _complete(self, row: RecordingRow) -> None:
        """What follows the destruction, for one recording; every step can be repeated, and taken by two servers."""
        row = await self._catalogue.recording(row.id)
        if row.certificate is None:
            await self._keep_evidence(row)
            await self._remove_files(row.id)
            await self._certify(row.id)
            row = await self._catalogue.recording(row.id)
        if row.deleted_entry is None:
            await self._conclude(row)

    async def _keep_evidence(self, row: RecordingRow) -> None:
        if row.destruction is not None:
            return
        for file in await self._catalogue.files_of(row.id):
            if file.sha256 is None:
                sha256, size = await digest_of(self._vault, file.row.name)
                await self._catalogue.change_file(file.id, sha256=sha256, bytes=size)
        evidence, destroyed_at = await gather(self._keys, await self._catalogue.files_of(row.id))
        await self._deletions.proven(row.id, evidence, destroyed_at)

    async def _remove_files(self, recording: str) -> None:
        for file in await self._catalogue.files_of(recording):
            await self._vault.delete(file.row.name)
            await self._vault.delete(f"{file.id}.sealing")

    async def _certify(self, recording: str) -> None:
        row = await self._catalogue.recording(recording)
        if row.certificate is not None:
            return  # another server was quicker
        files = await self._catalogue.files_of(recording)
        issued = await self._certifier.certificate(case_of(row), files, self._log.head(), self._clock.now())
        over = {"state": State.DELETED, "deleted_at": issued.issued_at} if issued.is_final else {}
        await self._deletions.certified(
            recording, certificate=issued.blob, effective_after=issued.effective_after, **over
        )

    async def _conclude(self, row: RecordingRow) -> None:
        """The last entry; killed before it is noted, it stands in the log twice."""
        await self._catalogue.fold()
        detail = said_of(row.certificate or b"", {"reason": row.delete_reason or "", "intent": row.delete_entry or 0})
        index = await self._log.enter(_entry(row, Outcome.DONE, SYSTEM, detail))
        await self._catalogue.note(row.id, deleted_entry=index)


def _entry(row: RecordingRow, outcome: Outcome, actor: Actor, detail: Mapping[str, Code]) -> Entry:
    return Entry(
        action=Action.RECORDING_DELETE,
        outcome=outcome,
        actor=actor,
        visit=row.visit,
        recording=row.id,
        patient=row.patient_lookup.hex(),
        detail=detail,
    )
