"""How much memory an hour of capture, its sealing, and a reader of four hours take: growth of a process of its own.

HOURS_CAPTURED and HOURS_READ of the environment: other lengths.
"""

import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.clinic import Listener, open_clinic
from benchmarks.clips import encode
from benchmarks.figure import Figure, measured, said
from benchmarks.seal_speed import GivenClock, begun, deliver_until
from recordings.envelope import SEALED_SEGMENT, SegmentWriter
from recordings.partners import FileKind, KeyedFile
from recordings.rows import StoredFile
from recordings.sealed import OpenFile
from recordings.vault.disk import DiskVault
from telehealth.ids import Kind, new_id
from telehealth.secret import Secret

HOURS_CAPTURED = float(os.environ.get("HOURS_CAPTURED", "1"))
HOURS_READ = float(os.environ.get("HOURS_READ", "4"))
BITS = 1_200_000  # a second, of the file that is read
READERS = 16
_SETTLED = 600  # seconds of capture before growth counts
_NOW = datetime.now(UTC)
_PAGE = os.sysconf("SC_PAGE_SIZE")


def run(seed: int) -> Iterator[Figure]:
    """Each measured in a fresh process, whose memory nothing else has shaped."""
    grown, sealing = _apart("capture", seed)
    yield measured("recordings.capture_memory", grown, "MB an hour, two people", n=1, seed=seed, at_most=5)
    yield measured("recordings.seal_memory", sealing, "MB at most, two people", n=1, seed=seed)
    (each,) = _apart("readers", seed)
    yield measured("recordings.reader_memory", each, "MB a reader", n=READERS, seed=seed, at_most=2)


def _apart(what: str, seed: int) -> tuple[float, ...]:
    command = [sys.executable, "-m", "benchmarks.recordings_memory", what, str(seed)]
    return tuple(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def resident() -> float:
    """Of this process, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 1e6


async def captured(folder: Path, seed: int) -> tuple[float, float]:
    """Growth an hour from the tenth minute to the end; and the highest growth while it is sealed."""
    clock, clip = GivenClock(), await asyncio.to_thread(encode, seed)
    async with open_clinic(folder, clock) as clinic:
        listener = Listener()
        recording, sinks = await begun(clinic, listener)
        await deliver_until(sinks, clock, clip, 0, _SETTLED)
        gc.collect()
        before = resident()
        await deliver_until(sinks, clock, clip, _SETTLED, round(HOURS_CAPTURED * 3600))
        gc.collect()
        grown = resident() - before
        await clinic.service.stop(recording, "clinician")
        sealing = asyncio.create_task(clinic.service.settle())
        highest = resident()
        while not sealing.done():
            await asyncio.wait({sealing}, timeout=0.02)
            highest = max(highest, resident())
    if listener.faults:
        raise RuntimeError(f"the recording broke off: {listener.faults}")
    return grown / (HOURS_CAPTURED - _SETTLED / 3600), highest - before - grown


async def read(folder: Path, seed: int) -> tuple[float]:
    """The highest growth while several readers go through one file side by side, for each of them."""
    vault = DiskVault(folder / "vault")
    stored, dek = await _long_file(vault)
    files = [await OpenFile.open(vault, stored, dek) for _ in range(READERS)]
    gc.collect()
    before = highest = resident()

    async def one(file: OpenFile, start: int) -> None:
        nonlocal highest
        pieces = 0
        async for _ in file.chunks(start, file.size):
            pieces += 1
            await asyncio.sleep(0)
            if pieces % 16 == 0:
                highest = max(highest, resident())

    await asyncio.gather(*(one(file, number * 1_000_003) for number, file in enumerate(files)))
    await vault.close()
    return ((highest - before) / READERS,)


async def _long_file(vault: DiskVault) -> tuple[StoredFile, Secret[bytes]]:
    count = max(1, round(HOURS_READ * 3600 * BITS / 8 / SEALED_SEGMENT))
    dek, plain = Secret(os.urandom(32)), os.urandom(SEALED_SEGMENT)
    row = KeyedFile(new_id(Kind.FILE), new_id(Kind.RECORDING), FileKind.TRACK, None, 0, b"", "", "", _NOW.date(), _NOW)
    sealer = SegmentWriter(dek, row.recording_id, row.file_id)
    writer = await vault.create(row.name)
    await writer.append(sealer.header)
    for number in range(count):
        await writer.append(sealer.seal(plain, number == count - 1))
    await writer.close()
    size = await vault.size(row.name)
    return StoredFile(row, "sealed", count, size, count * SEALED_SEGMENT, None, None), dek


if __name__ == "__main__":
    if len(sys.argv) == 3:
        work = {"capture": captured, "readers": read}[sys.argv[1]]
        with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
            print(json.dumps(asyncio.run(work(Path(name), int(sys.argv[2])))))
    else:
        said(run)
