"""Writing files so that a crash leaves the old one or the new one, whole."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """fsync a folder, so that names created in it survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `content`: temporary file, fsync, rename, fsync of the folder. Blocks; run in a thread."""
    temporary = path.with_name(f".{path.name}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)
    temporary.replace(path)
    sync_folder(path.parent)


def private_folder(path: Path) -> Path:
    """Make a folder that only we may enter, and its parents; what was made survives a power cut. Blocks."""
    fresh = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in reversed(fresh):
        sync_folder(folder.parent)
    return path
