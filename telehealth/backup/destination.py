"""One place of backups: whole sets, and what was begun and is none. Blocks.

<place>/<kind>/<id>/             a whole set: `manifest` and the members it names
<place>/<kind>/<id>.unfinished/  being made, being removed, or left by a kill: never read as a backup
<place>/objects/ab/<sha256>.age  sealed files of recordings, each once
"""

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from telehealth.backup.agefile import Sealed
from telehealth.backup.manifest import Manifest, is_set_id, opened
from telehealth.backup.refusals import BackupBusy, BackupMissing, BackupPlaceFailed, BackupPlaceFull, BackupTampered
from telehealth.durable import private_folder, sync_folder, write_whole

_FULL = {errno.ENOSPC, errno.EDQUOT}
_UNFINISHED = ".unfinished"


@contextmanager
def named_faults(place: Path) -> Iterator[None]:
    """OSError as a refusal that names the place."""
    try:
        yield
    except OSError as fault:
        raise (BackupPlaceFull if fault.errno in _FULL else BackupPlaceFailed)(str(place)) from fault


class Destination:
    """Sets of one kind below one folder; `locked` while anything is written."""

    def __init__(self, place: Path, kind: str) -> None:
        self.place = place
        self.kind = kind
        self._sets = place / kind

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One writer at a time, of any process. Raises BackupBusy, OSError (a place that is not there)."""
        if not self.place.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.place))
        private_folder(self._sets)
        handle = os.open(self.place / f"{self.kind}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BackupBusy(str(self.place)) from None
            yield
        finally:
            os.close(handle)

    def sets(self) -> list[str]:
        """The ids of all whole sets, oldest first."""
        return [name for name in self._names() if is_set_id(name) and (self._sets / name / "manifest").is_file()]

    def unfinished(self) -> list[str]:
        """What passes for no backup."""
        whole = set(self.sets())
        return [name for name in self._names() if name not in whole]

    def broken_off(self) -> list[str]:
        """The ids of sets that were being made, or being removed: some of their bytes may be whole."""
        names = (name.removesuffix(_UNFINISHED) for name in self._names() if name.endswith(_UNFINISHED))
        return [name for name in names if is_set_id(name)]

    def _names(self) -> list[str]:
        try:
            return sorted(os.listdir(self._sets))
        except FileNotFoundError:
            if not self.place.is_dir():
                raise
            return []

    def folder(self, set_id: str) -> Path:
        return self._sets / set_id

    def raw(self, set_id: str) -> bytes:
        """The bytes of a manifest. Raises BackupMissing."""
        try:
            return (self._sets / set_id / "manifest").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise BackupMissing(set_id) from None

    def manifest(self, set_id: str, *, signer: str | None = None) -> Manifest:
        """Raises BackupMissing, BackupTampered, BackupNewer."""
        found = opened(self.raw(set_id), signer=signer)
        if (found.id, found.kind) != (set_id, self.kind):
            raise BackupTampered("manifest")
        return found

    def begin(self, set_id: str) -> Path:
        """An empty folder for a set that is being made."""
        return private_folder(self._sets / f"{set_id}{_UNFINISHED}")

    def finish(self, set_id: str, manifest: bytes) -> None:
        """From now on it is a backup: everything in it is durable first."""
        making = self._sets / f"{set_id}{_UNFINISHED}"
        write_whole(making / "manifest", manifest)
        making.rename(self._sets / set_id)
        sync_folder(self._sets)

    def remove(self, set_id: str) -> None:
        """First it is no backup any more, then its bytes go."""
        going = self._sets / f"{set_id}{_UNFINISHED}"
        (self._sets / set_id).rename(going)
        sync_folder(self._sets)
        self.remove_rest(set_id)

    def remove_rest(self, set_id: str) -> None:
        """The bytes of one that broke off. Only while locked."""
        shutil.rmtree(self._sets / f"{set_id}{_UNFINISHED}")
        sync_folder(self._sets)

    def tidy(self) -> int:
        """Remove what was begun and is no backup; how many. Only while locked."""
        left = self.unfinished()
        for name in left:
            shutil.rmtree(self._sets / name)
        return len(left)

    # Objects

    def object_path(self, sha256: str) -> Path:
        return self.place / "objects" / sha256[:2] / f"{sha256}.age"

    def holds(self, set_id: str, sha256: str, sealed: Sealed) -> bool:
        """Whether an object is the one that the set names: by its size; one written after the set is read as a whole.

        A backup that broke off may have written again what was missing, and each encryption has other bytes.
        """
        path = self.object_path(sha256)
        try:
            found = path.stat()
        except FileNotFoundError:
            return False
        if found.st_size != sealed.size:
            return False
        if found.st_mtime_ns < (self._sets / set_id / "manifest").stat().st_mtime_ns:
            return True
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sealed.sha256

    def sweep_objects(self, wanted: set[str]) -> int:
        """Remove objects that no set names; how many. Only while locked."""
        gone = 0
        for path in (self.place / "objects").glob("??/*"):
            if path.name.removesuffix(".age") not in wanted:
                path.unlink()
                gone += 1
        return gone
