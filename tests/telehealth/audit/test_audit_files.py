"""One contract for the real disk and the simulated one."""

from pathlib import Path

import pytest
from simulated_disk import SimulatedDisk

from telehealth.audit.files import Disk, Files


@pytest.fixture(params=[Disk, SimulatedDisk])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    made: Files = request.param()
    made.folder(tmp_path / "a")
    return made


def test_writing_at_an_offset_keeps_the_rest(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "a" / "file"
    files.write_at(path, 0, b"abcdef")
    files.write_at(path, 2, b"XY")
    files.write_at(path, 8, b"z")
    files.sync(path)
    assert files.read(path) == b"abXYef\0\0z"
    assert files.read(path, 2, 3) == b"XYe"
    assert files.read(path, 50) == b""
    assert files.size(path) == 9


def test_replacing_is_whole(files: Files, tmp_path: Path) -> None:
    old, new = tmp_path / "a" / "old", tmp_path / "a" / "new"
    files.write_new(old, b"longer than the new one")
    files.write_new(new, b"1")
    files.write_new(new, b"2")
    files.replace(new, old)
    assert files.read(old) == b"2"
    assert files.names(tmp_path / "a") == ["old"]


def test_cutting_and_removing(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "a" / "file"
    files.write_at(path, 0, b"abcdef")
    files.cut(path, 2)
    assert files.read(path) == b"ab"
    files.remove(path)
    for asking in (files.read, files.size):
        with pytest.raises(FileNotFoundError):
            asking(path)


def test_reserving_keeps_what_is_there(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "a" / "file"
    files.reserve(path, 4)
    files.write_at(path, 0, b"ab")
    files.reserve(path, 8)
    assert files.read(path) == b"ab".ljust(8, b"\0")


def test_a_lock_keeps_others_out_until_it_is_let_go(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "a" / "lock"
    with files.locked(path), pytest.raises(OSError), files.locked(path, wait=False):
        raise AssertionError("entered")
    with files.locked(path, wait=False):
        pass
