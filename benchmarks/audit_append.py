"""The audit log's speed: 64 writers at once, one at a time against a bare write, and verification. N: appends."""

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure, measured, percentile, said, wished
from telehealth.audit.actions import Action
from telehealth.audit.details import FileDetailKeys
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.audit.note import Signer
from telehealth.audit.verify import verify_folder
from telehealth.clock import SystemClock
from telehealth.secret import Secret

WRITERS = 64
IDLE = 300
ORIGIN = "bench.example/audit"
SEED = Secret(b"s" * 32)


def run(seed: int) -> Iterator[Figure]:
    """Appends under load, idle appends against a bare durable write of the same octets, verification."""
    count = wished(12_800)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        folder = Path(name)
        waits, spent = asyncio.run(_loaded(folder / "loaded", max(1, count // WRITERS)))
        yield measured("audit.append_per_second", len(waits) / spent, "1/s", n=len(waits), seed=seed, at_least=2000)
        late = percentile(waits, 0.99) * 1000
        yield measured("audit.append_p99", late, "ms", n=len(waits), seed=seed, at_most=50)
        idle, bare = asyncio.run(_idle(folder / "idle", min(IDLE, count)))
        ratio = percentile(idle, 0.5) / percentile(bare, 0.5)
        yield measured("audit.idle_append_ms", percentile(idle, 0.5) * 1000, "ms", n=len(idle), seed=seed)
        yield measured("audit.bare_write_ms", percentile(bare, 0.5) * 1000, "ms", n=len(bare), seed=seed)
        yield measured("audit.idle_append_ratio", ratio, "x", n=len(idle), seed=seed, at_most=3)
        begun = time.perf_counter()
        verdict = verify_folder(folder / "loaded", Signer(ORIGIN, SEED).public_key, ORIGIN)
        spent = time.perf_counter() - begun
        if not verdict.ok:
            raise RuntimeError(f"the log does not verify: {verdict.problems[:3]}")
        rate = verdict.size / spent
        yield measured("audit.verify_sealed_per_second", rate, "1/s", n=verdict.size, seed=seed, at_least=200_000)


async def _opened(folder: Path) -> AuditLog:
    return await AuditLog.open(
        folder,
        signing_key=SEED,
        pseudonym_key=Secret(b"p" * 32),
        detail_keys=FileDetailKeys(folder.with_name(f"{folder.name}-keys"), Secret(b"w" * 32)),
        clock=SystemClock(),
        origin=ORIGIN,
    )


def _entry(writer: int) -> Entry:
    actor = Actor("user", id=f"usr_{writer}", role="clinician", address="192.0.2.1", device="browser")
    return Entry(Action.PLAYBACK_GRANT, Outcome.INTENT, actor, visit="vis_1", patient=f"pat_{writer}")


async def _loaded(folder: Path, each: int) -> tuple[list[float], float]:
    """Seconds of every append, and of all together."""
    log, waits = await _opened(folder), list[float]()

    async def write(writer: int) -> None:
        for _ in range(each):
            begun = time.perf_counter()
            await log.enter(_entry(writer))
            waits.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*map(write, range(WRITERS)))
    spent = time.perf_counter() - begun
    await log.close()
    return waits, spent


async def _idle(folder: Path, count: int) -> tuple[list[float], list[float]]:
    """Seconds of appends one by one, and of a bare write and fdatasync of as many octets, by turns."""
    log, journal = await _opened(folder), folder / "journal"
    appends, bare = list[float](), list[float]()
    handle = os.open(folder.with_name("bare"), os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for _ in range(count):
            begun = time.perf_counter()
            await log.enter(_entry(1))
            appends.append(time.perf_counter() - begun)
            size = int.from_bytes(journal.open("rb").read(4), "big") + 20
            octets = os.urandom(size)
            begun = time.perf_counter()
            os.write(handle, octets)
            os.fdatasync(handle)
            bare.append(time.perf_counter() - begun)
    finally:
        os.close(handle)
        await log.close()
    return appends, bare


if __name__ == "__main__":
    said(run)
