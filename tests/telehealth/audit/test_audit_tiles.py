"""Tiles are what C2SP says, follow the log, survive crashes, and give away nothing and no one."""

import asyncio
import copy
import random
from hashlib import sha256
from pathlib import Path

import pytest
from audit_samples import ORIGIN, PUBLIC, SEED, OpenLog, an_entry
from simulated_disk import SimulatedDisk

from telehealth.audit.anchors import Anchors
from telehealth.audit.faults import LogMismatch
from telehealth.audit.layout import Layout, leaf_record
from telehealth.audit.ledger import Ledger
from telehealth.audit.note import Signer
from telehealth.audit.proofs import inclusion_at
from telehealth.audit.tiles import TileFolder, TileName, edge_of, parse_tile, verify_tiles
from telehealth.audit.verify import verify_folder

FOLDER = Path("/log")
LAYOUT = Layout(FOLDER)
SIZE = 256 * 257 + 9  # a whole tile of level 1, and one more tile begun on each level


def batch(first: int, count: int) -> list[tuple[bytes, bytes | None]]:
    return [(f'{{"number":{number},"sealed":null}}'.encode(), None) for number in range(first, first + count)]


def grown(disk: SimulatedDisk, count: int) -> Ledger:
    ledger = Ledger(LAYOUT, disk, Signer(ORIGIN, SEED))
    ledger.load()
    if count:
        ledger.append(batch(ledger.head.size, count))
    return ledger


def published(disk: SimulatedDisk, ledger: Ledger) -> TileFolder:
    tiles = TileFolder(LAYOUT, disk)
    tiles.load(ledger.head, ledger.keys)
    tiles.publish(ledger.signed.note, ledger.head)
    return tiles


@pytest.fixture(scope="module")
def large() -> SimulatedDisk:
    disk = SimulatedDisk()
    published(disk, grown(disk, SIZE))
    return disk


def test_paths_are_written_in_the_one_right_way() -> None:
    assert TileName(0, 1234067, 256).path == "tile/0/x001/x234/067"
    assert TileName(None, 7, 3).path == "tile/entries/007.p/3"
    for name in (TileName(0, 0, 256), TileName(5, 999, 1), TileName(None, 1000, 255), TileName(1, 10**9, 256)):
        assert parse_tile(name.path) == name
    for path in ("tile/0/7", "tile/0/0007", "tile/0/x000/007", "tile/9/007", "tile/0/007.p/256", "tile/0/../007", ""):
        with pytest.raises(ValueError, match="path"):
            parse_tile(path)


def test_tiles_hold_the_hashes_that_the_standard_names(large: SimulatedDisk) -> None:
    leaves = [leaf for leaf, _ in batch(0, SIZE)]
    hashes = [sha256(b"\0" + leaf).digest() for leaf in leaves]
    assert large.now[LAYOUT.tiles / "tile/0/003"] == b"".join(hashes[768:1024])
    assert large.now[LAYOUT.tiles / "tile/0/257.p/9"] == b"".join(hashes[-9:])
    assert large.now[LAYOUT.tiles / "tile/entries/257.p/9"] == b"".join(map(leaf_record, leaves[-9:]))
    first = hashes[:256]
    while len(first) > 1:
        first = [sha256(b"\1" + first[at] + first[at + 1]).digest() for at in range(0, len(first), 2)]
    assert large.now[LAYOUT.tiles / "tile/1/000"][:32] == first[0]
    assert len(large.now[LAYOUT.tiles / "tile/1/001.p/1"]) == 32
    assert len(large.now[LAYOUT.tiles / "tile/2/000.p/1"]) == 32
    assert large.now[LAYOUT.tiles / "checkpoint"] == large.now[LAYOUT.head]


def test_tiles_that_grew_step_by_step_equal_those_made_at_once(large: SimulatedDisk) -> None:
    disk, size, chance = SimulatedDisk(), 0, random.Random(5)
    tiles = TileFolder(LAYOUT, disk)
    ledger = grown(disk, 0)
    tiles.load(ledger.head, ledger.keys)
    while size < 2000:
        count = min(chance.randrange(1, 500), 2000 - size)
        ledger.append(batch(size, count))
        size += count
        tiles.publish(ledger.signed.note, ledger.head)
        if chance.random() < 0.3:
            tiles = TileFolder(LAYOUT, disk)
            assert tiles.load(ledger.head, ledger.keys) == size
    assert list(verify_tiles(LAYOUT, disk, size)) == []
    whole = [path for path in disk.now if path.is_relative_to(LAYOUT.tiles / "tile") and ".p" not in str(path)]
    assert whole
    assert all(disk.now[path] == large.now[path] for path in whole)
    assert not [path for path in disk.now if "/000.p/" in str(path) and "/0/" in str(path)]


@pytest.mark.parametrize("moment", ["before", "after", "torn"])
def test_a_crash_while_publishing_leaves_the_old_checkpoint_or_the_new_with_all_tiles(moment: str) -> None:
    start = SimulatedDisk()
    published(start, grown(start, 300))
    old = start.now[LAYOUT.tiles / "checkpoint"]
    for at in range(1, 40):
        disk = copy.deepcopy(start)
        ledger = grown(disk, 400)
        disk.fail(at, moment)  # type: ignore[arg-type]
        tiles = TileFolder(LAYOUT, disk)
        try:
            tiles.load(ledger.head, ledger.keys)
            tiles.publish(ledger.signed.note, ledger.head)
        except OSError:
            pass
        disk.power_cut(random.Random(at))
        seen = disk.now[LAYOUT.tiles / "checkpoint"]
        assert seen in (old, ledger.signed.note)
        grown(disk, 0)  # what the journal alone holds is put in place
        assert list(verify_tiles(LAYOUT, disk, 300 if seen == old else 700)) == []
        published(disk, grown(disk, 0))
        assert list(verify_tiles(LAYOUT, disk, 700)) == []


def test_tiles_of_another_history_stop_publishing_and_say_what_to_do() -> None:
    disk = SimulatedDisk()
    published(disk, grown(disk, 300))
    other = SimulatedDisk()
    ledger = Ledger(LAYOUT, other, Signer(ORIGIN, SEED))
    ledger.append([(b'{"another":1,"sealed":null}', None), *batch(1, 400)])
    other.now.update({path: content for path, content in disk.now.items() if path.is_relative_to(LAYOUT.tiles)})
    with pytest.raises(LogMismatch, match=r"tiles_disagree.*anchored"):
        published(other, ledger)


def test_a_changed_or_missing_tile_is_found() -> None:
    disk = SimulatedDisk()
    published(disk, grown(disk, 700))
    for name in ("tile/0/001", "tile/entries/002.p/188", "tile/1/000.p/2", "tile/0/002.p/188"):
        other = copy.deepcopy(disk)
        path = LAYOUT.tiles / name
        other.now[path] = bytes([other.now[path][0] ^ 1]) + other.now[path][1:]
        verdict = verify_folder(FOLDER, PUBLIC, ORIGIN, files=other, tiles=True)
        assert [problem.code for problem in verdict.problems] == ["tile_changed"], name
        del other.now[path]
        verdict = verify_folder(FOLDER, PUBLIC, ORIGIN, files=other, tiles=True)
        assert [problem.code for problem in verdict.problems] == ["tile_missing"], name
    assert verify_folder(FOLDER, PUBLIC, ORIGIN, files=disk, tiles=True).ok
    assert len(edge_of(700)) == 3


def proved(disk: SimulatedDisk, index: int) -> object:
    return inclusion_at(LAYOUT, disk, index, SIZE)


def test_a_proof_out_of_tiles_is_the_one_out_of_leaves_and_needs_few_hashes(large: SimulatedDisk) -> None:
    bare = copy.deepcopy(large)
    for path in [path for path in bare.now if LAYOUT.tiles in path.parents]:
        del bare.now[path]
    chance = random.Random(7)
    places = [0, 255, 256, 4095, 4096, 65_535, 65_536, 65_792, SIZE - 1, *(chance.randrange(SIZE) for _ in range(6))]
    for index in places:
        assert proved(large, index) == proved(bare, index)
    held = copy.deepcopy(large)
    del held.now[LAYOUT.leaves_of(3)]  # what the tiles hold needs no leaves: a proof in this segment asks none
    assert proved(held, 3 * 4096 + 77) == proved(large, 3 * 4096 + 77)


@pytest.mark.parametrize("tile", ["tile/0/005", "tile/1/000", "tile/entries/005"])
@pytest.mark.parametrize("harm", ["changed", "short", "missing"])
def test_a_harmed_tile_harms_no_proof(large: SimulatedDisk, tile: str, harm: str) -> None:
    index = 5 * 256 + 9
    right, harmed = proved(large, index), copy.deepcopy(large)
    path = LAYOUT.tiles / tile
    content = bytearray(harmed.now.pop(path))
    if harm == "changed":
        content[len(content) * 9 // 256 + 3] ^= 1
    if harm != "missing":
        harmed.now[path] = bytes(content[:-1] if harm == "short" else content)
    for other in (index, index ^ 1, 6 * 256, 0):
        assert proved(harmed, other) == proved(large, other)
    assert proved(harmed, index) == right


CANARY = ("Zebedee Quillfeather", "203.0.113.77", "pat_canary", "par_canary", "canary-browser", "+15550199")


@pytest.fixture
async def told(open_log: OpenLog, tmp_path: Path) -> Path:
    """A log with entries that carry a canary wherever one fits, its tiles published."""
    log = await open_log()
    from telehealth.audit.entry import Actor
    from telehealth.clock import SystemClock

    for number in range(300):
        actor = Actor("participant", id="par_canary", role="patient", address=CANARY[1], device=CANARY[4])
        await log.enter_closing(
            an_entry(
                number,
                actor=actor,
                patient="pat_canary",
                subject="par_canary",
                private={"name": CANARY[0], "contact": CANARY[5]},
            )
        )
    anchors = Anchors(log, [], SystemClock(), lambda _: None)
    await anchors.tick()
    return tmp_path / "audit"


async def test_no_patient_data_stands_in_leaves_or_tiles(told: Path) -> None:
    found = [path for path in told.rglob("*") if path.is_file()]
    assert any("tile/entries" in str(path) for path in found)
    assert any(path.suffix == ".leaves" for path in found)
    for path in found:
        content = path.read_bytes()
        for word in CANARY:
            assert word.encode() not in content, f"{word} in {path.name}"


async def test_forgetting_a_patient_leaves_every_proof_and_tile_valid(open_log: OpenLog, tmp_path: Path) -> None:
    from telehealth.audit.proofs import Proofs
    from telehealth.audit.tree import leaf_hash, verify_inclusion
    from telehealth.clock import SystemClock

    log = await open_log()
    for number in range(20):
        await log.enter(an_entry(number))
    anchors = Anchors(log, [], SystemClock(), lambda _: None)
    await anchors.tick()
    before = [await Proofs(log).inclusion(index, 20) for index in range(20)]
    assert await log.forget("pat_1")
    stored = await log.entries(limit=20)
    assert await log.open_private(stored[1]) is None
    assert await log.open_private(stored[0]) is not None
    after = [await Proofs(log).inclusion(index, 20) for index in range(20)]
    assert before == after
    assert all(verify_inclusion(leaf_hash(at.leaf), at.index, 20, at.proof, at.root) for at in after)
    assert (await asyncio.to_thread(verify_folder, tmp_path / "audit", PUBLIC, ORIGIN, tiles=True)).ok
