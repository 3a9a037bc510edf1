"""The file provider: keys that bind, keys that end, files nobody else reads."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from telehealth.keys.file import FileProvider, prepare_root
from telehealth.keys.provider import KeyDestroyed, KeyServiceUnavailable, KeysExposed, UnwrapFailed, WrongRoot
from telehealth.secret import Secret

from .conftest import Plug, Power


@pytest.fixture
async def provider(tmp_path: Path) -> FileProvider:
    made = FileProvider(tmp_path / "keys", Secret(bytes(range(32))))
    await made.start()
    return made


async def test_what_was_wrapped_opens_for_the_same_key_and_context_alone(provider: FileProvider) -> None:
    await provider.create("wrapping-1")
    await provider.create("wrapping-2")
    wrapped = await provider.wrap("wrapping-1", b"share", b"fil_a")
    assert await provider.unwrap("wrapping-1", wrapped, b"fil_a") == b"share"
    for key_name, blob, context in (
        ("wrapping-2", wrapped, b"fil_a"),
        ("wrapping-1", wrapped, b"fil_b"),
        ("wrapping-1", wrapped[:-1] + bytes([wrapped[-1] ^ 1]), b"fil_a"),
        ("wrapping-1", b"\x02" + wrapped[1:], b"fil_a"),
        ("wrapping-1", b"", b"fil_a"),
        ("wrapping-1", wrapped[:20], b"fil_a"),
    ):
        with pytest.raises(UnwrapFailed):
            await provider.unwrap(key_name, blob, context)


async def test_a_key_file_under_another_name_does_not_open(provider: FileProvider, tmp_path: Path) -> None:
    await provider.create("one")
    (tmp_path / "keys" / "one.key").rename(tmp_path / "keys" / "two.key")
    with pytest.raises(UnwrapFailed):
        await provider.wrap("two", b"", b"")


async def test_creating_twice_keeps_the_key(provider: FileProvider) -> None:
    await asyncio.gather(*(provider.create("one") for _ in range(5)))
    wrapped = await provider.wrap("one", b"x", b"")
    await provider.create("one")
    assert await provider.unwrap("one", wrapped, b"") == b"x"
    assert await provider.names("o") == {"one"}
    assert (await provider.status()).keys == 1


async def test_a_destroyed_key_is_gone_and_may_be_destroyed_again(provider: FileProvider, tmp_path: Path) -> None:
    await provider.create("one")
    wrapped = await provider.wrap("one", b"x", b"")
    await provider.destroy("one")
    await provider.destroy("one")
    assert not await provider.exists("one")
    assert not list((tmp_path / "keys").glob("*one*"))
    with pytest.raises(KeyDestroyed):
        await provider.unwrap("one", wrapped, b"")
    await provider.create("one")
    with pytest.raises(UnwrapFailed):
        await provider.unwrap("one", wrapped, b"")


async def test_a_key_blanked_but_not_yet_unlinked_counts_as_destroyed(provider: FileProvider, plug: Plug) -> None:
    await provider.create("one")
    plug.arm(1, after=True)
    with pytest.raises(Power):
        await provider.destroy("one")
    plug.arm(None)
    assert not await provider.exists("one")
    assert await provider.names("") == frozenset()
    with pytest.raises(KeyDestroyed):
        await provider.wrap("one", b"", b"")


async def test_a_folder_that_is_not_there_is_no_proof_of_destruction(provider: FileProvider, tmp_path: Path) -> None:
    await provider.create("one")
    (tmp_path / "keys").rename(tmp_path / "unmounted")
    with pytest.raises(KeyServiceUnavailable):
        await provider.exists("one")
    with pytest.raises(KeyServiceUnavailable):
        await provider.unwrap("one", b"", b"")
    assert not (await provider.status()).reachable


async def test_rights_for_others_are_refused_with_the_command_that_mends(
    provider: FileProvider, tmp_path: Path
) -> None:
    await provider.create("one")
    (tmp_path / "keys" / "one.key").chmod(0o640)
    with pytest.raises(KeysExposed, match=r"chmod 600 .*one\.key"):
        await provider.wrap("one", b"", b"")
    (tmp_path / "keys").chmod(0o750)
    with pytest.raises(KeysExposed, match="chmod 700 "):
        await FileProvider(tmp_path / "keys", Secret(bytes(32))).start()


async def test_another_root_is_refused_at_the_start(provider: FileProvider, tmp_path: Path) -> None:
    await provider.start()
    with pytest.raises(WrongRoot):
        await FileProvider(tmp_path / "keys", Secret(bytes(32))).start()


async def test_key_names_cannot_leave_the_folder(provider: FileProvider) -> None:
    for name in ("../x", "", "A", "a/b", "a.b", "-a", "a" * 81, "a\n"):
        with pytest.raises(ValueError):
            await provider.create(name)


def test_the_root_is_made_once_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "root.key"
    root = prepare_root(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert prepare_root(path) == root
    assert len(root.reveal()) == 32
    path.chmod(0o644)
    with pytest.raises(KeysExposed, match="chmod 600"):
        prepare_root(path)


@pytest.mark.parametrize("content", [b"", b"ab" * 31, b"x" * 64, b"\xff" * 33, b"ab" * 33])
def test_what_is_no_root_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "root.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ValueError):
        prepare_root(path)


def test_a_raw_root_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    path.write_bytes(bytes(range(32)))
    path.chmod(0o600)
    assert prepare_root(path).reveal() == bytes(range(32))


def test_a_hardened_process_dumps_no_core_and_makes_private_files(tmp_path: Path) -> None:
    made = tmp_path / "made"
    script = f"""
import pathlib, resource
from telehealth.keys.process import harden_process
harden_process()
pathlib.Path({str(made)!r}).write_bytes(b"")
print(resource.getrlimit(resource.RLIMIT_CORE))
"""
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert told.stdout == "(0, 0)\n"
    assert made.stat().st_mode & 0o777 == 0o600
