"""Durable appends a second with 64 concurrent writers, and how fast a folder verifies: one JSON line per figure."""

import asyncio
import json
import os
import tempfile
import time
from pathlib import Path

from telehealth.audit.actions import Action
from telehealth.audit.details import FileDetailKeys
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.audit.note import Signer
from telehealth.audit.verify import verify_folder
from telehealth.clock import SystemClock
from telehealth.secret import Secret

WRITERS = 64
ORIGIN = "bench.example/audit"
SEED = Secret(b"s" * 32)


def figure(name: str, value: float, unit: str, aim: float, *, at_most: bool = False, count: int) -> None:
    holds = value <= aim if at_most else value >= aim
    print(
        json.dumps(
            {"figure": name, "value": round(value, 2), "unit": unit, "aim": aim, "holds": holds, "n": count, "seed": 0}
        )
    )


async def main(folder: Path, each: int) -> None:
    log = await AuditLog.open(
        folder / "audit",
        signing_key=SEED,
        pseudonym_key=Secret(b"p" * 32),
        detail_keys=FileDetailKeys(folder / "keys", Secret(b"w" * 32)),
        clock=SystemClock(),
        origin=ORIGIN,
    )
    waits: list[float] = []

    async def write(writer: int) -> None:
        actor = Actor("user", id=f"usr_{writer}", role="clinician", address="192.0.2.1", device="browser")
        for _ in range(each):
            entry = Entry(Action.PLAYBACK_GRANT, Outcome.INTENT, actor, visit="vis_1", patient=f"pat_{writer}")
            begun = time.perf_counter()
            await log.enter(entry)
            waits.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*map(write, range(WRITERS)))
    spent = time.perf_counter() - begun
    await log.close()
    waits.sort()
    figure("audit.appends", len(waits) / spent, "1/s", 2000, count=len(waits))
    figure("audit.append_p99", waits[len(waits) * 99 // 100] * 1000, "ms", 50, at_most=True, count=len(waits))
    begun = time.perf_counter()
    verdict = verify_folder(folder / "audit", Signer(ORIGIN, SEED).public_key, ORIGIN)
    spent = time.perf_counter() - begun
    if not verdict.ok:
        raise SystemExit(f"the log does not verify: {verdict.problems[:3]}")
    figure("audit.verify", verdict.size / spent, "1/s", 200_000, count=verdict.size)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        asyncio.run(main(Path(name), int(os.environ.get("N", "200"))))
