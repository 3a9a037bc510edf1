"""The few file operations a disk vault makes, behind one seam, so that faults can be put into each of them."""

import os
from pathlib import Path
from typing import Protocol

from telehealth.durable import sync_folder


class Files(Protocol):
    """Blocking file operations; each raises OSError as the system does."""

    def create(self, path: Path) -> int: ...
    def write(self, handle: int, data: memoryview) -> int: ...
    def fsync(self, handle: int) -> None: ...
    def close(self, handle: int) -> None: ...
    def open(self, path: Path) -> int: ...
    def read(self, path: Path, offset: int, length: int) -> bytes: ...
    def rename(self, old: Path, new: Path) -> None: ...
    def unlink(self, path: Path) -> None: ...
    def sync_folder(self, folder: Path) -> None: ...


class SystemFiles:
    """The operating system's own."""

    def create(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def write(self, handle: int, data: memoryview) -> int:
        return os.write(handle, data)

    def fsync(self, handle: int) -> None:
        os.fsync(handle)

    def close(self, handle: int) -> None:
        os.close(handle)

    def open(self, path: Path) -> int:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def read(self, path: Path, offset: int, length: int) -> bytes:
        handle = self.open(path)
        try:
            parts: list[bytes] = []
            while length > 0 and (part := os.pread(handle, length, offset)):
                parts.append(part)
                offset += len(part)
                length -= len(part)
            return b"".join(parts)
        finally:
            os.close(handle)

    def rename(self, old: Path, new: Path) -> None:
        old.rename(new)

    def unlink(self, path: Path) -> None:
        path.unlink()

    def sync_folder(self, folder: Path) -> None:
        sync_folder(folder)
