"""Destroying one participant's part of a recording while the rest lives, in steps that can be killed and run again.

intent in the log → the part's row (the transaction a hold races with) → a new manifest without that part, under a new
key → the part's keys and the old manifest's destroyed → evidence kept → ciphertext removed → certificate → last entry.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from recordings.catalogue import BEING_DELETED, Catalogue
from recordings.claims import Claims
from recordings.deletionstore import LEAVING, DeletionStore
from recordings.evidence import Case, Certifier, NotProvenDestroyed, gather
from recordings.holds import Holds
from recordings.manifest import Gap, Manifest
from recordings.part import Place
from recordings.partners import FileKind
from recordings.playback import Playback
from recordings.refusals import Held, LastPart, ManifestLost
from recordings.rows import PartRow, RecordingRow, StoredFile
from recordings.rules import Rules
from recordings.seal import seal_manifest
from recordings.states import State
from recordings.vault.store import Vault, VaultMissing
from recordings.wishes import Wish, in_force, refuse_now, said_of
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Actor, Code, Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.errors import NotFound, Refusal, WrongState
from telehealth.ids import Kind, new_id
from telehealth.keys.fields import FieldCipher
from telehealth.keys.keystore import KeyStore
from telehealth.keys.provider import KeyDestroyed
from telehealth.keys.refusals import Held as KeysHeld
from telehealth.log import get_logger

_log = get_logger(__name__)
RESTORED = "restored"  # the reason of what is destroyed again after a restore
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
            part = await self._begin(row, participant, await self.check(row, participant), wish)
        except Refusal as refusal:
            detail = {**wish.detail(), "code": refusal.code}
            await self._log.enter_closing(_entry(row, participant, Outcome.REFUSED, wish.actor, detail))
            raise
        await self.finish(part.id)

    async def destroy_again(self, recording: str, participant: str) -> bool:
        """Destroy what a restore brought back although it had been destroyed; whether anything of it was there.

        It proves that no hold was on it then: one that came back, too, or came since keeps the rest alone. Raises
        NotFound, LogUnavailable and what vault and key store refuse with.
        """
        row = await self._catalogue.recording(recording)
        files = await self._catalogue.files_of(recording)
        mine = [file for file in files if file.row.participant_id == participant]
        if row.state in BEING_DELETED or not mine:
            return False
        if row.state != State.SEALED:
            await self._forget(row, participant, mine)
            return True
        parts = await self._deletions.parts(recording)
        part = next((part for part in parts if part.participant == participant), None)
        if part is None:
            going = [*mine, *(file for file in files if file.is_sealed_manifest)]
            part = await self._begin(row, participant, going, Wish(SYSTEM, RESTORED), again=True)
        if part.destruction is None:
            await self._renew_manifest(part, row)
            async with self._holds.turn:
                await self._keys.release([file for file in part.files if await self._keys.present(file)])
                await self._keys.destroy(part.files)
        await self.finish(part.id)
        await self._holds.follow(await self._catalogue.recording(recording))
        return True

    async def _forget(self, row: RecordingRow, participant: str, files: Sequence[StoredFile]) -> None:
        """What was captured is gone before it is sealed; holds reach the key store after that."""
        async with self._log.act(_entry(row, participant, Outcome.INTENT, SYSTEM, {"reason": RESTORED})):
            await self._place(row).forget([file.row for file in files])

    async def _begin(
        self, row: RecordingRow, participant: str, files: Sequence[StoredFile], wish: Wish, *, again: bool = False
    ) -> PartRow:
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
            if await self._deletions.begin_part(begun, wish.decision, again=again):
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
                    done += await self._taken(part)
                except Exception as fault:  # logged, or raised; the others go on
                    if wanted is not None:
                        raise
                    is_foreseen = isinstance(fault, Refusal)
                    code = fault.code if isinstance(fault, Refusal) else type(fault).__name__
                    exc = None if is_foreseen else fault
                    _log.error("part.unfinished", recording=part.recording, code=code, exc_info=exc)
        return done

    async def _taken(self, part: PartRow) -> bool:
        """Complete it, unless another living server is at it; whether this one did."""
        with self._claims.having(part.recording):
            if not await self._deletions.take(part.recording):
                return False
            try:
                [part] = [now for now in await self._deletions.parts(part.recording) if now.id == part.id]
                if part.done_entry is None:
                    await self._complete(part)
            finally:
                await self._deletions.give_back(part.recording)
        return True

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
            if not await self._deletions.mark_leaving(part):
                await self._refuse_held(part)
            await self._playback.end_all(recording=part.recording)
            try:
                await self._keys.destroy(part.files)
            except KeysHeld:  # a hold came, at another server: what it found alive stays
                await self._refuse_held(part)
                raise Held from None
        evidence, destroyed_at = await gather(self._keys, await self._files(part))
        await self._deletions.part_proven(part.id, evidence, destroyed_at)
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
        place = self._place(row)
        files = await self._catalogue.files_of(row.id)
        fresh = [file for file in files if file.row.kind is FileKind.MANIFEST and file.id not in part.files]
        await place.forget([file.row for file in fresh if not file.is_sealed_manifest])
        if not any(file.is_sealed_manifest for file in fresh):
            try:
                await seal_manifest(without(await self._manifest(row), part.participant), place)
            except (KeyDestroyed, ManifestLost, VaultMissing):
                if part.reason != RESTORED:
                    raise
                _log.error("part.manifest_lost", code=ManifestLost.code, recording=row.id)  # it died with the part then

    def _place(self, row: RecordingRow) -> Place:
        day = row.started_at.date()
        return Place(row.id, day, row.retention_class, self._vault, self._keys, self._catalogue, self._clock)

    async def _remove(self, part: PartRow) -> None:
        for file in await self._files(part):
            await self._vault.delete(file.row.name)

    async def _certify(self, part: PartRow, row: RecordingRow) -> PartRow:
        files = await self._files(part)
        issued = await self._certifier.certificate(part_case(part, row), files, self._log.head(), self._clock.now())
        living = [file for file in await self._catalogue.files_of(row.id) if file.is_sealed_track]
        kept = {"certificate": issued.blob, "effective_after": issued.effective_after}
        if not await self._deletions.part_certified(part, sum(file.size for file in living), **kept):
            raise WrongState  # another server was quicker
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
