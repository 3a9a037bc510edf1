"""Recordings under way: begun when disk, keys and log are sound, and ended by one finaliser whatever ends them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from recordings import facts
from recordings.capture import Capture, CaptureResult, NotRecorded, RecorderBroken, Rhythm
from recordings.catalogue import Catalogue
from recordings.claims import Claims
from recordings.insist import insist
from recordings.ports import ConsentFact, Party, RecordingListener
from recordings.progress import NotedLedger
from recordings.refusals import DiskFull, KeysUnavailable
from recordings.sealer import Sealer
from recordings.states import State
from recordings.tasks import Tasks
from recordings.tenurestore import TakenOver, TenureStore
from recordings.track import RecorderTooSlow
from recordings.vault.store import Vault, VaultFailed, VaultFull
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Actor, Code, Entry, Outcome
from telehealth.audit.faults import LogUnavailable
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock, rfc3339
from telehealth.errors import Refusal, WrongState
from telehealth.frames import FrameSink
from telehealth.ids import Kind, new_id
from telehealth.keys.keystore import KeyStore
from telehealth.log import get_logger

_log = get_logger(__name__)
_RUNNING = (State.CAPTURING, State.PAUSED)
_ABANDONED_WITHIN = 0.5  # seconds that a refusal waits until nothing is left

AskKey = Callable[[str, str], None]  # recording, participant: send a key frame, please


@dataclass(slots=True)
class _Live:
    """One recording being captured; `ending` is its finaliser, once anything has ended it."""

    id: str
    entry: Entry
    facts: dict[str, object]
    capture: Capture
    listener: RecordingListener
    ending: asyncio.Task[None] | None = None
    end_entered: bool = False


class Recorder:
    """Owns the captures. Stop, withdrawal, a fault and shutdown all end in `_finish`; a kill ends in recovery."""

    def __init__(
        self,
        catalogue: Catalogue,
        keys: KeyStore,
        log: AuditLog,
        vault: Vault,
        sealer: Sealer,
        claims: Claims,
        tenure: TenureStore,
        tasks: Tasks,
        clock: Clock,
        rhythm: Rhythm,
    ) -> None:
        self._catalogue = catalogue
        self._keys = keys
        self._log = log
        self._vault = vault
        self._sealer = sealer
        self._claims = claims
        self._tenure = tenure
        self._tasks = tasks
        self._clock = clock
        self._rhythm = rhythm
        self._live: dict[str, _Live] = {}
        self._closing = asyncio.Event()

    async def begin(
        self,
        *,
        visit: str,
        clinician: str,
        patient_lookup: bytes,
        retention_class: str,
        parties: Sequence[Party],
        purpose: str,
        consents: Sequence[ConsentFact],
        listener: RecordingListener,
        ask_key: AskKey,
    ) -> str:
        """Make everything ready to take frames. Raises DiskFull, KeysUnavailable, LogUnavailable, VaultFailed."""
        if self._closing.is_set() or not self._log.healthy_for_recordings:
            raise LogUnavailable
        recording = new_id(Kind.RECORDING)
        entry = Entry(
            action=Action.RECORDING_START,
            outcome=Outcome.INTENT,
            actor=Actor("user", clinician, "clinician"),
            visit=visit,
            recording=recording,
            patient=patient_lookup.hex(),
            purpose=purpose,
            detail={"parties": len(parties), "consents": len(consents)},
        )
        known = facts.begun(parties, purpose, consents)
        async with self._log.act(entry):
            if await self._vault.free_bytes() < self._rhythm.least_free:
                raise DiskFull
            self._claims.take(recording)
            async with self._whole_or_not(recording):
                await self._catalogue.add(
                    id=recording,
                    visit_id=visit,
                    clinician_id=clinician,
                    patient_lookup=patient_lookup,
                    retention_class=retention_class,
                    started_at=self._clock.now(),
                    facts=known,
                    node=self._tenure.node,
                )
                people = [party.participant for party in parties]
                capture = await self._started(recording, visit, retention_class, people, ask_key)
            self._live[recording] = _Live(recording, entry, known, capture, listener)
        return recording

    def sink(self, recording: str, participant: str) -> FrameSink:
        """Where a new leg's frames go. Raises NotRecorded for who is no party, or after the end."""
        live = self._live.get(recording)
        if live is None:
            raise NotRecorded
        return live.capture.sink(participant)

    def cut(self, recording: str, reason: str) -> None:
        """Nothing more is stored from this call on, also nothing that waits; the recording ends."""
        live = self._live.get(recording)
        if live is not None:
            live.capture.discard_after(self._clock.steady())
            self._end(live, reason)

    async def pause(self, recording: str, reason: str) -> None:
        """Nothing that comes from now on is stored until `resume`. Raises WrongState once it has ended."""
        live = self._running(recording)
        live.capture.pause()
        await self._enter(live, Action.RECORDING_PAUSE, {"reason": reason})
        await self._catalogue.move(recording, (State.CAPTURING,), State.PAUSED)

    async def resume(self, recording: str) -> None:
        """Go on, entered first. Raises WrongState once it has ended, LogUnavailable."""
        live = self._running(recording)
        async with self._log.act(_entry(live, Action.RECORDING_RESUME, {})):
            await self._catalogue.move(recording, (State.PAUSED,), State.CAPTURING)
            live.capture.resume()

    async def stop(self, recording: str, reason: str) -> None:
        """End it; returns when capture is closed. Sealing goes on in the background. Ended already is fine."""
        live = self._live.get(recording)
        if live is not None:
            await asyncio.shield(self._end(live, reason))

    async def close(self) -> None:
        """End every capture and wait for it."""
        self._closing.set()
        for live in list(self._live.values()):
            await asyncio.shield(self._end(live, "shutdown"))

    async def _started(
        self, recording: str, visit: str, retention_class: str, people: Sequence[str], ask_key: AskKey
    ) -> Capture:
        try:
            return await Capture.start(
                recording,
                people,
                keys=self._keys,
                vault=self._vault,
                ledger=NotedLedger(self._guarded(recording), self._log, self._tasks, recording, visit),
                clock=self._clock,
                on_first_stored=lambda participant: self._stored(recording, participant),
                on_fault=lambda participant, fault: self._faulted(recording, participant, fault),
                ask_key=lambda participant: ask_key(recording, participant),
                retention_class=retention_class,
                rhythm=self._rhythm,
            )
        except VaultFull as fault:
            raise DiskFull from fault
        except VaultFailed:
            raise
        except Refusal as fault:
            raise KeysUnavailable from fault

    @asynccontextmanager
    async def _whole_or_not(self, recording: str) -> AsyncIterator[None]:
        """What fails inside leaves nothing of the recording, also where a row was written and it was not told so."""
        try:
            yield
        except BaseException:
            step = insist(self._closing, "recording.not_abandoned", recording, lambda: self._abandon(recording))
            abandoning = self._tasks.start(step, f"abandon {recording}")
            await asyncio.wait({abandoning}, timeout=_ABANDONED_WITHIN)  # else it goes on by itself
            raise

    def _guarded(self, recording: str) -> Catalogue:
        return self._catalogue.guarded(self._tenure.guard(recording))

    async def _abandon(self, recording: str) -> None:
        """Leave nothing of a recording that never began; can be repeated."""
        files = [file.id for file in await self._catalogue.files_of(recording)]
        if files:
            await self._keys.destroy(files)
        await self._catalogue.forget(recording)
        self._claims.give_back(recording)

    def _running(self, recording: str) -> _Live:
        live = self._live.get(recording)
        if live is None or live.ending is not None:
            raise WrongState
        return live

    def _stored(self, recording: str, participant: str) -> None:
        live = self._live.get(recording)
        if live is not None and live.ending is None:
            live.listener.first_stored(recording, participant)

    def _faulted(self, recording: str, participant: str | None, fault: Refusal) -> None:
        code = DiskFull.code if isinstance(fault, VaultFull) else fault.code
        _log.error("recording.fault", recording=recording, participant=participant, code=code)
        live = self._live.get(recording)
        if live is None:
            return
        if not isinstance(fault, RecorderTooSlow):
            self._end(live, code)
        live.listener.fault(recording, code)

    def _end(self, live: _Live, reason: str) -> asyncio.Task[None]:
        """The one finaliser; whoever comes later waits for the first."""
        if live.ending is None:
            live.ending = self._tasks.start(self._finish(live, reason), f"finish {live.id}")
        return live.ending

    async def _finish(self, live: _Live, reason: str) -> None:
        try:
            result = await live.capture.stop(reason)
        except Exception:  # noqa: BLE001  # logged; recovery makes of the files what can be made
            _log.error("recording.not_stopped", recording=live.id, exc_info=True)
            result = CaptureResult(live.id, (), reason, self._clock.now(), self._clock.now(), None, RecorderBroken.code)
        await insist(self._closing, "recording.end_not_noted", live.id, lambda: self._note_end(live, result))
        del self._live[live.id]
        self._claims.give_back(live.id)
        self._sealer.start(live.id, live.listener.sealed)

    async def _note_end(self, live: _Live, result: CaptureResult) -> None:
        try:
            await self._note_parts(live.id, result)
        except TakenOver:  # whoever has it made of its files what could be made
            _log.error("recording.taken_over", recording=live.id)
            return
        broken = result.broken is not None
        reason = DiskFull.code if result.broken == VaultFull.code else result.broken or result.reason
        if not live.end_entered:
            action = Action.RECORDING_INTERRUPT if broken else Action.RECORDING_STOP
            segments = sum(part.segments for part in result.parts)
            await self._enter(live, action, {"reason": reason, "segments": segments})
            live.end_entered = True
        await self._catalogue.move(
            live.id,
            _RUNNING,
            State.INTERRUPTED if broken else State.SEALING,
            interrupted=broken,
            stop_reason=reason,
            stopped_at=result.ended_at,
            facts=facts.ended(live.facts, result.cut, rfc3339(result.ended_at)),
        )

    async def _note_parts(self, recording: str, result: CaptureResult) -> None:
        catalogue = self._guarded(recording)
        for part in result.parts:
            state = {"state": "ended"} if part.complete else {}
            counts = {"segments": part.segments, "bytes": part.octets}
            await catalogue.change_file(part.row.file_id, **counts, **state)

    async def _enter(self, live: _Live, action: Action, detail: dict[str, Code]) -> None:
        await self._log.enter_closing(_entry(live, action, detail))


def _entry(live: _Live, action: Action, detail: dict[str, Code]) -> Entry:
    """An entry about a recording under way; whose wish it was stands in the visit's own entries."""
    entry = live.entry
    return Entry(
        action=action,
        outcome=Outcome.DONE,
        actor=SYSTEM,
        visit=entry.visit,
        recording=live.id,
        patient=entry.patient,
        detail=detail,
    )
