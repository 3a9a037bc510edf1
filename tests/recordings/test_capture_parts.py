"""The small pure parts: canonical JSON, the frame log, timelines, the manifest, the vault."""

import dataclasses
import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recording_clips import RED, pictures
from recording_partners import FaultyFiles

from recordings import framelog
from recordings.canonical import canonical, parse_canonical
from recordings.envelope import MalformedEnvelope
from recordings.framelog import LogMalformed, What, records
from recordings.manifest import Gap, Manifest, Person
from recordings.timeline import MOST_SPREAD, Report, leg_clock
from recordings.vault.disk import DiskVault
from recordings.vault.store import VaultFailed, VaultFrozen, VaultFull, VaultMissing
from recordings.webm import picture_size
from telehealth.ids import Kind, new_id

MANIFEST = Manifest(
    version=1, tool="t", recording_id="rec_x", visit_id="vis_x", started_at="s", ended_at="e", duration_ms=5,
    reason="asked", interrupted=False, participants=(Person("par_x", "patient"),), consents=(), tracks=(),
    gaps=(Gap("par_x", 0, 5, "paused"),), clocks=(), sources=(),
)  # fmt: skip

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), values))
def test_canonical_json_is_one_spelling_and_comes_back(value: dict[str, object]) -> None:
    data = canonical(value)  # type: ignore[arg-type]
    assert canonical(parse_canonical(data)) == data


@pytest.mark.parametrize(
    "data",
    [b'{"a": 1}', b'{"b":1,"a":1}', b'{"a":1,"a":1}', b'{"a":1.5}', b'{"a":NaN}', b"[]", b"\xff", b'{"\\u0061":1}'],
)
def test_other_spellings_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse_canonical(data)


def test_a_float_has_no_canonical_form() -> None:
    for value in (1.5, {"a": [2.5]}, {1: 2}, b"x"):
        with pytest.raises(TypeError):
            canonical(value)  # type: ignore[arg-type]


@given(
    st.lists(
        st.tuples(st.sampled_from(["audio", "video"]), st.binary(max_size=40), st.integers(0, 2**60), st.booleans())
    )
)
def test_frames_come_back_from_the_log(frames: list[tuple[str, bytes, int, bool]]) -> None:
    segment = b"".join(framelog.frame(kind, data, stamp, key, 1.5) for kind, data, stamp, key in frames)  # type: ignore[arg-type]
    read = [(framelog.KIND[r.what], r.payload, r.timestamp, r.key) for r in records(segment)]
    assert read == frames
    if segment:
        with pytest.raises(LogMalformed):
            list(records(segment[:-1] if frames[-1][1] else segment[:-2]))


def test_records_of_no_known_kind_are_refused() -> None:
    with pytest.raises(LogMalformed):
        list(records(framelog.RECORD.pack(99, 0, 0, 0, 0)))
    (note,) = records(framelog.note({"note": "gap"}, 2.0))
    assert (note.what, note.arrived, note.note) == (What.NOTE, 2_000_000, {"note": "gap"})


def test_a_legs_clock_follows_drift_and_ignores_the_senders_wall_clock() -> None:
    reports = [
        Report("audio", t * 48_005, (4_000_000_000 + t) << 32, 7_000_000 + t * 1_000_000 + 900 * t) for t in range(5)
    ]
    clock = leg_clock(reports, {"audio": (0, 7_010_000)})
    assert clock.method == "sender_reports"
    assert abs(clock.kinds["audio"].at(4 * 48_005 + 24_000) - (7_000_000 + 4_500_000)) < 2_000


def test_reports_that_contradict_each_other_or_the_frames_are_not_followed() -> None:
    good = Report("audio", 0, 100 << 32, 1_000_000)
    stepped = Report("audio", 48_000, 200 << 32, 2_000_000)
    assert leg_clock([good, stepped], {"audio": (0, 1_000_000)}).method == "arrival"
    wrong = leg_clock([good], {"audio": (48_000 * 60, 1_000_000)})
    assert (wrong.method, wrong.kinds["audio"].at(48_000 * 60)) == ("arrival", 1_000_000)
    assert leg_clock([], {"video": (90_000, 5)}).kinds["video"].at(180_000) == 1_000_005
    assert MOST_SPREAD == 2_000_000


def test_a_kind_without_reports_is_tied_by_arrival() -> None:
    clock = leg_clock([Report("audio", 0, 100 << 32, 1_000_000)], {"audio": (0, 1_000_000), "video": (9, 1_030_000)})
    assert clock.kinds["video"].at(9) == 1_030_000


def test_the_picture_size_is_read_from_key_frames_alone() -> None:
    packets = pictures(((RED, 3),))
    assert picture_size(packets[0][0]) == (160, 120)
    assert picture_size(packets[1][0]) is None
    assert picture_size(b"\x00" * 12) is None
    assert picture_size(b"") is None


def test_a_manifest_comes_back_and_nothing_else_passes_for_one() -> None:
    data = MANIFEST.encode()
    assert Manifest.parse(data) == MANIFEST
    for other in (
        data.replace(b'"asked"', b"5"),
        data.replace(b'"version":1', b'"version":2'),
        data.replace(b'"interrupted":false', b'"interrupted":0'),
        data.replace(b'"tool":"t"', b'"tool":"t","trap":1'),
        data.replace(b'"duration_ms":5', b'"duration_ms":true'),
        b"{}",
    ):
        with pytest.raises(MalformedEnvelope):
            Manifest.parse(other)
    assert dataclasses.replace(MANIFEST, reason="x").encode() != data


async def test_the_disk_keeps_reads_renames_and_forgets(tmp_path: Path) -> None:
    vault = DiskVault(tmp_path / "vault")
    file = new_id(Kind.FILE)
    writer = await vault.create(f"{file}.sealing")
    await writer.append(b"0123")
    await writer.append(b"456789")
    await writer.sync()
    await writer.close()
    await writer.close()
    await vault.rename(f"{file}.sealing", f"{file}.sealed")
    assert await vault.list() == [f"{file}.sealed"]
    assert await vault.size(f"{file}.sealed") == 10
    assert await vault.read(f"{file}.sealed", 3, 4) == b"3456"
    assert await vault.read(f"{file}.sealed", 8, 100) == b"89"
    with pytest.raises(VaultFailed):
        await vault.create(f"{file}.sealed")
    await vault.delete(f"{file}.sealed")
    await vault.delete(f"{file}.sealed")
    with pytest.raises(VaultMissing):
        await vault.read(f"{file}.sealed", 0, 1)
    with pytest.raises(VaultFailed):
        await writer.append(b"more")
    assert await vault.free_bytes() > 0
    assert (tmp_path / "vault").stat().st_mode & 0o777 == 0o700
    await vault.close()


@pytest.mark.parametrize("name", ["../secret.sealed", "fil_x.sealed", "fil_" + "a" * 26 + ".txt", "Jane Doe.sealed"])
async def test_only_ids_name_files(tmp_path: Path, name: str) -> None:
    vault = DiskVault(tmp_path)
    with pytest.raises(ValueError):
        await vault.create(name)
    await vault.close()


@pytest.mark.parametrize(
    ("fault", "refusal"), [(errno.ENOSPC, VaultFull), (errno.EDQUOT, VaultFull), (errno.EIO, VaultFailed)]
)
@pytest.mark.parametrize("operation", ["write", "fsync"])
async def test_a_writer_is_dead_after_its_first_fault(
    tmp_path: Path, operation: str, fault: int, refusal: type[Exception]
) -> None:
    vault = DiskVault(tmp_path, files=FaultyFiles(operation, 1, fault))
    writer = await vault.create(f"{new_id(Kind.FILE)}.capture")
    with pytest.raises(refusal):
        await _append_and_sync(writer)
    for call in (writer.append(b"again"), writer.sync()):
        with pytest.raises(VaultFailed):
            await call
    await writer.close()
    await vault.close()


async def _append_and_sync(writer: object) -> None:
    await writer.append(b"some bytes")  # type: ignore[attr-defined]
    await writer.sync()  # type: ignore[attr-defined]


async def test_a_frozen_writer_writes_nothing_more(tmp_path: Path) -> None:
    vault = DiskVault(tmp_path)
    name = f"{new_id(Kind.FILE)}.capture"
    writer = await vault.create(name)
    await writer.append(b"before")
    writer.freeze()
    with pytest.raises(VaultFrozen):
        await writer.append(b"after")
    await writer.close()
    assert await vault.read(name, 0, 100) == b"before"
    await vault.close()
