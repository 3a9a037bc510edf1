"""Finding entries in a long log: by blocks that cannot lie, with memory that does not grow."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.audit.files import Disk
from telehealth.audit.layout import SEGMENT, Layout, leaf_record, leaf_records, leaf_starts
from telehealth.audit.leaf import Pseudonyms, Stamped, encode
from telehealth.audit.reading import EntryFilter, Reader
from telehealth.secret import Secret

BEGIN = datetime(2026, 11, 22, 9, tzinfo=UTC)
SIZE = 2 * SEGMENT + 100
KEY = Secret(b"q" * 32)
RARE = {100, SEGMENT + 7, SIZE - 3}  # of one patient


class Counting(Disk):
    """Counts the segments that were read."""

    def __init__(self) -> None:
        self.read_leaves: list[str] = []
        self.octets = 0

    def read(self, path: Path, offset: int = 0, length: int = -1) -> bytes:
        if path.suffix == ".leaves":
            self.read_leaves.append(path.name)
        content = super().read(path, offset, length)
        self.octets += len(content) if path.suffix == ".leaves" else 0
        return content


def entry(number: int) -> Entry:
    return Entry(
        Action.JOIN if number % 2 else Action.ADMIT,
        Outcome.REFUSED if number % 1000 == 0 else Outcome.DONE,
        Actor("token" if number == SEGMENT + 9 else "user", f"usr_{number % 7}", "clinician"),
        visit=f"vis_{number // 10}",
        recording=f"rec_{number // 10}" if number % 3 else None,
        patient="pat_rare" if number in RARE else f"pat_{number % 50}",
        subject=f"par_{number}",
        detail={"at": "never"},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("log")
    layout, names = Layout(made), Pseudonyms(KEY)
    layout.leaves.mkdir()
    for first in range(0, SIZE, SEGMENT):
        stamps = [
            Stamped(entry(number), BEGIN + timedelta(seconds=number), f"{number:032x}")
            for number in range(first, min(SIZE, first + SEGMENT))
        ]
        records = [leaf_record(encode(stamped, names, None)) for stamped in stamps]
        layout.leaves_of(first // SEGMENT).write_bytes(b"".join(records))
    return made


@pytest.fixture
def disk(folder: Path) -> Counting:
    (folder / "index").unlink(missing_ok=True)
    return Counting()


@pytest.fixture
def reader(folder: Path, disk: Counting) -> Reader:
    return Reader(Layout(folder), disk, Pseudonyms(KEY))


def indexes(reader: Reader, only: EntryFilter, *, newest_first: bool = False, after: int = -1) -> list[int]:
    return [stored.index for stored in reader.find(SIZE, after, 1000, newest_first, only)]


def caught_up(reader: Reader, disk: Counting) -> None:
    for _ in range(3):
        reader.catch_up(SIZE)
    disk.read_leaves.clear()


def test_blocks_change_nothing_about_what_is_found(reader: Reader, disk: Counting) -> None:
    chance = random.Random(7)
    filters = [
        EntryFilter(patient="pat_rare"),
        EntryFilter(visit="vis_500"),
        EntryFilter(actor="usr_3", action=Action.ADMIT, outcome=Outcome.REFUSED),
        EntryFilter(kind="token"),
        EntryFilter(outcome=Outcome.REFUSED),
        EntryFilter(outcome=Outcome.REFUSED, since=BEGIN + timedelta(seconds=1001)),
        EntryFilter(outcome=Outcome.REFUSED, patient="pat_0"),
        EntryFilter(about=frozenset({"vis_3", "rec_700"})),
        EntryFilter(subject="par_4711"),
        EntryFilter(since=BEGIN + timedelta(seconds=4000, milliseconds=1), until=BEGIN + timedelta(seconds=4100)),
        EntryFilter(visit="vis_none"),
    ]
    plain = [(indexes(reader, only), indexes(reader, only, newest_first=True)) for only in filters]
    caught_up(reader, disk)
    assert [(indexes(reader, only), indexes(reader, only, newest_first=True)) for only in filters] == plain
    assert plain[0] == (sorted(RARE), sorted(RARE, reverse=True))
    assert plain[3][0] == [SEGMENT + 9]
    assert plain[4][0] == list(range(0, SIZE, 1000))
    assert plain[5][0] == list(range(2000, SIZE, 1000))
    assert plain[6][0] == list(range(0, SIZE, 1000))
    assert plain[7][0] == [*range(30, 40), *[one for one in range(7000, 7010) if one % 3]]
    assert plain[9][0] == list(range(4001, 4101))
    assert plain[10] == ([], [])
    for only in filters:
        after = chance.randrange(SIZE)
        assert indexes(reader, only, after=after) == [one for one in indexes(reader, only) if one > after]


def test_only_segments_that_may_hold_it_are_read(reader: Reader, disk: Counting) -> None:
    caught_up(reader, disk)
    assert len(indexes(reader, EntryFilter(visit="vis_5"))) == 10
    assert disk.read_leaves == ["000000000000.leaves", "000000008192.leaves"]  # the last one is not whole
    disk.read_leaves.clear()
    indexes(reader, EntryFilter(until=BEGIN + timedelta(seconds=5)))
    assert disk.read_leaves == ["000000000000.leaves", "000000008192.leaves"]


@pytest.mark.parametrize("only", [EntryFilter(outcome=Outcome.REFUSED), EntryFilter(kind="token")])
def test_rare_outcomes_and_kinds_are_read_without_their_segments(
    only: EntryFilter, folder: Path, reader: Reader, disk: Counting
) -> None:
    found = indexes(reader, only)
    caught_up(reader, disk)
    disk.octets = 0
    assert indexes(reader, only) == found
    not_whole = Layout(folder).leaves_of(2).stat().st_size
    assert disk.octets < not_whole + 10 * 8194


def test_a_reader_makes_the_blocks_that_are_missing(reader: Reader, disk: Counting) -> None:
    assert len(indexes(reader, EntryFilter(visit="vis_5"))) == 10
    disk.read_leaves.clear()
    assert indexes(reader, EntryFilter(visit="vis_none")) == []
    assert disk.read_leaves == ["000000008192.leaves"]


def test_a_changed_block_hides_nothing(folder: Path, reader: Reader, disk: Counting) -> None:
    caught_up(reader, disk)
    file = folder / "index"
    whole = file.read_bytes()
    block = len(whole) // 2
    for forged in (
        bytes(len(whole)),
        whole[:24] + bytes(block - 24) + whole[block:],
        whole[block:] + whole[:block],
        whole[: block // 2],
        b"",
    ):
        file.write_bytes(forged)
        assert indexes(reader, EntryFilter(patient="pat_rare")) == sorted(RARE)
    file.unlink()
    assert indexes(reader, EntryFilter(patient="pat_rare")) == sorted(RARE)


def test_another_servers_block_is_not_believed(folder: Path, reader: Reader, disk: Counting) -> None:
    caught_up(reader, disk)
    other = Reader(Layout(folder), disk, Pseudonyms(Secret(b"r" * 32)))
    assert indexes(other, EntryFilter(visit="vis_5")) == list(range(50, 60))


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 700, 100_000])
def test_leaves_begin_where_they_are_said_to(folder: Path, cut: int) -> None:
    content = Layout(folder).leaves_of(0).read_bytes()
    content = content[: len(content) - cut] if cut else content
    leaves, _ = leaf_records(content, SEGMENT)
    starts = leaf_starts(content, SEGMENT)
    assert [content[one : two - 2] for one, two in pairwise(starts)] == leaves
    assert leaf_starts(content, 3) == starts[:4]
    assert leaf_starts(b"") == leaf_starts(b"\0\0") == [2]
