"""Reading one file again and again: what the system has in memory already comes without a thread."""

import os
import weakref
from collections.abc import Awaitable, Callable
from typing import Protocol

_AT_ONCE = getattr(os, "RWF_NOWAIT", 0)  # Linux; elsewhere every read takes a thread


class Reader(Protocol):
    """One file, open as long as this is kept."""

    async def fill(self, buffer: memoryview, offset: int) -> int:
        """Octets read into the buffer from `offset`; fewer than it holds only at the file's end.

        Raises VaultMissing, VaultFailed.
        """
        ...


class Shelf(Protocol):
    """Whatever reads by name."""

    async def read(self, name: str, offset: int, length: int) -> bytes: ...


class ShelfReader:
    """A file that is asked for by name each time."""

    def __init__(self, shelf: Shelf, name: str) -> None:
        self._shelf = shelf
        self._name = name

    async def fill(self, buffer: memoryview, offset: int) -> int:
        data = await self._shelf.read(self._name, offset, len(buffer))
        buffer[: len(data)] = data
        return len(data)


class HandleReader:
    """A file of the local disk by its handle, which is closed with the last reference.

    Reads that need the disk go through `run`, in a thread; those the page cache answers do not (preadv2, RWF_NOWAIT).
    """

    def __init__(self, handle: int, run: Callable[..., Awaitable[int]]) -> None:
        self._handle = handle
        self._run = run
        weakref.finalize(self, os.close, handle)

    async def fill(self, buffer: memoryview, offset: int) -> int:
        done = _at_once(self._handle, buffer, offset)
        if done < len(buffer):
            done += await self._run(self._wholly, buffer[done:], offset + done)
        return done

    def _wholly(self, buffer: memoryview, offset: int) -> int:
        """In a thread that outlives a cancelled caller: it holds the handle open, so that no other file gets it."""
        done = 0
        while done < len(buffer) and (count := os.preadv(self._handle, [buffer[done:]], offset + done)):
            done += count
        return done


def _at_once(handle: int, buffer: memoryview, offset: int) -> int:
    """As many octets as are in memory; 0 where the system cannot tell, or fails: the thread names the fault."""
    if not _AT_ONCE:
        return 0
    try:
        return os.preadv(handle, [buffer], offset, _AT_ONCE)
    except OSError:
        return 0
