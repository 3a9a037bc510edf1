"""What every store of whole files promises: local disk, Ceph, moto, and the disk with a store behind it."""

import asyncio
import os

import pytest
from shelves import SMALL_PART, Stocked, a_name

from recordings.vault.store import VaultMissing


async def test_what_was_put_is_read_back_whole_and_by_range(stock: Stocked) -> None:
    name, content = a_name(), os.urandom(200_000)
    await stock.put(name, content)
    assert await stock.shelf.size(name) == len(content)
    assert await stock.shelf.read(name, 0, len(content)) == content
    assert await stock.shelf.read(name, 70_000, 65_556) == content[70_000:135_556]
    assert await stock.shelf.read(name, 199_999, 1) == content[-1:]


async def test_a_file_larger_than_one_part_arrives_whole(stock: Stocked) -> None:
    name, content = a_name(), os.urandom(2 * SMALL_PART + 77)
    await stock.put(name, content)
    assert await stock.shelf.size(name) == len(content)
    assert await stock.shelf.read(name, SMALL_PART - 5, 10) == content[SMALL_PART - 5 : SMALL_PART + 5]
    assert await stock.shelf.read(name, 2 * SMALL_PART, 1000) == content[2 * SMALL_PART :]


async def test_reading_past_the_end_gives_less(stock: Stocked) -> None:
    name = a_name("manifest")
    await stock.put(name, b"0123456789")
    assert await stock.shelf.read(name, 8, 100) == b"89"
    assert await stock.shelf.read(name, 10, 100) == b""
    assert await stock.shelf.read(name, 3, 0) == b""


async def test_what_is_not_there_is_missing_and_may_be_deleted(stock: Stocked) -> None:
    name = a_name()
    with pytest.raises(VaultMissing):
        await stock.shelf.read(name, 0, 10)
    with pytest.raises(VaultMissing):
        await stock.shelf.size(name)
    await stock.shelf.delete(name)
    assert await stock.shelf.list() == []


async def test_names_are_listed_in_order_and_deleted_ones_are_not(stock: Stocked) -> None:
    names = sorted([a_name(), a_name("manifest"), a_name()])
    for name in reversed(names):
        await stock.put(name, name.encode())
    assert await stock.shelf.list() == names
    await stock.shelf.delete(names[1])
    assert await stock.shelf.list() == [names[0], names[2]]
    with pytest.raises(VaultMissing):
        await stock.shelf.read(names[1], 0, 10)
    assert await stock.shelf.read(names[2], 0, 100) == names[2].encode()


async def test_a_name_that_is_none_of_ours_is_never_used(stock: Stocked) -> None:
    for name in ("../../etc/passwd", "fil_short.sealed", "", "fil_" + "a" * 26 + ".exe"):
        for act in (stock.shelf.read(name, 0, 1), stock.shelf.size(name), stock.shelf.delete(name)):
            with pytest.raises(ValueError, match="not a vault name"):
                await act


async def test_many_readers_at_once_get_each_their_own(stock: Stocked) -> None:
    contents = {a_name(): os.urandom(5000) for _ in range(4)}
    for name, content in contents.items():
        await stock.put(name, content)
    asked = [(name, offset) for name in contents for offset in range(0, 5000, 1000)]
    found = await asyncio.gather(*(stock.shelf.read(name, offset, 1000) for name, offset in asked))
    assert list(found) == [contents[name][offset : offset + 1000] for name, offset in asked]
