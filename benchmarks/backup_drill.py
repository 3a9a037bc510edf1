"""How long a backup takes, how fast it writes, and how long until a killed installation stands again.

N recordings (20) of MIB mebibytes each (4), with the provider `file` on SQLite. What is measured is this machine.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure, measured, say, wished
from telehealth import log
from telehealth.access import SYSTEM
from telehealth.house import House
from tests.backup.furnished import Furnished

RESTORED_WITHIN = 72 * 3600.0  # seconds: what contingency plans ask for


def run(seed: int) -> Iterator[Figure]:
    """Make recordings, back up twice, lose everything, restore."""
    log.configure(level="ERROR")
    count, octets = wished(20), int(os.environ.get("MIB", "") or 4) * 1_048_576
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        yield from asyncio.run(_drill(Furnished(Path(name)), count, octets, seed))


async def _drill(clinic: Furnished, count: int, octets: int, seed: int) -> list[Figure]:
    async with clinic.open() as house:
        await clinic.furnish(house)
        for _ in range(count):
            await _recorded(clinic, house, octets)
        say(f"  {count} recordings made")
        first = await house.backups.create(SYSTEM.actor(), clinic.wish)
        second = await house.backups.create(SYSTEM.actor(), clinic.wish)
        living = [row.id for row in await house.recordings.catalogue.in_states(("sealed",))]
    await asyncio.to_thread(shutil.rmtree, clinic.folder / "clinic")
    began = time.monotonic()
    await clinic.restore(clinic.config)
    async with clinic.open() as house:
        seconds = time.monotonic() - began
        if not all([await clinic.plays(house, one) for one in living[:5]]) or len(living) != count:
            raise RuntimeError("a recording did not come back")
    written = first.data.octets if first.data else 0
    return [
        measured("backup.create_mb_per_second", written / first.seconds / 1e6, "MB/s", n=count, seed=seed),
        measured("backup.create_seconds", first.seconds, "s", n=count, seed=seed),
        measured("backup.incremental_seconds", second.seconds, "s", n=count, seed=seed),
        measured("backup.restore_drill_seconds", seconds, "s", n=count, seed=seed, at_most=RESTORED_WITHIN),
        measured("backup.restore_mb_per_second", written / seconds / 1e6, "MB/s", n=count, seed=seed),
    ]


async def _recorded(clinic: Furnished, house: House, octets: int) -> None:
    """Sound in the packets of Opus that are largest, as much as makes up the size."""
    recording = await clinic.begin(house, packets=max(1, octets // 1200), size=1200)
    await house.recordings.stop(recording, "clinician")
    await house.recordings.settle()
