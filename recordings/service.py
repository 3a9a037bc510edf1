"""The recordings room: everything the visits, the pages and the command line ask of recordings."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from recordings.envelope import Octets
from recordings.playback import Grant
from recordings.ports import ConsentFact, Party, RecordingListener
from recordings.recorder import AskKey
from recordings.refusals import ManifestLost, NotPlayable
from recordings.rows import RecordingRow, RetentionRule
from recordings.rules import DEFAULT_CLASS
from recordings.states import State
from recordings.sweeper import Report
from recordings.verifying import Verification, verify_recording
from recordings.views import PageView, RecordingView, Wanted
from recordings.wiring import Wired
from recordings.wishes import Wish
from telehealth.access import Action as Act
from telehealth.access import Caller, Object, reach, require
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Entry, Outcome
from telehealth.frames import FrameSink

_EXPORT_TICK = 60.0  # seconds between looks for exports whose life is over
_GRANT_TICK, _CLOSING_PATIENCE = 5.0, 5.0  # seconds between looks for ended grants; for a deletion under way


def _nobody(_recording: str, _participant: str) -> None:
    """No leg to ask for a key frame."""


class RecordingService(Wired):
    """Made by its owner on a running loop; `start` once, `close` last. All methods are called on the event loop."""

    async def start(self, node: str | None = None, *, alone: bool = True) -> None:
        """Bring what a kill left to its end: grants, and in the background deletions and seals.

        `node`: this life of the server among several; `alone`: no other lives. Else grants, exports and deletions may
        be theirs, too, and are left alone.
        """
        self._tenure.node = node
        if alone:
            await self._playback.close_stale()
            await self.exports.start()
        await self.recover_all()
        if alone:
            self._finishing = self._tasks.start(self.finish_deletions(), "finish deletions")
        self._ticker = asyncio.create_task(self._rounds.every(_GRANT_TICK, self._playback.expire, "grants"))

    async def close(self) -> None:
        """End captures and grants, let seals under way finish; what cannot be sealed now is recovered at a start."""
        self._rounds.end()
        await self.exports.close()
        await self._recorder.close()
        self._sealer.close()
        self._destroying.deletion.close()
        if self._finishing is not None and not (await asyncio.wait({self._finishing}, timeout=_CLOSING_PATIENCE))[0]:
            self._finishing.cancel()  # every step can be repeated
        await self._tasks.settle()
        if self._ticker is not None:
            await self._ticker
        await self._playback.shut()

    async def settle(self) -> None:
        """Wait until no capture is ending and nothing is being sealed."""
        await self._tasks.settle()

    # For visits

    async def begin(
        self,
        *,
        visit: str,
        clinician: str,
        patient_lookup: bytes,
        parties: Sequence[Party],
        purpose: str,
        consents: Sequence[ConsentFact],
        listener: RecordingListener,
        ask_key: AskKey = _nobody,
    ) -> str:
        """A recording ready to take frames; its id. Raises DiskFull, KeysUnavailable, LogUnavailable, VaultFailed.

        `ask_key` is called with recording and participant whenever a key frame is needed: at a leg's begin, after a
        pause, after a gap.
        """
        return await self._recorder.begin(
            visit=visit,
            clinician=clinician,
            patient_lookup=patient_lookup,
            retention_class=DEFAULT_CLASS,
            parties=parties,
            purpose=purpose,
            consents=consents,
            listener=listener,
            ask_key=ask_key,
        )

    def sink(self, recording: str, participant: str) -> FrameSink:
        """Where a new leg's frames go. Raises NotRecorded."""
        return self._recorder.sink(recording, participant)

    def cut(self, recording: str, reason: str) -> None:
        """From this call on nothing more is stored; the recording ends."""
        self._recorder.cut(recording, reason)

    async def pause(self, recording: str, reason: str) -> None:
        """Raises WrongState once it has ended."""
        await self._recorder.pause(recording, reason)

    async def resume(self, recording: str) -> None:
        """Raises WrongState once it has ended, LogUnavailable."""
        await self._recorder.resume(recording)

    async def stop(self, recording: str, reason: str) -> None:
        """End it; sealing goes on in the background. Ended already is fine."""
        await self._recorder.stop(recording, reason)

    # For pages and programs

    async def find(self, caller: Caller, wanted: Wanted, *, limit: int = 50, after: str | None = None) -> PageView:
        """Recordings, newest first, a clinician's own or an admin's all; a search by patient is entered first.

        Raises Forbidden, LogUnavailable.
        """
        require(caller, Act.RECORDINGS_LIST)
        if wanted.patient is not None:
            actor, patient = caller.actor(), wanted.patient.hex()
            await self._log.enter(Entry(Action.RECORDING_LIST, Outcome.DONE, actor, patient=patient))
        reached = reach(caller, Act.RECORDINGS_LIST, self._clock.now())
        return await self._views.page(wanted, reached, limit, after)

    async def show(self, caller: Caller, recording: str) -> RecordingView:
        """Raises NotFound, Forbidden."""
        await self._readable(caller, recording)
        return await self._views.one(recording)

    async def manifest(self, caller: Caller, recording: str) -> Mapping[str, Any] | None:
        """Participants, consent spans, gaps; entered before its key is asked for.

        None until sealed, after deletion, and where a restore could not bring it back. Raises NotFound, Forbidden,
        LogUnavailable and what the vault and the envelope refuse with.
        """
        row = await self._readable(caller, recording)
        if row.state != State.SEALED:
            return None
        await self._log.enter(_entry(Action.RECORDING_READ, caller, row))
        try:
            return asdict(await self._sealer.manifest(row))
        except ManifestLost:
            return None

    async def grant(self, caller: Caller, recording: str, purpose: str) -> Grant:
        """Raises NotFound, Forbidden, NotPlayable, TooManyGrants, LogUnavailable and the key store's refusals."""
        return await self._playback.grant(caller, recording, purpose)

    async def renew(self, caller: Caller, grant: str) -> datetime:
        """When it ends now. Raises GrantNeeded."""
        return await self._playback.renew(caller, grant)

    async def close_grant(self, caller: Caller, grant: str) -> None:
        """Raises GrantNeeded."""
        await self._playback.close(caller, grant)

    async def end_grants(self, user: str, session: str | None = None, *, visit: str | None = None) -> None:
        """A session is over, all of a user's, or their time with a visit: their players stop."""
        await self._playback.end_all(user=user, session=session, visit=visit)

    def read_range(self, caller: Caller, grant: str, track: str, start: int, end: int) -> AsyncGenerator[Octets, None]:
        """Octets start..end (end exclusive) of a track. Raises GrantNeeded, NotFound, RangeNotSatisfiable at once."""
        return self._playback.read_range(caller, grant, track, start, end)

    def size(self, caller: Caller, grant: str, track: str) -> int:
        """A track's size in octets, for answering a Range header. Raises GrantNeeded, NotFound."""
        return self._playback.size(caller, grant, track)

    async def hold(self, caller: Caller, recording: str, reason: str) -> RecordingView:
        """Raises NotFound, Forbidden, WrongState once its deletion has begun."""
        await self._holds.hold(caller, recording, reason)
        return await self._views.one(recording)

    async def release(self, caller: Caller, recording: str) -> RecordingView:
        """Raises NotFound, Forbidden, WrongState where none is, LogUnavailable."""
        await self._holds.release(caller, recording)
        return await self._views.one(recording)

    async def delete(self, caller: Caller, recording: str, reason: str, note: str | None = None) -> RecordingView:
        """Gone, with its certificate, or waiting for a second person. Raises as `Requests.destroy`."""
        await self.erasing.delete(caller, recording, reason, note)
        return await self._views.one(recording)

    async def certificate(self, caller: Caller, recording: str) -> bytes:
        """The newest signed certificate. Raises as `Erasing.certificate`."""
        return await self.erasing.certificate(caller, recording)

    @property
    def certificate_public_key(self) -> bytes:
        """The raw Ed25519 key that certificates verify under."""
        return self._certifier.public_key

    async def retention(self, caller: Caller) -> list[RetentionRule]:
        """Every rule in force. Raises Forbidden."""
        require(caller, Act.RETENTION_READ)
        return await self._rules.all()

    async def retention_days(self) -> int:
        """How long a visit's recording is kept, for the text of the question."""
        return next(rule.days for rule in await self._rules.all() if rule.retention_class == DEFAULT_CLASS)

    async def set_retention(self, caller: Caller, rules: Sequence[tuple[str, int, int]]) -> list[RetentionRule]:
        """Put (class, days, minimum days) in force. Raises Forbidden, Malformed, LogUnavailable."""
        return await self._rules.change(caller, [RetentionRule(*rule) for rule in rules])

    async def verify(self, caller: Caller, recording: str) -> Verification:
        """Read every sealed file whole. Raises NotFound, Forbidden, NotPlayable, LogUnavailable."""
        row = await self._readable(caller, recording)
        if row.state != State.SEALED:
            raise NotPlayable
        async with self._log.act(_entry(Action.RECORDING_VERIFY, caller, row)) as act:
            found = await verify_recording(self._keys, self._vault, await self.catalogue.files_of(recording))
            act.detail["damaged"] = len(found.damaged)
        return found

    # Rounds

    async def recover_all(self) -> int:
        """Seal, in the background, all that a kill left unsealed and no living server has; how many recordings."""
        return await self._sealer.recover_all()

    async def finish_deletions(self) -> int:
        """Go on with deletions that a kill interrupted, of parts too; how many were completed."""
        return await self._destroying.finish()

    async def destroy_again(self, recording: str) -> None:
        """Begin the deletion of what a restore brought back although it had been destroyed. Raises as a deletion."""
        await self._destroying.deletion.begin(await self.catalogue.recording(recording), Wish(SYSTEM, "restored"))

    async def destroy_part_again(self, recording: str, participant: str) -> bool:
        """The same of one participant's part, whole; whether anything was there. Raises as `Parts.destroy_again`."""
        return await self._destroying.parts.destroy_again(recording, participant)

    async def sweep(self, now: datetime | None = None) -> Report:
        """Destroy what is due."""
        return await self._destroying.sweeper.sweep(now or self._clock.now())

    async def run_sweeper(self) -> None:
        """Sweep again and again until `close`."""
        await self._rounds.every(self._settings.sweep_seconds, self.sweep, "sweep")

    async def run_exports(self) -> None:
        """Destroy exports whose life is over, until `close`."""
        await self._rounds.every(_EXPORT_TICK, self.exports.sweep, "exports")

    async def object_of(self, row: RecordingRow) -> Object:
        """The recording as the rules of access look at it now."""
        return await self.catalogue.object_of(row, self._clock.now())

    async def _readable(self, caller: Caller, recording: str) -> RecordingRow:
        row = await self.catalogue.recording(recording)
        require(caller, Act.RECORDINGS_READ, await self.object_of(row))
        return row


def _entry(action: Action, caller: Caller, row: RecordingRow) -> Entry:
    patient = row.patient_lookup.hex()
    return Entry(action, Outcome.DONE, caller.actor(), visit=row.visit, recording=row.id, patient=patient)
