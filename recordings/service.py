"""The recordings room: everything the visits, the pages and the command line ask of recordings."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from recordings.capture import Rhythm
from recordings.catalogue import Catalogue
from recordings.claims import Claims
from recordings.deletion import Deletion, Wish
from recordings.evidence import Certifier
from recordings.holds import Holds
from recordings.playback import Grant, Playback
from recordings.ports import ConsentFact, Party, RecordingListener
from recordings.recorder import AskKey, Recorder
from recordings.refusals import NotPlayable
from recordings.rounds import Rounds
from recordings.rows import RecordingRow, RetentionRule
from recordings.rules import DEFAULT_CLASS, Rules
from recordings.scrub import Scrub
from recordings.sealer import Sealer
from recordings.settings import Settings
from recordings.states import State
from recordings.sweeper import Report, Sweeper
from recordings.tasks import Tasks
from recordings.vault.store import Vault
from recordings.verifying import Verification, verify_recording
from recordings.views import NamesOf, PageView, RecordingView, Views, Wanted
from telehealth.access import Action as Act
from telehealth.access import Caller, only_own, require
from telehealth.audit.actions import Action
from telehealth.audit.entry import Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.errors import NotFound
from telehealth.frames import FrameSink
from telehealth.keys.fields import FieldCipher
from telehealth.keys.keystore import KeyStore
from telehealth.secret import Secret
from telehealth.store.engine import Store

_GRANT_TICK, _CLOSING_PATIENCE = 5.0, 5.0  # seconds between looks for ended grants; for a deletion under way


def _nobody(_recording: str, _participant: str) -> None:
    """No leg to ask for a key frame."""


class RecordingService:
    """Made by its owner on a running loop; `start` once, `close` last. All methods are called on the event loop."""

    def __init__(
        self,
        *,
        store: Store,
        keys: KeyStore,
        log: AuditLog,
        vault: Vault,
        fields: FieldCipher,
        certificate_key: Secret[bytes],
        clock: Clock,
        settings: Settings,
        names_of: NamesOf,
    ) -> None:
        self._settings = settings
        self._log = log
        self._clock = clock
        self._vault = vault
        self._keys = keys
        claims = Claims()
        self._tasks = Tasks()
        self._rounds = Rounds()
        self._ticker: asyncio.Task[None] | None = None
        self._finishing: asyncio.Task[int] | None = None
        self.catalogue = Catalogue(store)
        self._certifier = Certifier(certificate_key, settings.backup_days)
        self._rules = Rules(self.catalogue, log, clock, settings.rule)
        self._holds = Holds(self.catalogue, keys, log, fields, clock)
        self._views = Views(self.catalogue, self._rules, self._holds, names_of)
        self._playback = Playback(self.catalogue, keys, log, vault, clock, settings.grant_seconds)
        self._sealer = Sealer(self.catalogue, keys, log, vault, self._holds, claims, self._tasks, clock)
        rhythm = Rhythm(flush=settings.flush_seconds, least_free=settings.least_free_bytes)
        self._recorder = Recorder(self.catalogue, keys, log, vault, self._sealer, claims, self._tasks, clock, rhythm)
        self._deletion = Deletion(
            self.catalogue, keys, log, vault, self._playback, self._rules, fields, self._certifier, clock, claims
        )
        self._sweeper = Sweeper(self.catalogue, self._deletion, self._holds, self._rules, log)
        self.scrub = Scrub(self.catalogue, keys, log, vault, clock, self._rounds, settings.scrub_days)

    async def start(self) -> None:
        """Bring what a kill left to its end: grants, and in the background deletions and seals."""
        await self._playback.close_stale()
        await self.recover_all()
        self._finishing = self._tasks.start(self.finish_deletions(), "finish deletions")
        self._ticker = asyncio.create_task(self._rounds.every(_GRANT_TICK, self._playback.expire, "grants"))

    async def close(self) -> None:
        """End captures and grants, let seals under way finish; what cannot be sealed now is recovered at a start."""
        self._rounds.end()
        await self._recorder.close()
        self._sealer.close()
        self._deletion.close()
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
        own = caller.id if only_own(caller, Act.RECORDINGS_LIST) else None
        return await self._views.page(wanted, own, limit, after)

    async def show(self, caller: Caller, recording: str) -> RecordingView:
        """Raises NotFound, Forbidden."""
        await self._readable(caller, recording)
        return await self._views.one(recording)

    async def manifest(self, caller: Caller, recording: str) -> Mapping[str, Any] | None:
        """Participants, consent spans, gaps; None until sealed and after deletion. Entered before its key is asked for.

        Raises NotFound, Forbidden, LogUnavailable and what the vault and the envelope refuse with.
        """
        row = await self._readable(caller, recording)
        if row.state != State.SEALED:
            return None
        await self._log.enter(_entry(Action.RECORDING_READ, caller, row))
        return asdict(await self._sealer.manifest(row))

    async def grant(self, caller: Caller, recording: str, purpose: str) -> Grant:
        """Raises NotFound, Forbidden, NotPlayable, TooManyGrants, LogUnavailable and the key store's refusals."""
        return await self._playback.grant(caller, recording, purpose)

    async def renew(self, caller: Caller, grant: str) -> datetime:
        """When it ends now. Raises GrantNeeded."""
        return await self._playback.renew(caller, grant)

    async def close_grant(self, caller: Caller, grant: str) -> None:
        """Raises GrantNeeded."""
        await self._playback.close(caller, grant)

    async def end_grants(self, user: str, session: str | None = None) -> None:
        """A session is over, or all of a user's: their players stop."""
        await self._playback.end_all(user=user, session=session)

    def read_range(self, caller: Caller, grant: str, track: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
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
        """Gone, with its certificate. Raises NotFound, Forbidden, Held, TooEarly, WrongState, LogUnavailable."""
        require(caller, Act.RECORDINGS_MANAGE)
        await self._deletion.delete(recording, Wish(caller.actor(), reason, note))
        return await self._views.one(recording)

    async def certificate(self, caller: Caller, recording: str) -> bytes:
        """The signed certificate, canonical JSON. Raises NotFound until deleted, Forbidden, LogUnavailable."""
        require(caller, Act.RECORDINGS_MANAGE)
        row = await self.catalogue.recording(recording)
        if row.certificate is None:
            raise NotFound
        await self._log.enter(_entry(Action.CERTIFICATE_READ, caller, row))
        return row.certificate

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
        """Seal, in the background, all that a kill left unsealed; how many recordings that is."""
        return await self._sealer.recover_all()

    async def finish_deletions(self) -> int:
        """Go on with deletions that a kill interrupted; how many were completed."""
        return await self._deletion.finish()

    async def sweep(self, now: datetime | None = None) -> Report:
        """Destroy what is due."""
        return await self._sweeper.sweep(now or self._clock.now())

    async def run_sweeper(self) -> None:
        """Sweep again and again until `close`."""
        await self._rounds.every(self._settings.sweep_seconds, self.sweep, "sweep")

    async def _readable(self, caller: Caller, recording: str) -> RecordingRow:
        row = await self.catalogue.recording(recording)
        require(caller, Act.RECORDINGS_READ, owner=row.clinician)
        return row


def _entry(action: Action, caller: Caller, row: RecordingRow) -> Entry:
    patient = row.patient_lookup.hex()
    return Entry(action, Outcome.DONE, caller.actor(), visit=row.visit, recording=row.id, patient=patient)
