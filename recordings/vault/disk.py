"""A vault in one folder of the local disk."""

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from recordings.vault.files import Files, SystemFiles
from recordings.vault.home import MARKER, Home
from recordings.vault.reading import HandleReader, Reader
from recordings.vault.store import VaultFailed, VaultFrozen, VaultFull, VaultMissing, checked_name
from telehealth.durable import private_folder
from telehealth.log import get_logger

T = TypeVar("T")
_FULL = {errno.ENOSPC, errno.EDQUOT}
_log = get_logger(__name__)


class DiskVault:
    """Files of mode 0600 in a folder of mode 0700, written by owned threads, synced with their folder.

    At most `threads` operations run at once; more wait in order. A caller awaits each of its operations, so
    the waiting line is never longer than the number of open files. With a `home`, a folder that does not bear its
    marker is not touched: everything raises VaultAway until it is the right one.
    """

    def __init__(self, folder: Path, *, files: Files | None = None, threads: int = 4, home: Home | None = None) -> None:
        self._folder = folder
        self._home = home
        self._is_ready = False
        self._files = files or SystemFiles()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="vault")

    async def create(self, name: str) -> "DiskWriter":
        path = self._path(name)
        self._is_ready = False  # look at the marker again: a disk can go away while we run
        return DiskWriter(await self._run(self._create, path), self._files, self._pool)

    async def read(self, name: str, offset: int, length: int) -> bytes:
        return await self._run(self._files.read, self._path(name), offset, length)

    async def reader(self, name: str) -> Reader:
        return HandleReader(await self._run(self._files.open, self._path(name)), self._run)

    async def size(self, name: str) -> int:
        return (await self._run(self._path(name).stat)).st_size

    async def rename(self, old: str, new: str) -> None:
        await self._run(self._rename, self._path(old), self._path(new))

    async def delete(self, name: str) -> None:
        with suppress(VaultMissing):
            await self._run(self._delete, self._path(name))

    async def list(self) -> list[str]:
        self._is_ready = False
        return await self._run(lambda: sorted(name for name in os.listdir(self._folder) if name != MARKER))

    async def free_bytes(self) -> int:
        self._is_ready = False
        figures = await self._run(os.statvfs, self._folder)
        return figures.f_bavail * figures.f_frsize

    async def close(self) -> None:
        await asyncio.to_thread(self._pool.shutdown)

    def _path(self, name: str) -> Path:
        return self._folder / checked_name(name)

    async def _run(self, work: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, _named_faults, self._in_folder, work, *args)

    def _in_folder(self, work: Callable[..., T], *args: object) -> T:
        if not self._is_ready:
            self._check_home()
            private_folder(self._folder)
            self._is_ready = True
        try:
            return work(*args)
        except FileNotFoundError:
            self._check_home()
            raise

    def _check_home(self) -> None:
        """Before anybody believes that a file is not there: an unmounted folder looks empty. Raises VaultAway."""
        if self._home is not None:
            self._home.check()

    def _create(self, path: Path) -> int:
        handle = self._files.create(path)
        try:
            self._files.sync_folder(self._folder)
        except OSError:
            self._files.close(handle)
            raise
        return handle

    def _rename(self, old: Path, new: Path) -> None:
        self._files.rename(old, new)
        self._files.sync_folder(self._folder)

    def _delete(self, path: Path) -> None:
        self._files.unlink(path)
        self._files.sync_folder(self._folder)


class DiskWriter:
    """One open file. The first fault kills it: nothing is retried, nothing is read back."""

    def __init__(self, handle: int, files: Files, pool: ThreadPoolExecutor) -> None:
        self._handle: int | None = handle
        self._files = files
        self._pool = pool
        self._frozen = threading.Event()
        self._dead = False
        self._turn = threading.Lock()  # a cancelled caller's operation may still run when the next one comes

    async def append(self, data: bytes, *, durable: bool = False) -> None:
        await self._run(self._append_durably if durable else self._append, data)

    async def sync(self) -> None:
        await self._run(self._sync)

    def freeze(self) -> None:
        self._frozen.set()

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._pool, self._close)

    async def _run(self, work: Callable[..., None], *args: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._pool, _named_faults, self._once, work, *args)

    def _once(self, work: Callable[..., None], *args: object) -> None:
        with self._turn:
            if self._dead or self._handle is None:
                raise VaultFailed
            try:
                work(self._handle, *args)
            except OSError:
                self._dead = True
                raise

    def _append(self, handle: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if self._frozen.is_set():
                self._dead = True
                raise VaultFrozen
            view = view[self._files.write(handle, view) :]

    def _append_durably(self, handle: int, data: bytes) -> None:
        self._append(handle, data)
        self._sync(handle)

    def _sync(self, handle: int) -> None:
        self._files.fsync(handle)

    def _close(self) -> None:
        with self._turn:
            handle, self._handle = self._handle, None
            if handle is None:
                return
            try:
                self._files.close(handle)
            except OSError:
                _log.warning("vault.close_failed", exc_info=True)


def _named_faults(work: Callable[..., T], *args: object) -> T:
    try:
        return work(*args)
    except FileNotFoundError:
        raise VaultMissing from None
    except OSError as fault:
        raise (VaultFull if fault.errno in _FULL else VaultFailed) from fault
