"""Capture: the live files of one recording, one line per leg, durable at least every half second.

Nothing is muxed here. Frames are kept as they came, with their times and the sender reports, so that sealing can
lay all tracks on one timeline knowing all of it (docs/decisions/0003-capture-frame-log.md).
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from recordings.leg import LegRecorder
from recordings.part import CapturedPart, NewFile, Place
from recordings.partners import FileKeys, FileKind, FileLedger
from recordings.track import QUEUE_OCTETS, TrackCapture
from recordings.vault.store import Vault, VaultFull
from telehealth.clock import Clock
from telehealth.errors import Forbidden, Reason, Refusal
from telehealth.ids import Entropy
from telehealth.log import get_logger

_log = get_logger(__name__)
_PROGRESS_PATIENCE = 2.0  # seconds for one leg's counts

OnStored = Callable[[str], None]
OnFault = Callable[[str | None, Refusal], None]
AskKey = Callable[[str], None]


class RecorderBroken(Refusal):
    """The recorder ended on its own by a fault nobody foresaw; nothing more is stored."""

    code: ClassVar[str] = "recorder_broken"
    reason = Reason.UNAVAILABLE
    message = "The recording broke off."


class NotRecorded(Forbidden):
    """This participant is not among those whom the recording was started for."""

    code: ClassVar[str] = "not_recorded"
    message = "This participant is not part of the recording."


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Seconds between flushes and between progress rows; octets each leg may have waiting, and must be free."""

    flush: float = 0.25
    progress: float = 10.0
    queue_octets: int = QUEUE_OCTETS
    least_free: int = 256 * 1_048_576


class _Phase(StrEnum):
    TAKING = "taking"
    PAUSED = "paused"
    WITHDRAWN = "withdrawn"
    BROKEN = "broken"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class CaptureResult:
    """What a capture left: its files in order, why and when it ended.

    `cut`: steady seconds of a withdrawal; frames that arrived later must not be sealed. `broken`: a fault's code.
    """

    recording_id: str
    parts: tuple[CapturedPart, ...]
    reason: str
    started_at: datetime
    ended_at: datetime
    cut: float | None
    broken: str | None


class Capture:
    """All legs of one recording. Made by `start`, ended by `stop`; every method is called on the event loop.

    Faults that end it (`VaultFull`, `VaultFailed`, a key store's refusal, `RecorderBroken`) are reported once by
    `on_fault` and nothing more is stored; `RecorderTooSlow` is reported and capture goes on.
    """

    def __init__(
        self, place: Place, *, on_first_stored: OnStored, on_fault: OnFault, ask_key: AskKey, rhythm: Rhythm
    ) -> None:
        self._place = place
        self._on_first_stored = on_first_stored
        self._on_fault = on_fault
        self._ask_key = ask_key
        self._rhythm = rhythm
        self._legs: list[LegRecorder] = []
        self._ready: dict[str, NewFile | None] = {}
        self._part_numbers: dict[str, int] = {}
        self._stored: set[str] = set()
        self._phase = _Phase.TAKING
        self._cut: float | None = None
        self._broken: str | None = None
        self._started_at = place.clock.now()
        self._progressed = place.clock.steady()
        self._wake = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        recording_id: str,
        participants: Sequence[str],
        *,
        keys: FileKeys,
        vault: Vault,
        ledger: FileLedger,
        clock: Clock,
        on_first_stored: OnStored,
        on_fault: OnFault,
        ask_key: AskKey = lambda _participant: None,
        retention_class: str = "standard",
        rhythm: Rhythm | None = None,
        entropy: Entropy = os.urandom,
    ) -> "Capture":
        """Make keys and rows for everybody ready, so that a missing key store refuses here and not in mid-visit.

        Raises VaultFull when too little room is free, and the key store's refusals.
        """
        rhythm = rhythm or Rhythm()
        if await vault.free_bytes() < rhythm.least_free:
            raise VaultFull
        place = Place(recording_id, clock.now().date(), retention_class, vault, keys, ledger, clock, entropy)
        capture = cls(place, on_first_stored=on_first_stored, on_fault=on_fault, ask_key=ask_key, rhythm=rhythm)
        try:
            for participant in participants:
                capture._ready[participant] = await place.new_file(FileKind.CAPTURE, participant)
        except BaseException:
            await capture._forget_unused()
            raise
        capture._pump = asyncio.create_task(capture._run(), name=f"capture {recording_id}")
        capture._pump.add_done_callback(capture._pump_ended)
        return capture

    def sink(self, participant_id: str) -> TrackCapture:
        """A new sink for a new leg of a participant; an earlier leg's sink stays until its leg closes."""
        if participant_id not in self._ready:
            raise NotRecorded
        track = TrackCapture(
            self._place.clock,
            on_fault=lambda fault: self._on_fault(participant_id, fault),
            ask_key=lambda: self._ask_key(participant_id),
            limit=self._rhythm.queue_octets,
        )
        recorder = LegRecorder(
            self._place,
            participant_id,
            sum(leg.participant_id == participant_id for leg in self._legs),
            track,
            next_part=lambda: self._next_part(participant_id),
            first_file=self._ready[participant_id],
            on_stored=lambda: self._leg_stored(participant_id),
        )
        self._ready[participant_id] = None
        self._legs.append(recorder)
        if self._phase is _Phase.PAUSED:
            track.pause()
        elif self._phase is not _Phase.TAKING:
            track.discard()
        self._ask_key(participant_id)
        return track

    def pause(self) -> None:
        """Drop what comes from now on; what was taken before is still stored."""
        if self._phase is _Phase.TAKING:
            self._phase = _Phase.PAUSED
            for leg in self._legs:
                leg.track.pause()

    def resume(self) -> None:
        """Go on after a pause; the gap is noted in the files."""
        if self._phase is _Phase.PAUSED:
            self._phase = _Phase.TAKING
            for leg in self._legs:
                leg.track.resume()

    def discard_after(self, moment: float) -> None:
        """A withdrawal: from this instant nothing more is stored, whoever's it is and wherever it waits.

        `moment`: steady seconds when the withdrawal came; what arrived after it and is stored already is left out
        when the recording is sealed.
        """
        self._cut = moment if self._cut is None else min(moment, self._cut)
        self._end_storing(_Phase.WITHDRAWN)

    async def stop(self, reason: str) -> CaptureResult:
        """Store what waits (unless withdrawn or broken), end and close all files."""
        for leg in self._legs:
            leg.track.leg_closed(reason)
        self._wake.set()
        if self._pump is not None:
            await asyncio.wait({self._pump})
        if self._phase in (_Phase.TAKING, _Phase.PAUSED):
            self._phase = _Phase.STOPPED
        for leg in self._legs:
            await leg.close()
        await self._forget_unused()
        parts = tuple(part for leg in self._legs for part in leg.captured)
        return CaptureResult(
            recording_id=self._place.recording_id,
            parts=parts,
            reason=reason,
            started_at=self._started_at,
            ended_at=self._place.clock.now(),
            cut=self._cut,
            broken=self._broken,
        )

    async def _run(self) -> None:
        while not self._wake.is_set():
            try:
                await asyncio.wait_for(self._wake.wait(), self._rhythm.flush)
            except TimeoutError:
                await self._flush_all()
                await self._progress()
        await self._flush_all()

    async def _flush_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for leg in self._legs:
                group.create_task(self._flush(leg))

    async def _flush(self, leg: LegRecorder) -> None:
        try:
            await leg.flush()
        except Refusal as fault:
            self._break(leg.participant_id, fault)

    async def _progress(self) -> None:
        now = self._place.clock.steady()
        if now - self._progressed < self._rhythm.progress:
            return
        self._progressed = now
        for leg in self._legs:
            try:
                async with asyncio.timeout(_PROGRESS_PATIENCE):
                    await leg.progress()
            except Exception as fault:  # noqa: BLE001  # counts only, logged; the next round says them again
                code = fault.code if isinstance(fault, Refusal) else type(fault).__name__
                _log.warning("capture.progress_not_noted", recording=self._place.recording_id, code=code)

    def _pump_ended(self, pump: asyncio.Task[None]) -> None:
        fault = None if pump.cancelled() else pump.exception()
        if fault is not None or pump.cancelled():
            self._break(None, RecorderBroken())
        if fault is not None:
            _log.error("capture.broken", recording=self._place.recording_id, exc_info=fault)

    def _break(self, participant_id: str | None, fault: Refusal) -> None:
        if self._broken is None:
            self._broken = fault.code
            self._end_storing(_Phase.BROKEN)
            self._on_fault(participant_id, fault)

    def _end_storing(self, phase: _Phase) -> None:
        self._phase = phase
        for leg in self._legs:
            leg.discard()

    def _leg_stored(self, participant_id: str) -> None:
        if participant_id not in self._stored:
            self._stored.add(participant_id)
            self._on_first_stored(participant_id)

    def _next_part(self, participant_id: str) -> int:
        number = self._part_numbers.get(participant_id, 0)
        self._part_numbers[participant_id] = number + 1
        return number

    async def _forget_unused(self) -> None:
        """What fails here costs nothing else: sealing, or whoever abandons the recording, takes the rows that stay."""
        unused = [file for file in self._ready.values() if file]
        unused += [leg.unused for leg in self._legs if leg.unused]
        try:
            await self._place.forget([file.row for file in unused])
        except Exception as fault:  # noqa: BLE001  # logged; how the capture ended must be told whatever fails here
            code = fault.code if isinstance(fault, Refusal) else type(fault).__name__
            _log.warning("capture.unused_not_forgotten", recording=self._place.recording_id, code=code)
