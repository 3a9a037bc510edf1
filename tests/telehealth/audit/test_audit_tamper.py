"""Whoever writes to the folder without the signing key is found out."""

import random
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from audit_samples import ORIGIN, PUBLIC, SEED
from simulated_disk import SimulatedDisk

from telehealth.audit.layout import SEGMENT, Layout, detail_record, detail_records, leaf_record, leaf_records
from telehealth.audit.ledger import Ledger
from telehealth.audit.note import Checkpoint, Signer
from telehealth.audit.verify import Verdict, verify_folder
from telehealth.secret import Secret

FOLDER = Path("/log")
LAYOUT = Layout(FOLDER)
SIZE = SEGMENT + 90
TAMPERINGS = 210


def a_batch(size: int) -> list[tuple[bytes, bytes | None]]:
    made: list[tuple[bytes, bytes | None]] = []
    for number in range(size):
        blob = f"sealed text {number}".encode() if number % 4 == 0 else None
        digest = f'"{sha256(blob).hexdigest()}"' if blob else "null"
        made.append((f'{{"number":{number},"sealed":{digest},"subject":null}}'.encode(), blob))
    return made


@pytest.fixture(scope="module")
def whole() -> SimulatedDisk:
    disk = SimulatedDisk()
    ledger = Ledger(LAYOUT, disk, Signer(ORIGIN, SEED))
    ledger.append(a_batch(SIZE))
    return disk


def copied(disk: SimulatedDisk) -> SimulatedDisk:
    made = SimulatedDisk()
    made.now = dict(disk.now)
    return made


def checked(disk: SimulatedDisk, at_least: Checkpoint | None = None) -> Verdict:
    return verify_folder(FOLDER, PUBLIC, ORIGIN, files=disk, at_least=at_least, pause=lambda _: None)


def codes(disk: SimulatedDisk, at_least: Checkpoint | None = None) -> set[str]:
    return {problem.code for problem in checked(disk, at_least).problems}


def some_file(disk: SimulatedDisk, chance: random.Random) -> Path:
    kept = [LAYOUT.leaves_of(0), LAYOUT.leaves_of(1), LAYOUT.details_of(0), LAYOUT.details_of(1), LAYOUT.head]
    return chance.choice([*kept, LAYOUT.subtrees])


def flip(disk: SimulatedDisk, chance: random.Random) -> None:
    path = some_file(disk, chance)
    content = bytearray(disk.now[path])
    content[chance.randrange(len(content))] ^= chance.randrange(1, 256)
    disk.now[path] = bytes(content)


def leaves_in(disk: SimulatedDisk, segment: int) -> list[bytes]:
    return leaf_records(disk.now[LAYOUT.leaves_of(segment)])[0]


def put(disk: SimulatedDisk, segment: int, leaves: list[bytes]) -> None:
    disk.now[LAYOUT.leaves_of(segment)] = b"".join(map(leaf_record, leaves))


def delete(disk: SimulatedDisk, chance: random.Random) -> None:
    segment = chance.randrange(2)
    leaves = leaves_in(disk, segment)
    del leaves[chance.randrange(len(leaves))]
    put(disk, segment, leaves)


def insert(disk: SimulatedDisk, chance: random.Random) -> None:
    segment = chance.randrange(2)
    leaves = leaves_in(disk, segment)
    leaves.insert(chance.randrange(len(leaves) + 1), chance.choice([b"{}", leaves[0]]))
    put(disk, segment, leaves)


def swap(disk: SimulatedDisk, chance: random.Random) -> None:
    segment = chance.randrange(2)
    leaves = leaves_in(disk, segment)
    one, other = chance.sample(range(len(leaves)), 2)
    leaves[one], leaves[other] = leaves[other], leaves[one]
    put(disk, segment, leaves)


def cut(disk: SimulatedDisk, chance: random.Random) -> None:
    path = chance.choice([LAYOUT.leaves_of(0), LAYOUT.leaves_of(1), LAYOUT.details_of(0), LAYOUT.details_of(1)])
    disk.now[path] = disk.now[path][: chance.randrange(len(disk.now[path]))]


def edit_detail(disk: SimulatedDisk, chance: random.Random) -> None:
    path = LAYOUT.details_of(chance.randrange(2))
    records = [(index, blob) for index, blob, _ in detail_records(disk.now[path])]
    at = chance.randrange(len(records))
    match chance.randrange(3):
        case 0:
            records[at] = (records[at][0], b"another text")
        case 1:
            del records[at]
        case _:
            records.insert(at + 1, (records[at][0] + 1, b"one more"))
    disk.now[path] = b"".join(detail_record(index, blob) for index, blob in records)


def remove_file(disk: SimulatedDisk, chance: random.Random) -> None:
    del disk.now[some_file(disk, chance)]


def test_an_untouched_log_is_sound(whole: SimulatedDisk) -> None:
    verdict = checked(whole)
    assert verdict.ok
    assert verdict.size == SIZE


@pytest.mark.parametrize("tamper", [flip, delete, insert, swap, cut, edit_detail, remove_file])
def test_every_tampering_is_found(whole: SimulatedDisk, tamper: Callable[[SimulatedDisk, random.Random], None]) -> None:
    missed = []
    for seed in range(TAMPERINGS // 7):
        disk = copied(whole)
        tamper(disk, random.Random(seed))
        if disk.now != whole.now and checked(disk).ok:
            missed.append(seed)
    assert missed == []


def test_the_place_of_a_change_is_named(whole: SimulatedDisk) -> None:
    disk = copied(whole)
    path = LAYOUT.leaves_of(0)
    disk.now[path] = disk.now[path].replace(b'"number":77,', b'"number":78,')
    assert codes(disk) == {"root", "segment_changed"}
    assert {problem.index for problem in checked(disk).problems} == {0}
    disk = copied(whole)
    disk.now[LAYOUT.leaves_of(1)] = disk.now[LAYOUT.leaves_of(1)][:-1]
    assert {(problem.index, problem.code) for problem in checked(disk).problems} >= {(SIZE - 1, "cut")}
    disk = copied(whole)
    disk.now[LAYOUT.details_of(0)] = disk.now[LAYOUT.details_of(0)].replace(b"sealed text 8", b"sealed text 9", 1)
    assert [(problem.index, problem.code) for problem in checked(disk).problems] == [(8, "detail_changed")]


def test_a_head_by_another_key_or_none_is_named(whole: SimulatedDisk) -> None:
    disk = copied(whole)
    disk.now[LAYOUT.head] = Signer(ORIGIN, Secret(b"x" * 32)).checkpoint(SIZE, bytes(32))
    assert codes(disk) == {"head_not_ours"}
    del disk.now[LAYOUT.head]
    assert codes(disk) == {"head_missing"}


def test_an_unsigned_tail_is_named(whole: SimulatedDisk) -> None:
    disk = copied(whole)
    disk.now[LAYOUT.leaves_of(1)] += leaf_record(b"{}")
    assert codes(disk) == {"unsigned_tail"}
    disk = copied(whole)
    disk.now[LAYOUT.leaves_of(2)] = leaf_record(b"{}")
    assert codes(disk) == {"unsigned_tail"}


def test_a_running_servers_tail_is_no_problem(whole: SimulatedDisk) -> None:
    disk = copied(whole)
    disk.now[LAYOUT.leaves_of(1)] += leaf_record(b"in flight")

    def server_signs(_: float) -> None:
        disk.now[LAYOUT.head] = Signer(ORIGIN, SEED).checkpoint(SIZE + 1, bytes(32))

    assert verify_folder(FOLDER, PUBLIC, ORIGIN, files=disk, pause=server_signs).ok


def test_with_the_signing_key_only_a_head_kept_elsewhere_tells(whole: SimulatedDisk) -> None:
    kept = Ledger(LAYOUT, copied(whole), Signer(ORIGIN, SEED))
    kept.load()
    forged = SimulatedDisk()
    ledger = Ledger(LAYOUT, forged, Signer(ORIGIN, SEED))
    ledger.append([(b'{"another":1,"sealed":null}', None), *a_batch(SIZE)])
    assert codes(forged) == set()
    assert codes(forged, kept.head) == {"not_the_anchored_log"}
    short = SimulatedDisk()
    Ledger(LAYOUT, short, Signer(ORIGIN, SEED)).append(a_batch(10))
    assert codes(short, kept.head) == {"behind_anchor"}
    assert codes(whole, kept.head) == set()
