"""Recordings under way: begun when disk, keys and log are sound, and ended by one finaliser whatever ends them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from recordings import facts
from recordings.capture import Capture, CaptureResult, NotRecorded, RecorderBroken, Rhythm
from recordings.catalogue import Catalogue
from recordings.claims import Claims
from recordings.ports import ConsentFact, Party, RecordingListener
from recordings.progress import NotedLedger
from recordings.refusals import DiskFull, KeysUnavailable
from recordings.sealer import Sealer
from recordings.states import State
from recordings.tasks import Tasks
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
_RETRY_SECONDS = 1.0

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
            await self._catalogue.add(
                id=recording,
                visit_id=visit,
                clinician_id=clinician,
                patient_lookup=patient_lookup,
                retention_class=retention_class,
                started_at=self._clock.now(),
                facts=known,
            )
            self._claims.take(recording)
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
                ledger=NotedLedger(self._catalogue, self._log, self._tasks, recording, visit),
                clock=self._clock,
                on_first_stored=lambda participant: self._stored(recording, participant),
                on_fault=lambda participant, fault: self._faulted(recording, participant, fault),
                ask_key=lambda participant: ask_key(recording, participant),
                retention_class=retention_class,
                rhythm=self._rhythm,
            )
        except VaultFull as fault:
            await self._abandon(recording)
            raise DiskFull from fault
        except VaultFailed:
            await self._abandon(recording)
            raise
        except Refusal as fault:
            await self._abandon(recording)
            raise KeysUnavailable from fault
        except BaseException:
            self._tasks.start(self._abandon(recording), f"abandon {recording}")
            raise

    async def _abandon(self, recording: str) -> None:
        """Leave nothing of a recording that never began; what cannot go now goes with the next recovery."""
        try:
            files = [file.id for file in await self._catalogue.files_of(recording)]
            if files:
                await self._keys.destroy(files)
            await self._catalogue.forget(recording)
        except Refusal as fault:
            _log.warning("recording.not_abandoned", recording=recording, code=fault.code)
            await self._catalogue.move(recording, _RUNNING, State.INTERRUPTED, interrupted=True, stop_reason="failed")
        finally:
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
        await self._insist(live.id, lambda: self._note_end(live, result))
        del self._live[live.id]
        self._claims.give_back(live.id)
        self._sealer.start(live.id, live.listener.sealed)

    async def _note_end(self, live: _Live, result: CaptureResult) -> None:
        for part in result.parts:
            state = {"state": "ended"} if part.complete else {}
            counts = {"segments": part.segments, "bytes": part.octets}
            await self._catalogue.change_file(part.row.file_id, **counts, **state)
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

    async def _insist(self, recording: str, step: Callable[[], Awaitable[None]]) -> None:
        """Repeat a step until it succeeds; while closing try once: then recovery does it at the next start."""
        while True:
            try:
                await step()
                return
            except Exception as fault:  # noqa: BLE001  # whatever it is, the end must be noted; logged
                code = fault.code if isinstance(fault, Refusal) else type(fault).__name__
                _log.error("recording.end_not_noted", recording=recording, code=code)
            if self._closing.is_set():
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _RETRY_SECONDS)

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
