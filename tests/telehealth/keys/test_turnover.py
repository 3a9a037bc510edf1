"""Wrapping keys turn over: by themselves, interrupted at any point, with every share readable throughout."""

import asyncio
import datetime
import os
import random
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from telehealth.audit.entry import SYSTEM
from telehealth.keys.file import FileProvider
from telehealth.keys.keyring import QUARTER
from telehealth.keys.provider import KeyDestroyed, KeyServiceUnavailable
from telehealth.keys.rewrap import LEAST_AGE, Progress
from telehealth.secret import Secret
from telehealth.store.tables import files
from tests.partners.key_clinic import HandClock, KeyClinic

from .stands import FileStand, Stand

SEED = int(os.environ.get("SEED", "") or 7)
CHILD = """
import asyncio, sys
from pathlib import Path
from tests.partners.key_clinic import KeyClinic
from telehealth.audit.entry import SYSTEM
from telehealth.keys.file import FileProvider
from telehealth.log import configure
from telehealth.secret import Secret

async def main():
    folder = Path(sys.argv[1])
    clinic = await KeyClinic(folder, FileProvider(folder / "provider", Secret(bytes(32)))).open()
    await clinic.turnover.rotate(SYSTEM)
    print("go", flush=True)
    while (await clinic.turnover.rewrap(SYSTEM)).moved:
        await clinic.turnover.rotate(SYSTEM)

configure(level="ERROR")
asyncio.run(main())
"""


@pytest.fixture
async def clinic(stand: Stand, tmp_path: Path) -> AsyncIterator[KeyClinic]:
    made = await KeyClinic(tmp_path / "clinic", stand.provider()).open()
    yield made
    await made.close()


async def _all_open(clinic: KeyClinic) -> None:
    rows = await clinic.rows()
    assert rows.keys() == clinic.keys.keys()
    for file_id in rows:
        assert await clinic.opens(file_id)


async def test_every_share_moves_and_the_old_key_ends_in_its_time(clinic: KeyClinic) -> None:
    await clinic.record(12)
    before = await clinic.rows()
    await clinic.turnover.rotate(SYSTEM)
    seen: list[Progress] = []
    done = await clinic.turnover.rewrap(SYSTEM, seen.append)
    assert (done.moved, done.left, done.unreadable) == (12, 0, 0)
    assert (done.retired, done.waiting) == ((), ("wrapping-1",))
    assert seen[-1] == Progress(12, 0, 12, running=True)
    await _all_open(clinic)
    clinic.clock.moment += LEAST_AGE
    again = await clinic.turnover.rewrap(SYSTEM)
    assert (again.moved, again.retired, again.waiting) == (0, ("wrapping-1",), ())
    assert not await clinic.provider.exists("wrapping-1")
    for file_id, old in before.items():
        with pytest.raises(KeyDestroyed):
            await clinic.keystore.open(file_id, wrapped_share=old.blob, wrapping_key=old.wrapping_key)
    await _all_open(clinic)


async def test_a_service_that_goes_away_stops_the_turnover_and_harms_nothing(clinic: KeyClinic, stand: Stand) -> None:
    await clinic.record(3)
    await clinic.turnover.rotate(SYSTEM)
    stand.away()
    try:
        with pytest.raises(KeyServiceUnavailable):
            await clinic.turnover.rewrap(SYSTEM)
    finally:
        stand.back()
    assert not clinic.turnover.progress.running
    assert (await clinic.turnover.rewrap(SYSTEM)).moved == 3
    await _all_open(clinic)


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[KeyClinic]:
    made = await KeyClinic(tmp_path / "clinic", FileStand(tmp_path / "file").provider()).open()
    yield made
    await made.close()


async def test_a_quarter_on_it_turns_over_by_itself(small: KeyClinic) -> None:
    await small.record(2)
    await small.turnover.look()
    assert small.keyring.wrapping_key == "wrapping-1"
    small.clock.moment += QUARTER
    await small.turnover.look()
    assert small.keyring.wrapping_key == "wrapping-2"
    assert await small.turnover.left() == 0
    small.clock.moment += LEAST_AGE - datetime.timedelta(seconds=1)
    await small.turnover.look()
    assert await small.provider.exists("wrapping-1")
    small.clock.moment += datetime.timedelta(seconds=1)
    await small.turnover.look()
    assert not await small.provider.exists("wrapping-1")
    entries = await small.audit.entries()
    steps = [(stored.detail["step"], stored.outcome) for stored in entries if stored.action == "keys.rotate"]
    assert steps == [(step, end) for step in ("rotate", "rewrap", "retire") for end in ("intent", "done")]
    await _all_open(small)


async def test_figures_show_a_rotation_overdue_and_shares_that_do_not_open(small: KeyClinic) -> None:
    read: dict[str, Callable[[], float]] = {}
    small.turnover.measure(lambda name, _text, figure: read.update({name: figure}))
    small.clock.moment += QUARTER
    assert {name: figure() for name, figure in read.items()} == {
        "keys_rotation_due": 1,
        "keys_wrapping": 1,
        "keys_rewrap_total": 0,
        "keys_rewrapped": 0,
        "keys_unreadable": 0,
    }
    await small.record(2)
    await small.turnover.look()
    assert (read["keys_rotation_due"](), read["keys_wrapping"](), read["keys_rewrapped"]()) == (0, 2, 2)


async def test_a_share_from_before_the_turnover_that_comes_late_keeps_its_key_alive(small: KeyClinic) -> None:
    """A recording that was beginning: wrapped before the rotation, in the database only after the re-wrapping."""
    await small.record(1)
    late = next(iter(small.keys))
    row = (await small.rows())[late]
    await small.turnover.rotate(SYSTEM)
    await small.turnover.rewrap(SYSTEM)
    async with small.store.begin() as connection:
        await connection.execute(
            update(files).where(files.c.id == late).values(wrapping_key=row.wrapping_key, wrapped_share=row.blob)
        )
    small.clock.moment += LEAST_AGE
    done = await small.turnover.rewrap(SYSTEM)
    assert (done.moved, done.retired) == (1, ("wrapping-1",))
    await _all_open(small)


async def test_an_unreadable_share_is_passed_over_and_keeps_its_key_alive(small: KeyClinic) -> None:
    broken, *_ = await small.record(3)
    async with small.store.begin() as connection:
        await connection.execute(update(files).where(files.c.id == broken).values(wrapped_share=b"\x01" + bytes(60)))
    await small.turnover.rotate(SYSTEM)
    small.clock.moment += LEAST_AGE
    done = await small.turnover.rewrap(SYSTEM)
    assert (done.moved, done.unreadable, done.left, done.retired) == (2, 1, 1, ())
    assert await small.provider.exists("wrapping-1")


async def test_a_deletion_beside_a_re_wrapping_is_not_undone(small: KeyClinic) -> None:
    deleted, kept = await small.record(2)
    await small.turnover.rotate(SYSTEM)
    rewrap = small.keystore.rewrap

    async def deleting(file_id: str, **wrapped: object) -> object:
        if file_id == deleted:
            async with small.store.begin() as connection:
                gone = {"state": "gone", "wrapped_share": b""}
                await connection.execute(update(files).where(files.c.id == deleted).values(gone))
        return await rewrap(file_id, **wrapped)  # type: ignore[arg-type]

    small.keystore.rewrap = deleting  # type: ignore[method-assign,assignment]
    await small.turnover.rewrap(SYSTEM)
    rows = await small.rows()
    assert rows[deleted].blob == b""
    assert await small.opens(kept)
    assert await small.turnover.left() == 0


async def test_two_at_once_are_one_after_the_other(small: KeyClinic) -> None:
    await small.record(4)
    await small.turnover.rotate(SYSTEM)
    first, second = await asyncio.gather(small.turnover.rewrap(SYSTEM), small.turnover.rewrap(SYSTEM))
    assert (first.moved, second.moved) == (4, 0)
    await _all_open(small)


async def test_a_database_that_is_away_puts_a_turnover_off_and_the_next_look_does_it(small: KeyClinic) -> None:
    await small.record(4)
    await small.turnover.rotate(SYSTEM)
    await asyncio.to_thread(_rename, small.database, "files", "away")
    with capture_logs() as said:
        running = asyncio.create_task(small.turnover.run(every=0.01))
        await _until(running, lambda: "keys.turnover_failed" in {line["event"] for line in said})
        await asyncio.to_thread(_rename, small.database, "away", "files")
        await _until(running, lambda: small.turnover.progress == Progress(4, 0, 4))
    running.cancel()
    await asyncio.wait({running})
    assert all(line["exc_info"] for line in said if line["event"] == "keys.turnover_failed")
    assert await small.turnover.left() == 0
    await _all_open(small)


async def _until(running: asyncio.Task[None], holds: Callable[[], bool]) -> None:
    """Wait for it, looking often, while the worker lives."""
    async with asyncio.timeout(20):
        while not holds():
            assert not running.done()
            await asyncio.sleep(0.005)


def _rename(database: Path, table: str, name: str) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute(f'ALTER TABLE "{table}" RENAME TO "{name}"')
    connection.close()


async def _killed(folder: Path, times: int, shares: int) -> None:
    chance = random.Random(SEED)
    clinic = await KeyClinic(folder, FileProvider(folder / "provider", Secret(bytes(32)))).open()
    await clinic.many_shares(shares)
    await clinic.close()
    root = Path(__file__).resolve().parents[3]
    for _ in range(times):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHILD, str(folder), stdout=asyncio.subprocess.PIPE, cwd=root
        )
        assert child.stdout is not None
        assert await child.stdout.readline() == b"go\n"
        async with asyncio.timeout(20):
            waiting = asyncio.create_task(child.wait())
            await asyncio.wait({waiting}, timeout=chance.uniform(0, 0.6))
            child.send_signal(signal.SIGKILL)
            assert await waiting == -signal.SIGKILL
        again = KeyClinic(folder, FileProvider(folder / "provider", Secret(bytes(32))), HandClock(), clinic.keys)
        await again.open()
        rows = await again.rows()
        assert len(rows) == shares
        for file_id, wrapped in rows.items():
            assert await again.share_opens(file_id, wrapped), f"SEED={SEED}"
        await again.close()


async def test_killed_at_random_moments_every_share_stays_readable(tmp_path: Path) -> None:
    await _killed(tmp_path / "clinic", times=3, shares=300)


@pytest.mark.slow
async def test_killed_fifty_times_every_share_stays_readable(tmp_path: Path) -> None:
    await _killed(tmp_path / "clinic", times=50, shares=1000)
