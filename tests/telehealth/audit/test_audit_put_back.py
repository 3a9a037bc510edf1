"""A log that is put back while its server runs is not gone on with, and a place that hangs holds nobody up."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from audit_samples import MovedClock, OpenLog, an_entry

from telehealth.audit.anchoring import PathPlace
from telehealth.audit.anchors import Anchors
from telehealth.audit.faults import AnchorRefused, LogUnavailable
from telehealth.audit.layout import Layout
from telehealth.audit.ledger import Signed
from telehealth.audit.log import AuditLog


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def put_back(folder: Path, kept: Path) -> None:
    """The older files take the place of the newer ones; the lock stays where it is held."""
    for path in kept.rglob("*"):
        if path.is_file() and path.name != "lock":
            shutil.copyfile(path, folder / path.relative_to(kept))


@pytest.mark.parametrize("restarted", [False, True], ids=["as appended", "settled before"])
async def test_a_running_server_does_not_go_on_with_its_own_older_log(
    open_log: OpenLog, clock: MovedClock, tmp_path: Path, restarted: bool
) -> None:
    alarms: list[str] = []
    log = await open_log(on_alarm=alarms.append)
    place = PathPlace(tmp_path / "elsewhere", clock)
    for number in range(3):
        await log.enter(an_entry(number))
    older = log.signed()
    if restarted:
        await log.close()
    await asyncio.to_thread(shutil.copytree, tmp_path / "audit", tmp_path / "older")
    if restarted:
        log = await open_log(on_alarm=alarms.append)
    for number in range(3, 7):
        await log.enter(an_entry(number))
    await place.keep(log.signed())
    await asyncio.to_thread(put_back, tmp_path / "audit", tmp_path / "older")
    before = files_in(tmp_path / "audit")
    with pytest.raises(LogUnavailable):
        await log.enter(an_entry(7))
    assert alarms == ["audit.mismatch"]
    assert files_in(tmp_path / "audit") == before
    with pytest.raises(AnchorRefused, match="log_went_back"):
        await place.keep(older)
    assert await asyncio.to_thread(place.newest) == log.signed().note
    assert log.head().size == 7


async def test_a_kept_checkpoint_that_cannot_be_read_is_not_overwritten(
    open_log: OpenLog, clock: MovedClock, tmp_path: Path
) -> None:
    log = await open_log()
    await log.enter(an_entry())
    place = PathPlace(tmp_path, clock)
    for kept in (b"", b"\xff\n\n", b"one\ntwo\n\n-"):
        (tmp_path / "checkpoint").write_bytes(kept)
        with pytest.raises(AnchorRefused, match="kept_note_unreadable"):
            await place.keep(log.signed())
        assert (tmp_path / "checkpoint").read_bytes() == kept


async def test_a_place_that_hangs_takes_one_thread_and_is_refused_until_it_comes_back(
    open_log: OpenLog, clock: MovedClock, tmp_path: Path
) -> None:
    log = await open_log()
    await log.enter(an_entry())
    place, path = PathPlace(tmp_path, clock), tmp_path / "checkpoint"
    os.mkfifo(path)  # whoever reads it waits for a writer
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await place.keep(log.signed())
    for _ in range(50):
        with pytest.raises(TimeoutError, match="has not come back"):
            await place.keep(log.signed())
    with pytest.raises(TimeoutError):
        await asyncio.to_thread(PathPlace(tmp_path, clock).newest, 0.02)
    await asyncio.to_thread(path.write_bytes, b"")  # both go on
    path.unlink()
    await _kept(place, log.signed())
    assert path.read_bytes() == log.signed().note


async def _kept(place: PathPlace, signed: Signed) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                await place.keep(signed)
                return
            except TimeoutError:
                await asyncio.sleep(0.001)


async def test_files_damaged_beyond_reading_alarm_and_the_server_goes_on(
    open_log: OpenLog, clock: MovedClock, tmp_path: Path
) -> None:
    log = await open_log()
    for number in range(5):
        await log.enter(an_entry(number))
    first, _ = anchors_on(log, clock)
    await first.tick()
    leaves = Layout(tmp_path / "audit").leaves_of(0)
    content = leaves.read_bytes()
    for damaged in (b"", content[:7], b"\0\4junk" + content, content[:2] + b"\xff" * (len(content) - 2)):
        leaves.write_bytes(damaged)
        anchors, alarms = anchors_on(log, clock)
        await anchors.tick()
        await anchors.watch()
        assert "audit.tampered" in alarms
        assert {"audit.tiles", "audit.tampered"} >= set(alarms)
    leaves.write_bytes(content)


def anchors_on(log: AuditLog, clock: MovedClock) -> tuple[Anchors, list[str]]:
    alarms: list[str] = []
    return Anchors(log, (), clock, alarms.append), alarms
