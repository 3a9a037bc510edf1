"""Entries reach a collector behind TLS, whatever happens to it, and it holds up nobody."""

import asyncio
import json
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from outward_samples import ADDRESS, DEVICE, NAME, ORIGIN, an_entry, body, fill, lines, until

from telehealth.audit.log import AuditLog
from telehealth.clock import SystemClock
from telehealth.outward.cursor import Cursor
from telehealth.outward.feed import Feed
from telehealth.outward.outlets import SyslogOutlet
from telehealth.outward.told import Origin, syslog_message
from telehealth.syslog import Address
from tests.partners.certificates import Authority
from tests.partners.process import Partner, free_port

KILLS = int(os.environ.get("N", "20"))
SEED = int(os.environ.get("SEED", "7"))
ROOT = Path(__file__).resolve().parents[3]


class Collector:
    """A real TLS collector that can be killed and started again at the same port."""

    def __init__(self, folder: Path, *more: str, client_ca: Path | None = None) -> None:
        self.port = free_port()
        self.file = folder / "collected"
        self._folder = folder
        self.authority = Authority(folder)
        certificate, key = self.authority.issue("127.0.0.1")
        self._words = [str(certificate), str(key), *([str(client_ca)] if client_ca else []), *more]
        self._starts = 0
        self.process: Partner | None = None

    def start(self) -> None:
        self._starts += 1
        log = self._folder / f"collector-{self._starts}.log"
        command = [sys.executable, "-m", "tests.partners.collector", str(self.port), str(self.file), *self._words]
        self.process = Partner(command, log, {"PYTHONPATH": str(ROOT)})
        self.process.wait(lambda: "listening" in log.read_text())

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.stop(how)

    def indexes(self) -> list[int]:
        return [body(line)["index"] for line in lines(self.file)]

    def address(self, **more: Path) -> Address:
        return Address(f"tls://127.0.0.1:{self.port}", self.authority.ca, **more)


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    found = Collector(tmp_path)
    yield found
    found.stop()


def feed_to(log: AuditLog, address: Address, folder: Path, alarms: list[str] | None = None, **more: object) -> Feed:
    named: dict[str, object] = {"settle_seconds": 0.05, "every": 0.01, "late_seconds": 60.0, **more}
    overlap = float(str(named.pop("overlap", 0.0)))
    patience = float(str(named.pop("socket_patience", 20.0)))
    return Feed(
        "syslog",
        log,
        SyslogOutlet(address, patience),
        syslog_message(Origin(ORIGIN, "host.example", "1")),
        Cursor(folder / "cursor" / "syslog.json", ORIGIN, overlap),
        clock=SystemClock(),
        alarm=(alarms if alarms is not None else []).append,
        entropy=os.urandom,
        **named,  # type: ignore[arg-type]
    )


@asynccontextmanager
async def running(feed: Feed) -> AsyncIterator[None]:
    task = asyncio.create_task(feed.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_every_entry_arrives_as_rfc_5424_with_its_index(
    log: AuditLog, tmp_path: Path, collector: Collector
) -> None:
    await fill(log, 7)
    await asyncio.to_thread(collector.start)
    feed = feed_to(log, collector.address(), tmp_path)
    async with running(feed):
        await until(lambda: feed.lag().entries == 0)
    received = lines(collector.file)
    assert collector.indexes() == list(range(7))
    stored = (await log.entries(limit=1))[0]
    head, _, text = received[0].partition("] ")
    assert head.startswith("<85>1 ")
    assert head.split(" ", 7)[2:7] == ["host.example", "telehealth", "1", "recording.read", "[telehealth@32473"]
    assert f'index="0" outcome="done" hash="{stored.hash.hex()}"' in head
    assert json.loads(text)["detail"] == {"number": 0}


async def test_nothing_but_what_the_leaf_carries_leaves(log: AuditLog, tmp_path: Path, collector: Collector) -> None:
    await fill(log, 3)
    await asyncio.to_thread(collector.start)
    feed = feed_to(log, collector.address(), tmp_path)
    async with running(feed):
        await until(lambda: feed.lag().entries == 0)
    text = collector.file.read_text()
    assert not any(canary in text for canary in (NAME, ADDRESS, DEVICE, "pat_0"))


async def test_details_leave_only_where_that_was_asked_for(log: AuditLog, tmp_path: Path, collector: Collector) -> None:
    await fill(log, 3)
    await asyncio.to_thread(collector.start)
    feed = feed_to(log, collector.address(), tmp_path, details=True)
    async with running(feed):
        await until(lambda: feed.lag().entries == 0)
    private = [body(line)["private"] for line in lines(collector.file)]
    assert private == [{"name": NAME, "address": ADDRESS, "device": DEVICE}] * 3


@pytest.mark.parametrize("rude", [False, True])
async def test_a_collector_killed_at_random_loses_nothing(log: AuditLog, tmp_path: Path, rude: bool) -> None:
    seen, chance = 0, random.Random(SEED)
    collector = Collector(tmp_path, *(["--rude"] if rude else []))
    feed = feed_to(log, collector.address(), tmp_path, settle_seconds=0.0, overlap=1.0 if rude else 0.0)
    try:
        async with running(feed):
            for _ in range(KILLS):
                await asyncio.gather(fill(log, 150), asyncio.to_thread(collector.start))
                seen += chance.randrange(150)
                await until(lambda least=seen: len(lines(collector.file)) >= least)  # type: ignore[misc]
                await asyncio.to_thread(collector.stop)
                seen = len(lines(collector.file))
            await asyncio.to_thread(collector.start)
            await until(lambda: feed.lag().entries == 0)
    finally:
        collector.stop()
    assert set(collector.indexes()) == set(range(log.head().size)), f"seed {SEED}"


async def test_a_collector_that_hangs_until_it_is_killed_loses_nothing(
    log: AuditLog, tmp_path: Path, collector: Collector
) -> None:
    """What its kernel took and it never read is sent again: an acknowledged segment is not a message received."""
    await asyncio.to_thread(collector.start)
    feed = feed_to(log, collector.address(), tmp_path, socket_patience=0.2)
    async with running(feed):
        await fill(log, 10)
        await until(lambda: feed.lag().entries == 0)
        assert collector.process is not None
        collector.process.freeze()
        await fill(log, 50)
        await until(lambda: feed.lag().fault != "")
        assert feed.lag().entries == 50
        await asyncio.to_thread(collector.stop)
        await asyncio.to_thread(collector.start)
        await until(lambda: feed.lag().entries == 0)
    assert set(collector.indexes()) == set(range(60))


async def test_what_was_confirmed_lately_is_sent_again_after_a_loss(
    log: AuditLog, tmp_path: Path, collector: Collector
) -> None:
    """A collector that answered may still have had them in memory alone."""
    await asyncio.to_thread(collector.start)
    feed = feed_to(log, collector.address(), tmp_path, overlap=3600.0)
    async with running(feed):
        await fill(log, 5)
        await until(lambda: feed.lag().entries == 0)
        await asyncio.to_thread(collector.stop)
        await asyncio.to_thread(collector.file.unlink)
        await asyncio.to_thread(collector.start)
        await until(lambda: len(lines(collector.file)) >= 5)
    assert collector.indexes()[:5] == [0, 1, 2, 3, 4]


async def test_a_restart_goes_on_where_the_collector_confirmed(
    log: AuditLog, tmp_path: Path, collector: Collector
) -> None:
    await asyncio.to_thread(collector.start)
    for entries in (5, 12):
        await fill(log, entries - log.head().size)
        feed = feed_to(log, collector.address(), tmp_path)
        await feed.step()
        async with running(feed):
            await until(lambda of=feed: of.lag().entries == 0)  # type: ignore[misc]
    found = collector.indexes()
    assert set(found) == set(range(12))
    assert found.count(0) == 1


async def test_a_collector_that_is_away_blocks_nothing_and_alarms(log: AuditLog, tmp_path: Path) -> None:
    alarms: list[str] = []
    gone = Address(f"tcp://127.0.0.1:{free_port()}")
    feed = feed_to(log, gone, tmp_path, alarms, late_seconds=0.02)
    async with running(feed):
        await fill(log, 50)
        await until(lambda: alarms == ["outward.late"])
        await fill(log, 50)
        lag = feed.lag()
    assert (lag.entries, lag.fault, lag.alarmed) == (100, "ConnectionRefusedError", True)
    assert lag.seconds > 0.02


async def test_back_off_grows_and_is_not_the_same_for_all(log: AuditLog, tmp_path: Path) -> None:
    feed = feed_to(log, Address(f"tcp://127.0.0.1:{free_port()}"), tmp_path, every=0.5)
    pauses = []
    for _ in range(9):
        await feed.step()
        pauses.append(feed.pause())
    assert 0.5 <= pauses[0] <= 1.0
    assert 30.0 <= pauses[-1] <= 60.0
    assert len(set(pauses)) > 5


async def test_a_collector_with_a_certificate_for_another_name_gets_nothing(
    log: AuditLog, tmp_path: Path, collector: Collector
) -> None:
    await log.enter(an_entry())
    await asyncio.to_thread(collector.start)
    feed = feed_to(log, Address(f"tls://localhost:{collector.port}", collector.authority.ca), tmp_path)
    assert not await feed.step()
    assert feed.lag().fault == "SSLCertVerificationError"
    assert lines(collector.file) == []


async def test_a_collector_of_an_unknown_authority_gets_nothing(
    log: AuditLog, tmp_path: Path, collector: Collector
) -> None:
    await log.enter(an_entry())
    await asyncio.to_thread(collector.start)
    other = Authority(tmp_path, "another authority")
    feed = feed_to(log, Address(f"tls://127.0.0.1:{collector.port}", other.ca), tmp_path)
    await feed.step()
    assert feed.lag().fault == "SSLCertVerificationError"


async def test_a_collector_that_wants_our_certificate_gets_it(log: AuditLog, tmp_path: Path) -> None:
    ours = Authority(tmp_path, "client authority")
    certificate, key = ours.issue("telehealth.example")
    collector = Collector(tmp_path, client_ca=ours.ca)
    await fill(log, 2)
    await asyncio.to_thread(collector.start)
    try:
        feed = feed_to(log, collector.address(certificate=certificate, key=key), tmp_path)
        async with running(feed):
            await until(lambda: feed.lag().entries == 0)
    finally:
        collector.stop()
    assert collector.indexes() == [0, 1]


async def test_a_collector_that_never_answers_holds_up_only_its_own_thread(log: AuditLog, tmp_path: Path) -> None:
    """It accepts and is silent: the handshake hangs, the log goes on, the feed says why."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        feed = feed_to(log, Address(f"tls://127.0.0.1:{port}"), tmp_path, patience=0.02, socket_patience=0.2)
        await log.enter(an_entry())
        await feed.step()
        assert feed.lag().fault == "TimeoutError"
        await log.enter(an_entry())
    assert feed.lag().entries == 2


async def test_sending_again_starts_where_it_was_asked_to(log: AuditLog, tmp_path: Path, collector: Collector) -> None:
    await fill(log, 6)
    await asyncio.to_thread(collector.start)
    feed = feed_to(log, collector.address(), tmp_path)
    async with running(feed):
        await until(lambda: feed.lag().entries == 0)
        await feed.resend(4)
        await until(lambda: len(lines(collector.file)) == 8)
    assert collector.indexes() == [0, 1, 2, 3, 4, 5, 4, 5]


async def test_a_cursor_of_another_log_begins_anew_and_says_so(
    log: AuditLog, tmp_path: Path, collector: Collector
) -> None:
    alarms: list[str] = []
    await fill(log, 3)
    await asyncio.to_thread(Cursor(tmp_path / "cursor" / "syslog.json", ORIGIN, 0.0).keep, 2, "00" * 32, 0.0)
    await asyncio.to_thread(collector.start)
    feed = feed_to(log, collector.address(), tmp_path, alarms)
    async with running(feed):
        await until(lambda: len(lines(collector.file)) == 3)
    assert alarms == ["outward.cursor_foreign"]
    assert collector.indexes() == [0, 1, 2]
