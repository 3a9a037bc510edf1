"""Destroying one participant's part of a recording while the rest lives, in steps that can be killed and run again.

intent in the log → the part's row (the transaction a hold races with) → a new manifest without that part, under a new
key → the part's keys and the old manifest's destroyed → evidence kept → ciphertext removed → certificate → last entry.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from recordings.catalogue import Catalogue
from recordings.claims import Claims
from recordings.deletionstore import LEAVING, DeletionStore
from recordings.evidence import Case, Certifier, NotProvenDestroyed, gather
from recordings.holds import Holds
from recordings.manifest import Gap, Manifest
from recordings.part import Place
from recordings.partners import FileKind
from recordings.playback import Playback
from recordings.refusals import Held, LastPart
from recordings.rows import PartRow, RecordingRow, StoredFile
from recordings.rules import Rules
from recordings.seal import seal_manifest
from recordings.states import State
from recordings.vault.store import Vault
from recordings.wishes import Wish, in_force, refuse_now, said_of
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Actor, Code, Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.errors import NotFound, Refusal, WrongState
from telehealth.ids import Kind, new_id
from telehealth.keys.fields import FieldCipher
from telehealth.keys.keystore import KeyStore
from telehealth.log import get_logger

_log = get_logger(__name__)
DESTROYED = "destroyed"  # the reason of the gap that a destroyed part leaves


class Parts:
    """Destroys parts of sealed recordings; a hold always wins. `manifest`: reads a recording's present one."""

    def __init__(
        self,
        catalogue: Catalogue,
        deletions: DeletionStore,
        keys: KeyStore,
        log: AuditLog,
        vault: Vault,
        playback: Playback,
        rules: Rules,
        holds: Holds,
        fields: FieldCipher,
        certifier: Certifier,
        clock: Clock,
        claims: Claims,
        manifest: Callable[[RecordingRow], Awaitable[Manifest]],
    ) -> None:
        self._catalogue = catalogue
        self._deletions = deletions
        self._keys = keys
        self._log = log
        self._vault = vault
        self._playback = playback
        self._rules = rules
        self._holds = holds
        self._fields = fields
        self._certifier = certifier
        self._clock = clock
        self._claims = claims
        self._manifest = manifest
        self._turn = asyncio.Lock()  # a sweep and a wish do not complete the same part twice

    async def check(self, row: RecordingRow, participant: str) -> list[StoredFile]:
        """The files that would go. Raises Held, TooEarly, WrongState, NotFound (not in it), LastPart."""
        refuse_now(row, await self._rules.of(row), self._clock.now())
        if row.state != State.SEALED:
            raise WrongState
        files = await self._catalogue.files_of(row.id)
        mine = [file for file in files if file.is_sealed_track and file.row.participant_id == participant]
        if not mine:
            raise NotFound
        if len(mine) == sum(file.is_sealed_track for file in files):
            raise LastPart
        return [*mine, *(file for file in files if file.is_sealed_manifest)]

    async def destroy(self, recording: str, participant: str, wish: Wish) -> None:
        """Raises NotFound, Held, TooEarly, WrongState (busy), LastPart, LogUnavailable; once begun it only goes on."""
        row = await self._catalogue.recording(recording)
        try:
            part = await self._begin(row, participant, wish)
        except Refusal as refusal:
            detail = {**wish.detail(), "code": refusal.code}
            await self._log.enter_closing(_entry(row, participant, Outcome.REFUSED, wish.actor, detail))
            raise
        await self.finish(part.id)

    async def _begin(self, row: RecordingRow, participant: str, wish: Wish) -> PartRow:
        files = await self.check(row, participant)
        if any(part.done_entry is None for part in await self._deletions.parts(row.id)):
            raise WrongState
        with self._claims.having(row.id):
            entry = _entry(row, participant, Outcome.INTENT, wish.actor, wish.detail())
            now, part = self._clock.now(), new_id(Kind.DELETION)
            begun = PartRow(
                id=part,
                recording=row.id,
                participant=participant,
                reason=wish.reason,
                note_sealed=self._note(part, wish.note),
                asked_by=wish.asker,
                asked_at=wish.asked_at or now,
                approved_by=wish.approver,
                rule=in_force(row, await self._rules.of(row), now),
                entry=await self._log.enter(entry),
                files=[file.id for file in files],
                destruction=None,
                destroyed_at=None,
                effective_after=None,
                certificate=None,
                final_certificate=None,
                done_entry=None,
                final_entry=None,
            )
            if await self._deletions.begin_part(begun, wish.decision):
                return begun
        raise Held if (await self._catalogue.recording(row.id)).held_at is not None else WrongState

    async def finish(self, wanted: str | None = None) -> int:
        """Go on with this part, or with all that began and did not end; how many were completed.

        One that cannot be completed now is logged and left for the next run; the fault of the one `wanted` is raised.
        """
        done = 0
        async with self._turn:
            for part in await self._deletions.unfinished_parts():
                if wanted not in (None, part.id):
                    continue
                try:
                    with self._claims.having(part.recording):
                        await self._complete(part)
                    done += 1
                except Exception as fault:  # logged, or raised; the others go on
                    if wanted is not None:
                        raise
                    is_foreseen = isinstance(fault, Refusal)
                    code = fault.code if isinstance(fault, Refusal) else type(fault).__name__
                    exc = None if is_foreseen else fault
                    _log.error("part.unfinished", recording=part.recording, code=code, exc_info=exc)
        return done

    async def _complete(self, part: PartRow) -> None:
        """What follows the beginning; every step can be repeated."""
        row = await self._catalogue.recording(part.recording)
        if part.certificate is None and row.state != State.SEALED:
            await self._overtaken(part, row)
            return
        if part.certificate is None:
            part = await self._proven(part, row)
            await self._remove(part)
            part = await self._certify(part, row)
        await self._catalogue.fold()
        said = said_of(part.certificate or b"", {"reason": part.reason, "intent": part.entry})
        index = await self._log.enter(_entry(row, part.participant, Outcome.DONE, SYSTEM, said))
        await self._deletions.note_part(part.id, done_entry=index)

    async def _overtaken(self, part: PartRow, row: RecordingRow) -> None:
        """The whole recording is destroyed instead; its certificate speaks of these files too."""
        detail: dict[str, Code] = {"reason": part.reason, "intent": part.entry, "code": "recording_deleted"}
        index = await self._log.enter(_entry(row, part.participant, Outcome.FAILED, SYSTEM, detail))
        await self._deletions.note_part(part.id, done_entry=index)

    async def _proven(self, part: PartRow, row: RecordingRow) -> PartRow:
        """The keys destroyed, with the evidence kept."""
        if part.destruction is not None:
            return part
        await self._renew_manifest(part, row)
        async with self._holds.turn:
            await self._refuse_held(part)
            await self._deletions.mark_files(part.files, "sealed", LEAVING)
            await self._playback.end_all(recording=part.recording)
            await self._keys.destroy(part.files)
        evidence, destroyed_at = await gather(self._keys, await self._files(part))
        await self._deletions.note_part(part.id, destruction=evidence, destroyed_at=destroyed_at)
        return replace(part, destruction=evidence, destroyed_at=destroyed_at)

    async def _refuse_held(self, part: PartRow) -> None:
        """Under hold nothing more is destroyed; what still opens is whole again. Raises Held."""
        if (await self._catalogue.recording(part.recording)).held_at is None:
            return
        alive = [file for file in part.files if await self._keys.present(file)]
        if alive:
            await self._deletions.mark_files(alive, LEAVING, "sealed")
            raise Held

    async def _renew_manifest(self, part: PartRow, row: RecordingRow) -> None:
        """A manifest without the part, under a key of its own; a half-written one of an earlier run is forgotten."""
        place = Place(
            row.id, row.started_at.date(), row.retention_class, self._vault, self._keys, self._catalogue, self._clock
        )
        files = await self._catalogue.files_of(row.id)
        fresh = [file for file in files if file.row.kind is FileKind.MANIFEST and file.id not in part.files]
        await place.forget([file.row for file in fresh if not file.is_sealed_manifest])
        if not any(file.is_sealed_manifest for file in fresh):
            await seal_manifest(without(await self._manifest(row), part.participant), place)

    async def _remove(self, part: PartRow) -> None:
        for file in await self._files(part):
            await self._vault.delete(file.row.name)

    async def _certify(self, part: PartRow, row: RecordingRow) -> PartRow:
        files = await self._files(part)
        issued = self._certifier.certificate(part_case(part, row), files, self._log.head(), self._clock.now())
        living = [file for file in await self._catalogue.files_of(row.id) if file.is_sealed_track]
        kept = {"certificate": issued.blob, "effective_after": issued.effective_after}
        await self._deletions.part_certified(part, sum(file.size for file in living), **kept)
        return replace(part, certificate=issued.blob, effective_after=issued.effective_after)

    async def _files(self, part: PartRow) -> Sequence[StoredFile]:
        return [file for file in await self._catalogue.files_of(part.recording) if file.id in part.files]

    def _note(self, part: str, note: str | None) -> bytes | None:
        return self._fields.seal(note, table="destroyed_parts", column="note", row=part) if note else None


def without(manifest: Manifest, participant: str) -> Manifest:
    """The same recording with a gap, from end to end, where this participant's media was. Pure."""
    gap = Gap(participant, 0, manifest.duration_ms, DESTROYED)
    return replace(
        manifest,
        tracks=tuple(track for track in manifest.tracks if track.participant_id != participant),
        gaps=(*(one for one in manifest.gaps if one.participant_id != participant), gap),
        clocks=tuple(one for one in manifest.clocks if one.participant_id != participant),
        sources=tuple(one for one in manifest.sources if one.participant_id != participant),
    )


def part_case(part: PartRow, row: RecordingRow) -> Case:
    """A part's destruction. Raises NotProvenDestroyed without evidence."""
    if part.destruction is None or part.destroyed_at is None:
        raise NotProvenDestroyed
    return Case(
        recording=part.recording,
        participant=part.participant,
        visit=row.visit,
        subjects=(part.participant,),
        asked_by=part.asked_by,
        asked_at=part.asked_at,
        approved_by=part.approved_by,
        reason=part.reason,
        rule=part.rule,
        entry=part.entry,
        destruction=part.destruction,
        destroyed_at=part.destroyed_at,
    )


def _entry(row: RecordingRow, participant: str, outcome: Outcome, actor: Actor, detail: Mapping[str, Code]) -> Entry:
    return Entry(
        action=Action.RECORDING_PART_DELETE,
        outcome=outcome,
        actor=actor,
        visit=row.visit,
        recording=row.id,
        patient=row.patient_lookup.hex(),
        subject=participant,
        detail=detail,
    )
