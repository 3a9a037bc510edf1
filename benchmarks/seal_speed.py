"""How fast a stopped recording becomes playable, as a multiple of its length."""

import asyncio
import functools
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.clinic import Clinic, Listener, open_clinic
from benchmarks.clips import FPS, Clip, encode
from benchmarks.figure import Figure, measured, said, say, wished
from telehealth.frames import CLOCK_RATE, EncodedFrame, FrameSink, TrackKind

SECONDS = int(os.environ.get("SEAL_SECONDS", "300"))  # length of the visit
_FILL = 30  # seconds of media before the disk is waited for: half of what a leg may have waiting
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
    """Visits of five minutes, two people with picture and sound, sealed on a real disk; the median."""
    samples = sealed_visits(seed)
    for one in samples:
        say(f"  {one.length:.0f} s sealed in {one.took:.2f} s, {one.cpu:.2f} s of processor time")
    speed = statistics.median(one.length / one.took for one in samples)
    yield measured("recordings.seal_speed", speed, "× real time", n=len(samples), seed=seed, at_least=300)


@functools.cache
def sealed_visits(seed: int) -> tuple[SealedVisit, ...]:
    """Record and seal, three times or N; whoever asks again gets the same measurements."""
    clip = encode(seed)
    found = []
    for _ in range(wished(3)):
        with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
            found.append(asyncio.run(_measure(Path(name), clip)))
    return tuple(found)


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
    recording, sinks = await begun(clinic, listener)
    await deliver_until(sinks, clock, clip, 0, seconds)
    if listener.faults:
        raise RuntimeError(f"the recording broke off: {listener.faults}")
    return recording


async def begun(clinic: Clinic, listener: Listener) -> tuple[str, list[Any]]:
    """A recording of two people, and what takes their frames."""
    recording, people = await clinic.begin(listener)
    return recording, [clinic.service.sink(recording, person.participant) for person in people]


async def deliver_until(sinks: list[Any], clock: GivenClock, clip: Clip, since: int, until: int) -> None:
    """The seconds `since` to `until` of everybody's media, all of it on disk."""
    begun = clock.seconds - since
    for second in range(since, until):
        for sink in sinks:
            _deliver(sink, clip, begun, second)
        clock.seconds = begun + second + 1
        if second % _FILL == _FILL - 1:
            await _stored(sinks)
    await _stored(sinks)


async def _stored(sinks: list[Any]) -> None:
    """Wait until the capture's sinks have handed out what they were given."""
    while any(sink.has_frames for sink in sinks):
        await asyncio.sleep(0.02)


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
