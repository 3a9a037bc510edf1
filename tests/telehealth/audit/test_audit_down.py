"""The log is slow, full or gone: opening acts are refused, closing ones are kept, and it comes back by itself."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from audit_samples import ORIGIN, PSEUDONYMS, QUICK, SEED, WRAPPING, MovedClock, an_entry
from simulated_disk import SimulatedDisk

from telehealth.audit.actions import Action
from telehealth.audit.details import FileDetailKeys
from telehealth.audit.entry import Outcome
from telehealth.audit.faults import LogUnavailable
from telehealth.audit.log import AuditLog, Limits

FOLDER = Path("/log")


def log_alone(path: Path) -> bool:
    return path.parent.name in ("leaves", "details") or path.name.startswith("checkpoint")


def everything(path: Path) -> bool:
    return True


def nothing(path: Path) -> bool:
    return False


class Partner:
    """A log on a simulated disk, and what it alarmed."""

    def __init__(self, tmp_path: Path, clock: MovedClock) -> None:
        self.disk = SimulatedDisk()
        self.alarms: list[str] = []
        self.log: AuditLog
        self._tmp_path = tmp_path
        self._clock = clock

    async def open(self, limits: Limits = QUICK) -> AuditLog:
        self.log = await AuditLog.open(
            FOLDER,
            signing_key=SEED,
            pseudonym_key=PSEUDONYMS,
            detail_keys=FileDetailKeys(self._tmp_path, WRAPPING),
            clock=self._clock,
            origin=ORIGIN,
            files=self.disk,
            limits=limits,
            on_alarm=self.alarms.append,
        )
        return self.log

    async def take_down(self, what: Callable[[Path], bool] = log_alone) -> None:
        self.disk.out_of_reach = what
        with pytest.raises(LogUnavailable):
            await self.log.enter(an_entry())

    async def bring_back(self) -> None:
        self.disk.out_of_reach = nothing
        while not self.log.healthy or self.log.waiting or self.log._writer.lost:
            await asyncio.sleep(0.001)


@pytest.fixture
async def partner(tmp_path: Path, clock: MovedClock) -> AsyncIterator[Partner]:
    made = Partner(tmp_path, clock)
    yield made
    made.disk.out_of_reach = nothing
    await made.log.close()


async def numbers(log: AuditLog) -> list[object]:
    return [stored.detail.get("number") for stored in await log.entries(limit=1000)]


async def test_the_spool_needs_no_new_thread_when_it_is_needed(partner: Partner) -> None:
    before = set(threading.enumerate())
    await partner.open()
    assert any(thread.name.startswith("audit-spool") for thread in set(threading.enumerate()) - before)


async def test_opening_acts_are_refused_while_the_log_is_down(partner: Partner) -> None:
    log = await partner.open()
    await partner.take_down()
    assert not log.healthy
    ran = False
    for _ in range(100):
        with pytest.raises(LogUnavailable):
            async with log.act(an_entry()):
                ran = True
    assert not ran
    await partner.bring_back()
    assert await log.enter(an_entry(7)) == log.head().size - 1
    assert partner.alarms == ["audit.down", "audit.back"]


async def test_closing_acts_are_kept_and_entered_with_their_own_time(partner: Partner, clock: MovedClock) -> None:
    log = await partner.open()
    await partner.take_down()
    happened = clock.now()
    for number in range(5):
        await log.enter_closing(an_entry(number, action=Action.CONSENT_WITHDRAW))
    assert log.waiting == 5
    clock.move(300)
    await partner.bring_back()
    found = [stored for stored in await log.entries() if stored.late]
    assert [stored.detail["number"] for stored in found] == [0, 1, 2, 3, 4]
    assert {stored.at for stored in found} == {happened}
    assert clock.now() - found[0].at == timedelta(seconds=300)
    assert (await log.open_private(found[4]) or {})["reason"] == "asked by telephone 4"


async def test_what_waits_survives_a_restart_and_is_entered_once(partner: Partner) -> None:
    log = await partner.open()
    await partner.take_down()
    await log.enter_closing(an_entry(1, action=Action.LEAVE))
    await log.close()
    partner.disk.out_of_reach = nothing
    log = await partner.open()
    await partner.bring_back()
    assert await numbers(log) == [1]
    await log.enter_closing(an_entry(2, action=Action.LEAVE))
    await log.close()
    assert await numbers(await partner.open()) == [1, 2]


async def test_an_outcome_is_entered_though_the_log_went_down_meanwhile(partner: Partner) -> None:
    log = await partner.open()
    async with log.act(an_entry()):
        await partner.take_down()
    await partner.bring_back()
    assert [stored.outcome for stored in await log.entries()] == ["intent", "done"]


async def test_a_full_spool_counts_and_alarms(partner: Partner) -> None:
    log = await partner.open(replace(QUICK, spool=2048))
    await partner.take_down()
    for number in range(12):
        await log.enter_closing(an_entry(number, action=Action.LEAVE))
    kept = log.waiting
    assert 0 < kept < 12
    assert partner.alarms.count("audit.lost") == 12 - kept
    await partner.bring_back()
    lost = (await log.entries())[-1]
    assert (lost.action, lost.detail) == ("audit.lost", {"count": 12 - kept, "leave": 12 - kept})
    assert await numbers(log) == [*range(kept), None]


async def test_closing_never_fails_even_with_no_disk_at_all(partner: Partner) -> None:
    log = await partner.open()
    await partner.take_down(everything)
    await log.enter_closing(an_entry(1, action=Action.CONSENT_WITHDRAW, outcome=Outcome.DONE))
    assert partner.alarms == ["audit.down", "audit.lost"]
    await partner.bring_back()
    assert (await log.entries())[-1].detail == {"count": 1, "consent_withdraw": 1}


async def test_closing_entries_wait_in_memory_when_not_even_the_spool_can_be_written(partner: Partner) -> None:
    log = await partner.open(replace(QUICK, memory=2))
    await partner.take_down(everything)
    for number in range(3):
        await log.enter_closing(an_entry(number, action=Action.LEAVE))
    assert (log.waiting, partner.alarms) == (2, ["audit.down", "audit.in_memory", "audit.in_memory", "audit.lost"])
    await partner.bring_back()
    assert [(stored.late, stored.detail.get("number")) for stored in await log.entries()][:2] == [(True, 0), (True, 1)]
    assert (await log.entries())[-1].detail == {"count": 1, "leave": 1}


async def test_a_disk_that_hangs_refuses_opening_and_keeps_closing_acts_once(partner: Partner) -> None:
    log = await partner.open(replace(QUICK, patience=0.02, brief=0.02))
    go_on = threading.Event()
    write_at = partner.disk.write_at

    def hanging(path: Path, offset: int, content: bytes) -> None:
        if log_alone(path):
            go_on.wait(5)
        write_at(path, offset, content)

    partner.disk.write_at = hanging  # type: ignore[method-assign]
    with pytest.raises(LogUnavailable):
        await log.enter(an_entry(0))
    await log.enter_closing(an_entry(1, action=Action.LEAVE))
    assert log.waiting == 1
    go_on.set()
    while log.waiting:
        await asyncio.sleep(0.001)
    assert (await numbers(log)).count(1) == 1


async def test_more_entries_than_the_queue_holds_are_refused_at_once(partner: Partner) -> None:
    log = await partner.open(replace(QUICK, queue=3))
    results = await asyncio.gather(*(log.enter(an_entry(number)) for number in range(9)), return_exceptions=True)
    assert sum(isinstance(result, LogUnavailable) for result in results) == 6
    assert len(await numbers(log)) == 3


async def test_a_caller_that_goes_away_takes_no_closing_entry_with_it(partner: Partner) -> None:
    log = await partner.open()
    leaving: Awaitable[None] = log.enter_closing(an_entry(1, action=Action.LEAVE))
    task = asyncio.ensure_future(leaving)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await log.close()
    assert await numbers(log) == [1]


async def test_a_log_whose_files_were_changed_stays_down_and_says_so(partner: Partner) -> None:
    log = await partner.open()
    await log.enter(an_entry(0))
    path = next(path for path in partner.disk.now if path.suffix == ".leaves")
    good = partner.disk.now[path]
    await partner.take_down()
    partner.disk.now[path] = good.replace(b"playback", b"plaiback")
    del partner.disk.now[FOLDER / "journal"]
    partner.disk.out_of_reach = nothing
    await asyncio.sleep(0.03)
    assert not log.healthy
    partner.disk.now[path] = good
    await partner.bring_back()
    assert await log.enter(an_entry(1)) == 1
