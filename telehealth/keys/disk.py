"""The four ways this package changes the disk; each is durable when it returns. All block: call them in a thread."""

import os
import stat
from pathlib import Path

from telehealth.durable import sync_folder, write_whole


def write(path: Path, content: bytes) -> None:
    """Put `content` at `path`, whole or not at all, readable by us alone."""
    write_whole(path, content, 0o600)


def append(path: Path, line: bytes) -> None:
    """Add one line; an earlier torn line stays apart from it."""
    fresh = not path.exists()
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        view = memoryview(b"\n" + line + b"\n")
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)
    if fresh:
        sync_folder(path.parent)


def blank(path: Path) -> None:
    """Overwrite a file's bytes by zeros in place. A copy-on-write file system or an SSD may keep the old ones."""
    handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    try:
        view = memoryview(bytes(os.fstat(handle).st_size))
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Take a name away, and what an interrupted `write` left beside it; a name not there is no error."""
    path.unlink(missing_ok=True)
    path.with_name(f".{path.name}.new").unlink(missing_ok=True)
    sync_folder(path.parent)


def exposed(path: Path) -> bool:
    """Whether group or others have any right to `path`."""
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
