"""Many small files as one stream (POSIX tar), written and read without holding more than a piece. Blocks."""

import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from telehealth.backup.agefile import pieces_of
from telehealth.backup.refusals import BackupTampered
from telehealth.durable import private_folder, sync_folder, write_whole

_BLOCK = 512


class Small(NamedTuple):
    """A file by its path inside the archive."""

    name: str
    content: bytes


def packed(files: Iterable[Small]) -> Iterator[bytes]:
    """The archive's octets."""
    for name, content in files:
        head = tarfile.TarInfo(name)
        head.size, head.mode = len(content), 0o600
        yield head.tobuf(tarfile.PAX_FORMAT)
        yield content + bytes(-len(content) % _BLOCK)
    yield bytes(2 * _BLOCK)


def contents(archive: Path) -> Iterator[Small]:
    """What is in it; nothing but plain files below its root. Raises BackupTampered."""
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if not member.isreg() or path.is_absolute() or ".." in path.parts:
                    raise BackupTampered(archive.name)
                file = tar.extractfile(member)
                yield Small(member.name, b"".join(pieces_of(file)) if file else b"")  # type: ignore[arg-type]  # IO[bytes]
    except tarfile.TarError:
        raise BackupTampered(archive.name) from None


def unpacked(archive: Path, folder: Path) -> int:
    """Put everything into `folder`, for us alone; how many files. Raises BackupTampered, FileExistsError."""
    count = 0
    for name, content in contents(archive):
        target = folder / name
        private_folder(target.parent)
        with fresh(target) as file:
            file.write(content)
        count += 1
    return count


def sync_all(folder: Path) -> None:
    """Everything below is durable when this returns: written first, synced together."""
    for above, _, names in os.walk(folder):
        for name in names:
            handle = os.open(Path(above) / name, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_folder(Path(above))


def laid_over(archive: Path, folder: Path, wanted: Callable[[str], bool]) -> None:
    """Put those that are wanted in the place of what is there. Raises BackupTampered."""
    for name, content in contents(archive):
        if wanted(name):
            private_folder((folder / name).parent)
            write_whole(folder / name, content)


@contextmanager
def fresh(target: Path) -> Iterator[BinaryIO]:
    """A new file for us alone; `sync_all` follows. Raises FileExistsError."""
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        yield file
