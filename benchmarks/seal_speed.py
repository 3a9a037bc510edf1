"""How fast a stopped recording becomes playable, as a multiple of its length."""

import asyncio
import functools
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.clinic import Clinic, Listener, open_clinic
from benchmarks.clips import FPS, Clip, encode
from benchmarks.figure import Figure, measured, said, say
from telehealth.frames import CLOCK_RATE, EncodedFrame, FrameSink, TrackKind

SECONDS = int(os.environ.get("SEAL_SECONDS", "300"))  # length of the visit
_FILL = 20  # seconds of media before the disk is waited for: a third of what a leg may have waiting
_FLUSHED = 0.4  # seconds, within which all of it is on disk
_NTP_THEN = 3_900_000_000


class GivenClock:
    """Goes on by as much as media were delivered, so that minutes of a visit pass in a moment."""

    def __init__(self) -> None:
        self._start = datetime.now(UTC)
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.seconds - 1000)

    def steady(self) -> float:
        return self.seconds


@dataclass(frozen=True, slots=True)
class SealedVisit:
    """A two-party visit of `length` seconds, sealed in `took` seconds, of which `cpu` were processor time."""

    length: float
    took: float
    cpu: float

    @property
    def cpu_share(self) -> float:
        """Processor seconds per second of visit."""
        return self.cpu / self.length


def run(seed: int) -> Iterator[Figure]:
    """One visit of five minutes, two people with picture and sound, sealed on a real disk."""
    sealed = sealed_visit(seed)
    say(f"  {sealed.length:.0f} s sealed in {sealed.took:.2f} s, {sealed.cpu:.2f} s of processor time")
    yield measured("recordings.seal_speed", sealed.length / sealed.took, "× real time", n=1, seed=seed, at_least=200)


@functools.cache
def sealed_visit(seed: int) -> SealedVisit:
    """Record and seal once; whoever asks again gets the same measurement."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        return asyncio.run(_measure(Path(name), encode(seed)))


async def _measure(folder: Path, clip: Clip) -> SealedVisit:
    clock = GivenClock()
    async with open_clinic(folder, clock) as clinic:
        recording = await record(clinic, clock, clip, SECONDS)
        begun, cpu = time.monotonic(), time.process_time()
        await clinic.service.stop(recording, "clinician")
        await clinic.service.settle()
        took, spent = time.monotonic() - begun, time.process_time() - cpu
        row = await clinic.service.catalogue.recording(recording)
        if row.state != "sealed" or row.interrupted:
            raise RuntimeError(f"the recording is {row.state}")
        return SealedVisit(row.milliseconds / 1000, took, spent)


async def record(clinic: Clinic, clock: GivenClock, clip: Clip, seconds: int) -> str:
    """A recording of two people who both send the clip over and over, all of it on disk, not yet stopped."""
    listener = Listener()
    recording, people = await clinic.begin(listener)
    sinks = [clinic.service.sink(recording, person.participant) for person in people]
    begun = clock.seconds
    for second in range(seconds):
        for sink in sinks:
            _deliver(sink, clip, begun, second)
        clock.seconds = begun + second + 1
        if second % _FILL == _FILL - 1:
            await asyncio.sleep(_FLUSHED)
    if listener.faults:
        raise RuntimeError(f"the recording broke off: {listener.faults}")
    return recording


def _deliver(sink: FrameSink, clip: Clip, begun: float, second: int) -> None:
    """One second of media in order of time, and a report of each kind."""
    kinds: tuple[tuple[TrackKind, int], ...] = (("video", FPS), ("audio", 50))
    due = [
        (number / rate, kind, number) for kind, rate in kinds for number in range(second * rate, (second + 1) * rate)
    ]
    for at, kind, number in sorted(due):
        if kind == "video":
            data, key = clip.video[number % len(clip.video)]
        else:
            data, key = clip.audio[number % len(clip.audio)], True
        sink.frame(EncodedFrame(kind, data, round(at * CLOCK_RATE[kind]), key, begun + at))
    for kind, rate in CLOCK_RATE.items():
        sink.sender_report(kind, second * rate, (_NTP_THEN + second) << 32)


if __name__ == "__main__":
    said(run)
