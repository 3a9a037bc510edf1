"""A vault's folder is known by its marker: what is not it is neither read nor written, however empty it looks."""

import asyncio
from pathlib import Path

import pytest

from recordings.vault.disk import DiskVault
from recordings.vault.home import MARKER, Home, VaultAway
from recordings.vault.store import VaultMissing
from telehealth.ids import Kind, new_id


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "keys").mkdir()
    return Home(tmp_path / "vault", tmp_path / "keys" / MARKER)


def test_a_new_folder_is_marked_once_and_stays_the_same(home: Home, tmp_path: Path) -> None:
    assert home.settle([])
    first = (tmp_path / "vault" / MARKER).read_bytes()
    assert home.settle(["fil_x.capture"])
    assert (tmp_path / "vault" / MARKER).read_bytes() == first == (tmp_path / "keys" / MARKER).read_bytes()
    assert len(first) == 32
    home.check()


def test_a_folder_that_was_never_marked_is_known_by_its_files(home: Home, tmp_path: Path) -> None:
    assert not home.settle(["fil_x.sealed", "fil_y.sealed"]), "it should hold something and holds nothing"
    assert not (tmp_path / "vault").exists()
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault" / "fil_y.sealed").touch()
    assert home.settle(["fil_x.sealed", "fil_y.sealed"])


def test_keys_restored_without_the_id_take_the_folders_own(home: Home, tmp_path: Path) -> None:
    assert home.settle([])
    before = (tmp_path / "vault" / MARKER).read_bytes()
    (tmp_path / "keys" / MARKER).unlink()
    assert home.settle([])
    assert (tmp_path / "keys" / MARKER).read_bytes() == before


@pytest.mark.parametrize("content", [None, b"", b"0" * 32, b"\xff" * 32])
def test_a_folder_without_the_marker_or_with_another_is_away(home: Home, tmp_path: Path, content: bytes | None) -> None:
    assert home.settle([])
    (tmp_path / "vault" / MARKER).unlink()
    if content is not None:
        (tmp_path / "vault" / MARKER).write_bytes(content)
    assert not home.settle([])
    with pytest.raises(VaultAway):
        home.check()


def test_a_folder_that_takes_the_others_place_is_marked_like_it(home: Home, tmp_path: Path) -> None:
    assert home.settle([])
    (tmp_path / "vault" / MARKER).unlink()
    home.move_in()
    home.check()


async def test_a_vault_that_is_away_does_nothing_and_works_once_it_is_back(home: Home, tmp_path: Path) -> None:
    assert await asyncio.to_thread(home.settle, [])
    vault = DiskVault(tmp_path / "vault", home=home)
    name = f"{new_id(Kind.FILE)}.capture"
    await (await vault.create(name)).close()
    assert await vault.list() == [name], "the marker is none of the files"
    (tmp_path / "vault").rename(tmp_path / "unmounted")
    (tmp_path / "vault").mkdir()
    for begins in (vault.free_bytes, lambda: vault.create(name)):  # whoever begins something comes by one of these
        vault._is_ready = True
        with pytest.raises(VaultAway):
            await begins()
    for act in (vault.create(name), vault.read(name, 0, 1), vault.size(name), vault.list(), vault.delete(name)):
        with pytest.raises(VaultAway):
            await act
    assert list((tmp_path / "vault").iterdir()) == []
    (tmp_path / "vault").rmdir()
    (tmp_path / "unmounted").rename(tmp_path / "vault")
    assert await vault.list() == [name]
    await vault.close()


@pytest.mark.parametrize("leaves_a_folder", [True, False])
async def test_a_file_of_a_vault_that_went_away_while_it_ran_is_neither_gone_nor_deleted(
    home: Home, tmp_path: Path, leaves_a_folder: bool
) -> None:
    assert await asyncio.to_thread(home.settle, [])
    vault = DiskVault(tmp_path / "vault", home=home)
    name = f"{new_id(Kind.FILE)}.sealed"
    await (await vault.create(name)).close()
    await vault.delete(f"{new_id(Kind.FILE)}.sealing")
    with pytest.raises(VaultMissing):
        await vault.size(f"{new_id(Kind.FILE)}.sealed")
    (tmp_path / "vault").rename(tmp_path / "unmounted")
    if leaves_a_folder:
        (tmp_path / "vault").mkdir()
    for act in (vault.delete(name), vault.read(name, 0, 1), vault.reader(name), vault.size(name), vault.list()):
        with pytest.raises(VaultAway):
            await act
    assert (tmp_path / "vault").exists() == leaves_a_folder
    await vault.close()
