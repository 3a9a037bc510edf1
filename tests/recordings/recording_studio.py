"""A studio: everything a capture and its sealing need, on a disk of its own."""

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from recording_clips import Event
from recording_partners import HandClock, MemoryKeys, MemoryLedger

from recordings.capture import Capture, CaptureResult, Rhythm
from recordings.manifest import ConsentSpan, Person
from recordings.opening import read_all
from recordings.part import Place
from recordings.seal import CaptureFile, Sealed, SealOrder, seal
from recordings.track import TrackCapture
from recordings.vault.disk import DiskVault
from recordings.vault.files import Files
from telehealth.clock import rfc3339
from telehealth.errors import Refusal
from telehealth.ids import Kind, new_id

QUICK = Rhythm(flush=0.005, progress=0.0, least_free=0)


@dataclass
class Studio:
    """A recording of two participants."""

    folder: Path
    vault: DiskVault
    clock: HandClock = field(default_factory=HandClock)
    keys: MemoryKeys = field(default_factory=MemoryKeys)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    recording: str = field(default_factory=lambda: new_id(Kind.RECORDING))
    visit: str = field(default_factory=lambda: new_id(Kind.VISIT))
    patient: str = field(default_factory=lambda: new_id(Kind.PARTICIPANT))
    clinician: str = field(default_factory=lambda: new_id(Kind.PARTICIPANT))
    stored: list[str] = field(default_factory=list)
    faults: list[tuple[str | None, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def place(self) -> Place:
        return Place(
            self.recording,
            self.clock.now().date(),
            "standard",
            self.vault,
            self.keys,
            self.ledger,
            self.clock,
            os.urandom,
        )

    def use(self, files: Files) -> None:
        """Put faults into the disk."""
        self.vault._files = files

    async def start(self, rhythm: Rhythm = QUICK) -> Capture:
        return await Capture.start(
            self.recording,
            [self.patient, self.clinician],
            keys=self.keys,
            vault=self.vault,
            ledger=self.ledger,
            clock=self.clock,
            on_first_stored=self._stored,
            on_fault=self._fault,
            ask_key=self.asked.append,
            rhythm=rhythm,
        )

    def play(self, *legs: tuple[TrackCapture, Iterable[Event]]) -> None:
        """Deliver what several legs send, in order of time."""
        events = [(event.moment, number, event) for number, (_, leg) in enumerate(legs) for event in leg]
        for moment, number, event in sorted(events, key=lambda item: item[:2]):
            self.clock.seconds = max(moment, self.clock.seconds)
            event.deliver(legs[number][0])

    async def until(self, *, stored: int = 0, faults: int = 0) -> None:
        """Wait until so many participants are stored and so many faults were reported."""
        async with asyncio.timeout(5):
            while len(self.stored) < stored or len(self.faults) < faults:
                await self.changed.wait()
                self.changed.clear()

    def order(self, result: CaptureResult | None, *, interrupted: bool = False) -> SealOrder:
        parts = result.parts if result else ()
        since = rfc3339(self.clock.now())
        return SealOrder(
            recording_id=self.recording,
            visit_id=self.visit,
            retention_class="standard",
            day=self.clock.now().date(),
            participants=(Person(self.patient, "patient"), Person(self.clinician, "clinician")),
            consents=(ConsentSpan(self.patient, since, None, "00" * 32, "1"),),
            captures=tuple(CaptureFile(part.row, part.segments, part.complete) for part in parts),
            reason=result.reason if result else "process_ended",
            interrupted=interrupted,
            started_at=self.clock.now(),
            cut=result.cut if result else None,
        )

    async def seal(self, result: CaptureResult) -> Sealed:
        return await seal(self.order(result), self.place)

    def webm(self, sealed: Sealed, participant: str) -> bytes:
        """The plaintext of a participant's sealed track."""
        track = next(track for track in sealed.manifest.tracks if track.participant_id == participant)
        data = (self.folder / f"{track.file_id}.sealed").read_bytes()
        return read_all(data, self.keys.deks[track.file_id], recording_id=self.recording, file_id=track.file_id)

    def on_disk(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}

    def _stored(self, participant: str) -> None:
        self.stored.append(participant)
        self.changed.set()

    def _fault(self, participant: str | None, fault: Refusal) -> None:
        self.faults.append((participant, fault.code))
        self.changed.set()
