"""How fast a recording of two people becomes one film, as a multiple of its length, worker process included."""

import asyncio
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyrage

from benchmarks.clinic import open_clinic
from benchmarks.clips import Clip, encode
from benchmarks.figure import Figure, measured, said, say, wished
from benchmarks.seal_speed import GivenClock, record
from recordings.export.wish import Wish
from telehealth.access import command_line
from telehealth.secret import Secret

SECONDS = int(os.environ.get("EXPORT_SECONDS", "60"))  # length of the visit


def run(seed: int) -> Iterator[Figure]:
    """Two people, 640 × 480 at 30 a second with sound, to one age recipient; the median of each format."""
    clip = encode(seed)
    for wanted in ("webm", "mp4"):
        speeds, shares = [], []
        for _ in range(wished(3)):
            with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
                speed, share = asyncio.run(_measure(Path(name), clip, wanted))
                speeds.append(speed)
                shares.append(share)
        name = "recordings.export_speed" if wanted == "webm" else f"recordings.export_speed_{wanted}"
        yield measured(name, statistics.median(speeds), "× real time", n=len(speeds), seed=seed)
        cpu = name.replace("speed", "cpu")
        yield measured(cpu, statistics.median(shares), "s of processor per s of film", n=len(shares), seed=seed)


async def _measure(folder: Path, clip: Clip, wanted: str) -> tuple[float, float]:
    clock = GivenClock()
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    async with open_clinic(folder, clock) as clinic:
        recording = await record(clinic, clock, clip, SECONDS)
        await clinic.service.stop(recording, "clinician")
        await clinic.service.settle()
        exports = clinic.service.exports
        begun, spent = time.monotonic(), _processor()
        wish = Wish("legal", wanted, "recipient", Secret(recipient))  # type: ignore[arg-type]  # one of two words
        asked = await exports.ask(command_line(), recording, wish)
        await exports.settle()
        took, spent = time.monotonic() - begun, _processor() - spent
        done = await exports.show(command_line(), asked.id)
        if done.state != "ready":
            raise RuntimeError(f"the export is {done.state}: {done.failure}")
        say(f"  {wanted}: {done.milliseconds / 1000:.0f} s in {took:.1f} s, {done.bytes / 1e6:.1f} MB")
        return done.milliseconds / 1000 / took, spent / (done.milliseconds / 1000)


def _processor() -> float:
    """Seconds of processor time that workers which have ended took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    said(run)
