"""The power is cut: what was not synced is dropped, torn or comes in another order, and no promise is broken.

`make crash` does the same 500 times. Seed and number of whatever breaks stand in the failure.
"""

import os
import random
from pathlib import Path

import pytest

from benchmarks.powercut import Tally, cut_all, power, story
from tests.faults.disk import Change, Kind
from tests.faults.power_checks import LOST_AT_MOST
from tests.faults.powercut import Platter

SEED = int(os.environ.get("SEED", "") or 7)


def test_a_power_cut_anywhere_loses_little_and_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    tally = power(tmp_path, 15, SEED, 2.0)
    all_is_kept(tally)
    assert len(tally.cuts) == 15
    assert sum(map(bool, tally.unsafe)) > 7, "there was hardly anything to lose"


@pytest.mark.slow
def test_five_hundred_power_cuts_break_no_promise(tmp_path: Path) -> None:
    all_is_kept(power(tmp_path, 500, SEED, 12.0))


def test_a_build_that_does_not_sync_fails_the_same_checks(tmp_path: Path) -> None:
    recorded = story(tmp_path, 3 * LOST_AT_MOST, main="tests.faults.unsynced_build", name="first")
    tally = cut_all(recorded, tmp_path, 9, SEED)
    assert any("lost" in fault or "nothing of" in fault or "acknowledged" in fault for fault in tally.faults)


def all_is_kept(tally: Tally) -> None:
    assert not tally.faults, "\n".join(tally.faults)
    lost = [seconds for cut in tally.cuts for seconds in cut.lost]
    assert lost
    assert max(lost) <= LOST_AT_MOST


class Bench:
    """Changes of a disk, made by hand."""

    def __init__(self, folder: Path) -> None:
        self.rested, self.root = folder / "rested", folder / "root"
        self.rested.mkdir()
        (self.rested / "old").write_bytes(b"o" * 1024)
        self.made: list[Change] = []

    def change(self, kind: Kind, handle: int = 0, offset: int = 0, first: str = "", second: bytes = b"") -> None:
        path = str(self.root / first) if first else ""
        moved = str(self.root / second.decode()).encode() if kind is Kind.RENAME else second
        self.made.append(Change(len(self.made), kind, handle, offset, path, moved))

    def left(self, tmp_path: Path, cuts: int = 60) -> list[dict[str, bytes]]:
        """What is there after each of so many cuts."""
        disk, found = Platter(self.rested, self.root), []
        for change in self.made:
            disk.feed(change)
        for number in range(cuts):
            into = tmp_path / f"cut-{number}"
            disk.cut(random.Random(number), into)
            found.append({path.name: path.read_bytes() for path in into.iterdir()})
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_what_is_synced_with_its_folder_is_there_after_every_cut(bench: Bench, tmp_path: Path) -> None:
    bench.change(Kind.OPEN, 1, 1, "new")
    bench.change(Kind.WRITE, 1, 0, second=b"n" * 700)
    bench.change(Kind.SYNC, 1)
    bench.change(Kind.OPEN, 2, 4, ".")
    bench.made[-1] = Change(9, Kind.OPEN, 2, 4, str(bench.root), b"")
    bench.change(Kind.SYNC, 2)
    assert all(one == {"old": b"o" * 1024, "new": b"n" * 700} for one in bench.left(tmp_path))


def test_what_is_not_synced_is_there_missing_torn_or_without_its_name(bench: Bench, tmp_path: Path) -> None:
    bench.change(Kind.OPEN, 1, 1, "new")
    bench.change(Kind.WRITE, 1, 0, second=b"n" * 700)
    bench.change(Kind.WRITE, 1, 700, second=b"m" * 300)
    bench.change(Kind.OPEN, 2, 0, "old")
    bench.change(Kind.WRITE, 2, 0, second=b"p" * 1024)
    left = bench.left(tmp_path)
    assert any("new" not in one for one in left)
    fresh = [one["new"] for one in left if "new" in one]
    assert b"n" * 700 + b"m" * 300 in fresh
    assert b"" in fresh
    assert bytes(700) + b"m" * 300 in fresh, "the later write alone"
    assert any(0 < len(one) < 1000 for one in fresh)
    old = {one["old"] for one in left}
    whole = {b"o" * 1024, b"p" * 1024, b"p" * 512 + b"o" * 512, b"o" * 512 + b"p" * 512}
    assert old == whole, "a sector is old or new"


def test_a_rename_moves_its_name_or_does_not(bench: Bench, tmp_path: Path) -> None:
    bench.change(Kind.RENAME, first="old", second=b"moved")
    left = bench.left(tmp_path)
    assert {frozenset(one) for one in left} == {frozenset({"old"}), frozenset({"moved"})}
