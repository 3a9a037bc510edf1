"""Reading by handle: at once from memory, by a thread from the disk, and the same octets either way."""

import asyncio
import gc
import os
import random
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from recordings.vault import reading
from recordings.vault.disk import DiskVault
from recordings.vault.store import VaultFailed, VaultMissing
from telehealth.ids import Kind, new_id


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[DiskVault]:
    vault = DiskVault(tmp_path / "vault")
    yield vault
    await vault.close()


async def written(vault: DiskVault, data: bytes) -> str:
    name = f"{new_id(Kind.FILE)}.sealed"
    writer = await vault.create(name)
    await writer.append(data)
    await writer.close()
    return name


@pytest.mark.parametrize("in_memory", ["all", "some", "none"])
async def test_it_gives_the_same_octets_wherever_they_are(
    vault: DiskVault, monkeypatch: pytest.MonkeyPatch, in_memory: str
) -> None:
    chance = random.Random(7)
    data = chance.randbytes(300_000)
    reader = await vault.reader(await written(vault, data))
    real = os.preadv

    def cached(handle: int, buffers: list[memoryview], offset: int, flags: int = 0) -> int:
        if not flags or in_memory == "all":
            return real(handle, buffers, offset)
        if in_memory == "none":
            raise BlockingIOError
        return real(handle, [buffers[0][: len(buffers[0]) // 3]], offset)

    monkeypatch.setattr(reading.os, "preadv", cached)
    for _ in range(50):
        start = chance.randrange(len(data))
        length = chance.randrange(1, 120_000)
        buffer = memoryview(bytearray(length))
        assert await reader.fill(buffer, start) == min(length, len(data) - start)
        assert buffer[: len(data) - start] == data[start : start + length]


async def test_a_failing_disk_is_named_and_a_missing_file_too(
    vault: DiskVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = await vault.reader(await written(vault, b"octets"))

    def broken(*_: object) -> int:
        raise OSError(5, "broken")

    monkeypatch.setattr(reading.os, "preadv", broken)
    with pytest.raises(VaultFailed):
        await reader.fill(memoryview(bytearray(6)), 0)
    with pytest.raises(VaultMissing):
        await vault.reader(f"{new_id(Kind.FILE)}.sealed")


async def test_a_handle_is_closed_with_its_last_reference(vault: DiskVault) -> None:
    name = await written(vault, b"octets")
    before = len(os.listdir("/proc/self/fd"))
    readers = [await vault.reader(name) for _ in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before + 20
    del readers
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_thread_that_still_reads_keeps_the_handle_from_being_given_to_another_file(
    vault: DiskVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = await vault.reader(await written(vault, b"octets"))
    real, begun, go_on, handles = os.preadv, asyncio.Event(), threading.Event(), list[int]()
    loop = asyncio.get_running_loop()

    def slow(handle: int, buffers: list[memoryview], offset: int, flags: int = 0) -> int:
        if flags:
            raise BlockingIOError
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(5)
        handles.append(os.fstat(handle).st_size)
        return real(handle, buffers, offset)

    monkeypatch.setattr(reading.os, "preadv", slow)
    task = asyncio.create_task(reader.fill(memoryview(bytearray(6)), 0))
    del reader
    await begun.wait()
    task.cancel()
    await asyncio.wait({task})
    del task
    gc.collect()
    go_on.set()
    await vault.close()
    assert handles[0] == len(b"octets")
