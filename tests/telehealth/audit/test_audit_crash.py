"""The machine dies at every write, sync and rename: what was promised is there, once and in order."""

import asyncio
import copy
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from audit_samples import ORIGIN, PSEUDONYMS, PUBLIC, QUICK, SEED, WRAPPING, MovedClock, an_entry
from simulated_disk import Moment, SimulatedDisk

from telehealth.audit.actions import Action
from telehealth.audit.details import FileDetailKeys
from telehealth.audit.faults import LogMismatch, LogUnavailable
from telehealth.audit.layout import SEGMENT, Layout, leaf_record, leaf_records
from telehealth.audit.ledger import MAX_BATCH, Ledger
from telehealth.audit.log import AuditLog
from telehealth.audit.note import Checkpoint, Signer
from telehealth.audit.verify import verify_folder
from telehealth.secret import Secret

FOLDER = Path("/log")
MOMENTS: tuple[Moment, ...] = ("before", "after", "torn")
BATCHES = (1, 3, 2, 1)


def a_ledger(disk: SimulatedDisk, at_least: Checkpoint | None = None) -> Ledger:
    return Ledger(Layout(FOLDER), disk, Signer(ORIGIN, SEED), at_least)


def batch(first: int, count: int) -> list[tuple[bytes, bytes | None]]:
    return [(f'{{"number":{number},"sealed":null}}'.encode(), None) for number in range(first, first + count)]


def leaves_on(disk: SimulatedDisk, size: int) -> list[bytes]:
    layout = Layout(FOLDER)
    content = [disk.read(layout.leaves_of(segment)) for segment in range(-(-size // SEGMENT))]
    return [leaf for part in content for leaf in leaf_records(part)[0]][:size]


def filled(count: int) -> SimulatedDisk:
    disk = SimulatedDisk()
    ledger = a_ledger(disk)
    ledger.load()
    ledger.append(batch(0, count))
    return disk


# empty, in the middle, and across the end of a segment
STARTS = {count: filled(count) for count in (0, 5, SEGMENT - 5)}


def crashes() -> Iterator[tuple[int, Moment, int]]:
    for start in STARTS:
        for moment in MOMENTS:
            for at in range(1, 24):
                yield start, moment, at


@pytest.mark.parametrize(("start", "moment", "at"), list(crashes()))
def test_what_was_promised_survives_every_crash(start: int, moment: Moment, at: int) -> None:
    disk = copy.deepcopy(STARTS[start])
    ledger = a_ledger(disk)
    disk.fail(at, moment)
    promised = offered = start
    try:
        ledger.load()
        for count in BATCHES:
            offered = promised + count
            ledger.append(batch(promised, count))
            promised = offered
    except OSError:
        pass
    disk.power_cut(random.Random(at))
    again = a_ledger(disk)
    again.load()
    assert again.head.size in (promised, offered)
    assert leaves_on(disk, again.head.size) == [leaf for leaf, _ in batch(0, again.head.size)]
    assert again.append(batch(again.head.size, 2)) == again.head.size - 2
    verdict = verify_folder(FOLDER, PUBLIC, ORIGIN, files=disk, pause=lambda _: None)
    assert verdict.problems == ()


@pytest.mark.parametrize("at", range(1, 8))
def test_the_same_ledger_goes_on_after_a_fault(at: int) -> None:
    disk = copy.deepcopy(STARTS[5])
    ledger = a_ledger(disk)
    ledger.load()
    disk.fail(at, "after")
    try:
        ledger.append(batch(5, 2))
    except OSError:
        disk.dead = False
        disk.fail_at = None
        ledger.refresh()
        ledger.append(batch(ledger.head.size, 2))
    assert leaves_on(disk, ledger.head.size) == [leaf for leaf, _ in batch(0, ledger.head.size)]


def test_a_log_that_went_back_does_not_start() -> None:
    disk = filled(3)
    old = copy.deepcopy(disk)
    ledger = a_ledger(disk)
    ledger.append(batch(3, 1))
    with pytest.raises(LogMismatch, match="log_went_back"):
        a_ledger(old, ledger.head).load()
    other = SimulatedDisk()
    forked = a_ledger(other)
    forked.append([(b"another first", None), *batch(1, 4)])
    with pytest.raises(LogMismatch, match="log_went_back"):
        a_ledger(other, ledger.head).load()
    with pytest.raises(LogMismatch, match="head_missing"):
        a_ledger(SimulatedDisk(), ledger.head).load()


def test_a_head_that_is_gone_or_not_ours_stops_the_start() -> None:
    disk = filled(3)
    head = disk.now.pop(FOLDER / "checkpoint")
    with pytest.raises(LogMismatch, match="head_missing"):
        a_ledger(disk).load()
    disk.now[FOLDER / "checkpoint"] = Signer(ORIGIN, Secret(b"x" * 32)).checkpoint(3, bytes(32))
    with pytest.raises(LogMismatch, match="head_not_ours"):
        a_ledger(disk).load()
    disk.now[FOLDER / "checkpoint"] = head
    a_ledger(disk).load()


def test_leaves_that_changed_stop_the_start_and_say_what_to_do() -> None:
    disk = filled(3)
    path = Layout(FOLDER).leaves_of(0)
    disk.now[path] = disk.now[path].replace(b'"number":1', b'"number":7')
    del disk.now[FOLDER / "journal"]
    with pytest.raises(LogMismatch, match="audit verify") as told:
        a_ledger(disk).load()
    assert told.value.code == "leaves_changed"


def test_what_the_journal_holds_is_mended_and_told() -> None:
    disk = filled(3)
    path = Layout(FOLDER).leaves_of(0)
    disk.now[path] = disk.now[path].replace(b'"number":1', b'"number":7')
    ledger = a_ledger(disk)
    ledger.load()
    assert ledger.repaired
    assert leaves_on(disk, 3) == [leaf for leaf, _ in batch(0, 3)]
    ledger = a_ledger(disk)
    ledger.load()
    assert not ledger.repaired


def test_a_journal_that_is_gone_or_garbled_costs_nothing_once_files_are_synced() -> None:
    for content in (b"", b"\0" * 64, bytes(range(256)) * 9):
        disk = filled(3)
        disk.now[FOLDER / "journal"] = content
        ledger = a_ledger(disk)
        ledger.load()
        assert ledger.head.size == 3
        assert ledger.append(batch(3, 2)) == 3


def test_a_second_process_between_two_commits_changes_nothing() -> None:
    disk = filled(3)
    one, other = a_ledger(disk), a_ledger(disk)
    for count in range(6):
        (one if count % 2 else other).append(batch(3 + count, 1))
    disk.power_cut(random.Random(1))
    again = a_ledger(disk)
    again.load()
    assert leaves_on(disk, 9) == [leaf for leaf, _ in batch(0, 9)]


def test_a_round_of_the_journal_ends_and_another_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telehealth.audit.journal.ROUND", 1500)
    for at in range(1, 60):
        disk = copy.deepcopy(STARTS[5])
        ledger = a_ledger(disk)
        ledger.load()
        disk.fail(at, MOMENTS[at % 3])
        promised = 5
        try:
            for _ in range(12):
                ledger.append(batch(promised, 2))
                promised += 2
        except OSError:
            pass
        disk.power_cut(random.Random(at))
        again = a_ledger(disk)
        again.load()
        assert again.head.size in (promised, promised + 2)
        assert leaves_on(disk, again.head.size) == [leaf for leaf, _ in batch(0, again.head.size)]


def test_an_unsigned_tail_is_cut_and_never_adopted() -> None:
    disk = filled(3)
    disk.now[Layout(FOLDER).leaves_of(0)] += leaf_record(b"forged") + b"\x00\x09torn"
    ledger = a_ledger(disk)
    ledger.load()
    assert (ledger.head.size, ledger.cut_back) == (3, 1)
    assert leaves_on(disk, 9) == [leaf for leaf, _ in batch(0, 3)]


def test_an_old_head_before_many_leaves_is_not_taken_for_a_crash() -> None:
    disk = filled(3)
    head, journal = disk.now[FOLDER / "checkpoint"], disk.now[FOLDER / "journal"]
    a_ledger(disk).append(batch(3, MAX_BATCH + 1))
    disk.now[FOLDER / "checkpoint"] = head
    whole = copy.deepcopy(disk)
    a_ledger(whole).load()  # the journal knows better
    assert len(leaves_on(whole, 3 + MAX_BATCH + 1)) == 3 + MAX_BATCH + 1
    disk.now[FOLDER / "journal"] = journal
    with pytest.raises(LogMismatch, match="head_behind"):
        a_ledger(disk).load()


def test_a_full_batch_that_was_journalled_and_signed_is_finished() -> None:
    disk = filled(3)
    ledger = a_ledger(disk)
    ledger.load()
    disk.fail(3, "before")  # journal, sync, then the leaves
    with pytest.raises(OSError):
        ledger.append(batch(3, 2))
    disk.power_cut(random.Random(1))
    again = a_ledger(disk)
    again.load()
    assert (again.head.size, again.cut_back) == (5, 0)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("at", range(1, 26, 2))
async def test_a_killed_server_loses_no_acknowledged_entry_and_doubles_none(
    at: int, moment: Moment, tmp_path: Path, clock: MovedClock
) -> None:
    disk = SimulatedDisk()

    async def opened(alarms: list[str]) -> AuditLog:
        return await AuditLog.open(
            FOLDER,
            signing_key=SEED,
            pseudonym_key=PSEUDONYMS,
            detail_keys=FileDetailKeys(tmp_path, WRAPPING),
            clock=clock,
            origin=ORIGIN,
            files=disk,
            limits=QUICK,
            on_alarm=alarms.append,
        )

    await (await opened([])).close()
    disk.fail(at, moment)
    acknowledged: list[int] = []
    alarms: list[str] = []
    try:
        log = await opened(alarms)
    except OSError:
        disk.power_cut(random.Random(at))
        log = await opened(alarms)
    for number in range(4):
        try:
            await log.enter(an_entry(number))
            acknowledged.append(number)
        except LogUnavailable:
            pass
        lost = alarms.count("audit.lost")
        await log.enter_closing(an_entry(100 + number, action=Action.LEAVE))
        if alarms.count("audit.lost") == lost:
            acknowledged.append(100 + number)
    await log.close()
    disk.power_cut(random.Random(at))
    log = await opened(alarms)
    while log.waiting:
        await asyncio.sleep(0.001)
    found = [stored.detail["number"] for stored in await log.entries() if "number" in stored.detail]
    await log.close()
    assert set(acknowledged) <= set(found)
    assert len(found) == len(set(found))
    verdict = verify_folder(FOLDER, PUBLIC, ORIGIN, files=disk, pause=lambda _: None)
    assert verdict.problems == ()
