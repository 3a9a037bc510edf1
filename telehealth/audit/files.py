"""The few things the log asks of a disk, so that tests can give it a failing one."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from telehealth.durable import private_folder, sync_folder

_LOCK_TRIES = 250
_LOCK_PAUSE = 0.02  # seconds


class Files(Protocol):
    """All calls block and raise OSError; what was synced survives a power cut, what was not may be there in part."""

    def folder(self, path: Path) -> None:
        """Make a folder and its parents, entered by us alone."""
        ...

    def names(self, folder: Path) -> list[str]:
        """Names of the files in a folder, sorted."""
        ...

    def size(self, path: Path) -> int:
        """Length in bytes. Raises FileNotFoundError."""
        ...

    def read(self, path: Path, offset: int = 0, length: int = -1) -> bytes:
        """Bytes from `offset`, at most `length`, to the end if negative. Raises FileNotFoundError."""
        ...

    def write_at(self, path: Path, offset: int, content: bytes) -> None:
        """Write over or beyond what is there; a new file's name is durable at once, its content is not."""
        ...

    def write_new(self, path: Path, content: bytes) -> None:
        """Write the whole file and sync it, but not its name: `replace` follows."""
        ...

    def publish(self, path: Path, content: bytes) -> None:
        """Write over a file that is no longer than `content` (≤ 512 bytes), for readers now.

        A reader may meet it half written; after a power cut it holds the old content, the new one, or its beginning.
        """
        ...

    def write_synced(self, path: Path, offset: int, content: bytes) -> None:
        """Write over what is there, durably."""
        ...

    def sync(self, path: Path) -> None:
        """Make the content durable."""
        ...

    def cut(self, path: Path, size: int) -> None:
        """Cut the file back to `size` bytes, durably."""
        ...

    def replace(self, source: Path, target: Path) -> None:
        """Put `source` in the place of `target`, at one blow and durably."""
        ...

    def remove(self, path: Path) -> None:
        """Take the file away, durably."""
        ...

    def prune(self, path: Path) -> None:
        """Take the file away, and its folder if that is empty then; after a power cut it may be back."""
        ...

    def reserve(self, path: Path, size: int) -> None:
        """See that a file of at least `size` bytes has its blocks, so that writing within needs no free space."""
        ...

    def locked(self, path: Path, *, wait: bool = True) -> AbstractContextManager[None]:
        """Keep every other holder out, of any process. Raises OSError (EWOULDBLOCK), at once or after 5 s."""
        ...


class Disk:
    """The machine's own file system."""

    def folder(self, path: Path) -> None:
        private_folder(path)

    def names(self, folder: Path) -> list[str]:
        return sorted(item.name for item in folder.iterdir() if item.is_file())

    def size(self, path: Path) -> int:
        return path.stat().st_size

    def read(self, path: Path, offset: int = 0, length: int = -1) -> bytes:
        handle = os.open(path, os.O_RDONLY)
        try:
            if length < 0:
                length = max(0, os.fstat(handle).st_size - offset)
            pieces, found = list[bytes](), 0
            while found < length and (piece := os.pread(handle, length - found, offset + found)):
                pieces.append(piece)
                found += len(piece)
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        finally:
            os.close(handle)

    def write_at(self, path: Path, offset: int, content: bytes) -> None:
        try:
            handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            sync_folder(path.parent)
        try:
            view = memoryview(content)
            while view:
                written = os.pwrite(handle, view, offset)
                view, offset = view[written:], offset + written
        finally:
            os.close(handle)

    def write_new(self, path: Path, content: bytes) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(handle, view) :]
            os.fdatasync(handle)
        finally:
            os.close(handle)

    def publish(self, path: Path, content: bytes) -> None:
        """In place: a few hundred bytes in one sector; renaming would wait for the disk on some file systems."""
        handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            os.pwrite(handle, content, 0)
        finally:
            os.close(handle)

    def write_synced(self, path: Path, offset: int, content: bytes) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            view = memoryview(content)
            while view:
                written = os.pwrite(handle, view, offset)
                view, offset = view[written:], offset + written
            os.fdatasync(handle)
        finally:
            os.close(handle)

    def sync(self, path: Path) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            os.fdatasync(handle)
        finally:
            os.close(handle)

    def cut(self, path: Path, size: int) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            os.ftruncate(handle, size)
            os.fsync(handle)
        finally:
            os.close(handle)

    def replace(self, source: Path, target: Path) -> None:
        source.replace(target)
        sync_folder(target.parent)

    def remove(self, path: Path) -> None:
        path.unlink()
        sync_folder(path.parent)

    def prune(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty, or gone
            path.parent.rmdir()

    def reserve(self, path: Path, size: int) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(handle, 0, size)
            os.fsync(handle)
        finally:
            os.close(handle)
        sync_folder(path.parent)

    @contextmanager
    def locked(self, path: Path, *, wait: bool = True) -> Iterator[None]:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            _take(handle, _LOCK_TRIES if wait else 1)
            yield
        finally:
            os.close(handle)  # also lets go of the lock


def _take(handle: int, tries: int) -> None:
    for left in reversed(range(tries)):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if left:
                time.sleep(_LOCK_PAUSE)
        else:
            return
    raise OSError(errno.EWOULDBLOCK, "somebody else holds the audit log")
