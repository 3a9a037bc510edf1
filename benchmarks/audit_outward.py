"""Entries to a TLS collector that is killed again and again: lost, sent twice, a second; and whether the log waits.

N entries (default 5,000) and one kill for every 250 of them.
"""

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figure import Figure, measured
from telehealth.audit.actions import Action
from telehealth.audit.details import FileDetailKeys
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.clock import SystemClock
from telehealth.log import configure
from telehealth.outward.cursor import Cursor
from telehealth.outward.feed import Feed
from telehealth.outward.outlets import SyslogOutlet
from telehealth.outward.told import Origin, syslog_message
from telehealth.secret import Secret
from telehealth.syslog import Address
from tests.partners.certificates import Authority
from tests.partners.process import Partner, free_port

A_KILL = 250  # entries
WRITERS = 64
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Collector:
    folder: Path
    port: int
    certificate: Path
    key: Path

    @property
    def file(self) -> Path:
        return self.folder / "collected"

    def start(self) -> Partner:
        log = self.folder / "collector.log"
        log.unlink(missing_ok=True)
        words = [str(self.port), str(self.file), str(self.certificate), str(self.key)]
        command = [sys.executable, "-m", "tests.partners.collector", *words]
        process = Partner(command, log, {"PYTHONPATH": str(Path(__file__).resolve().parents[1])})
        process.wait(lambda: "listening" in log.read_text())
        return process

    def indexes(self) -> list[int]:
        try:
            received = self.file.read_text("ascii").split("\n")[:-1]
        except FileNotFoundError:
            return []
        return [int(line.partition(' index="')[2].partition('"')[0]) for line in received]


def run(seed: int) -> Iterator[Figure]:
    """In a temporary folder."""
    configure(level="ERROR")  # a collector that is killed is a warning each time
    count = int(os.environ.get("N", "") or 5_000)
    with tempfile.TemporaryDirectory() as folder:
        yield from asyncio.run(_measured(Path(folder), count, seed))


async def _measured(folder: Path, count: int, seed: int) -> list[Figure]:
    authority = Authority(folder)
    collector = Collector(folder, free_port(), *authority.issue("127.0.0.1"))
    keys = FileDetailKeys(folder / "keys", Secret(b"w" * 32))
    named = {"signing_key": Secret(b"s" * 32), "pseudonym_key": Secret(b"p" * 32), "detail_keys": keys}
    log = await AuditLog.open(folder / "audit", clock=SystemClock(), origin="bench/outward", **named)  # type: ignore[arg-type]
    feed = Feed(
        "syslog",
        log,
        SyslogOutlet(Address(f"tls://127.0.0.1:{collector.port}", authority.ca)),
        syslog_message(Origin("bench/outward", "host.example", "1")),
        Cursor(folder / "cursors" / "syslog.json", "bench/outward", 0.0),
        clock=SystemClock(),
        alarm=lambda _code: None,
        entropy=os.urandom,
        settle_seconds=0.1,
        every=0.02,  # comes back at once: a real one waits longer, and meets fewer kills
    )
    try:
        alone, down = list[float](), list[float]()
        for _ in range(ROUNDS):  # in turns, so that what else the machine does meets both
            alone.append(await _entered(log, count // 4 // ROUNDS))
            async with _running(feed):
                down.append(await _entered(log, count // 4 // ROUNDS))  # the collector is not there yet
        async with _running(feed):
            kills = await _killed(log, feed, collector, count // 2, random.Random(seed))
            rate, twice = await _drained(feed, log, collector)
    finally:
        await log.close()
    received = collector.indexes()
    lost = log.head().size - len(set(received))
    return [
        measured("audit.outward_lost", lost, "entries", at_most=0, n=kills, seed=seed),
        measured("audit.outward_sent_again", twice, "share", n=log.head().size, seed=seed),
        measured("audit.outward_rate", rate, "entries/s", at_least=1000, n=log.head().size, seed=seed),
        measured("audit.outward_append_slowdown", min(down) / min(alone), "times", at_most=2, n=count // 4, seed=seed),
    ]


async def _entered(log: AuditLog, count: int) -> float:
    """Median seconds of an append with 64 writers."""
    waits: list[float] = []

    async def write(share: int) -> None:
        for _ in range(share):
            begun = time.perf_counter()
            await log.enter(Entry(Action.RECORDING_READ, Outcome.DONE, Actor("user", id="usr_a"), recording="rec_1"))
            waits.append(time.perf_counter() - begun)

    await asyncio.gather(*(write(-(-count // WRITERS)) for _ in range(WRITERS)))
    return sorted(waits)[len(waits) // 2]


async def _killed(log: AuditLog, feed: Feed, collector: Collector, count: int, chance: random.Random) -> int:
    """Start, enter, kill at a moment of chance; how many times."""
    kills = max(20, count // A_KILL)
    for _ in range(kills):
        process = await asyncio.to_thread(collector.start)
        await asyncio.gather(_entered(log, count // kills), asyncio.sleep(chance.random() * 0.5))
        await asyncio.to_thread(process.stop, signal.SIGKILL)
    return kills


async def _drained(feed: Feed, log: AuditLog, collector: Collector) -> tuple[float, float]:
    """Entries a second, the whole log from its beginning; and what share had been sent twice or more until then."""
    process = await asyncio.to_thread(collector.start)
    while feed.lag().entries:
        await asyncio.sleep(0.02)
    received = await asyncio.to_thread(collector.indexes)
    before, begun = len(received), time.perf_counter()
    await feed.resend(0)
    while len(await asyncio.to_thread(collector.indexes)) < before + log.head().size:
        await asyncio.sleep(0.02)
    seconds = time.perf_counter() - begun
    await asyncio.to_thread(process.stop)
    return log.head().size / seconds, 1 - len(set(received)) / before


@asynccontextmanager
async def _running(feed: Feed) -> AsyncIterator[None]:
    task = asyncio.create_task(feed.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
