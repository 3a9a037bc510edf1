"""Small real partners for the heart of recordings: a clock set by hand, keys and rows in memory, a disk with faults."""

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from recordings.partners import FileKind, FinishedFile, KeyedFile
from recordings.recover import Kept
from recordings.vault.files import SystemFiles
from telehealth.errors import Unavailable
from telehealth.keys.provider import KeyDestroyed
from telehealth.secret import Secret

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


class HandClock:
    """Stands still until told."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds - 1000)

    def steady(self) -> float:
        return self.seconds


@dataclass(frozen=True)
class MadeKey:
    dek: Secret[bytes]
    wrapped_share: bytes
    wrapping_key: str
    bucket: str


class MemoryKeys:
    """Keys that live as long as the test, and can be denied."""

    def __init__(self) -> None:
        self.deks: dict[str, Secret[bytes]] = {}
        self.denied = False

    async def create(self, file_id: str, *, day: date, retention_class: str) -> MadeKey:
        if self.denied:
            raise Unavailable
        self.deks[file_id] = Secret(os.urandom(32))
        return MadeKey(self.deks[file_id], b"share of " + file_id.encode(), "wk1", f"{day}-{retention_class}")

    async def open(self, file_id: str, *, wrapped_share: bytes, wrapping_key: str) -> Secret[bytes]:
        if self.denied:
            raise Unavailable
        if file_id not in self.deks:
            raise KeyDestroyed
        return self.deks[file_id]

    async def destroy(self, file_ids: Sequence[str]) -> object:
        for file_id in file_ids:
            self.deks.pop(file_id, None)
        return None


@dataclass
class MemoryLedger:
    """Rows in memory; `when_added` runs as a row becomes durable."""

    rows: dict[str, KeyedFile] = field(default_factory=dict)
    progress: dict[str, tuple[int, int]] = field(default_factory=dict)
    finished: dict[str, FinishedFile] = field(default_factory=dict)
    when_added: Callable[[KeyedFile], None] = lambda _row: None
    when_sealed: Callable[[FinishedFile], None] = lambda _file: None

    async def added(self, row: KeyedFile) -> None:
        self.when_added(row)
        self.rows[row.file_id] = row

    async def progressed(self, file_id: str, segments: int, octets: int) -> None:
        self.progress[file_id] = (segments, octets)

    async def sealed(self, finished: FinishedFile) -> None:
        self.when_sealed(finished)
        self.finished[finished.file_id] = finished

    async def gone(self, file_id: str) -> None:
        self.rows.pop(file_id, None)

    def kept(self) -> list[Kept]:
        return [
            Kept(row, file_id in self.finished, self.progress.get(file_id, (0, 0))[0])
            for file_id, row in self.rows.items()
        ]

    def kinds(self) -> list[FileKind]:
        return sorted(row.kind for row in self.rows.values())


class FaultyFiles(SystemFiles):
    """The system's files, until the n-th operation of one sort, which fails before or after it was done."""

    def __init__(self, operation: str, nth: int, fault: int = errno.ENOSPC, *, after: bool = False) -> None:
        self.operation, self.left, self.fault, self.after = operation, nth, fault, after
        self.failed = False

    def create(self, path: Path) -> int:
        self._before("create")
        handle = super().create(path)
        self._afterwards()
        return handle

    def write(self, handle: int, data: memoryview) -> int:
        self._before("write")
        written = super().write(handle, data)
        self._afterwards()
        return written

    def fsync(self, handle: int) -> None:
        self._before("fsync")
        super().fsync(handle)
        self._afterwards()

    def rename(self, old: Path, new: Path) -> None:
        self._before("rename")
        super().rename(old, new)
        self._afterwards()

    def _before(self, operation: str) -> None:
        if operation == self.operation:
            self.left -= 1
            if self.left == 0 and not self.after:
                self._fail()

    def _afterwards(self) -> None:
        if self.left == 0 and self.after and not self.failed:
            self._fail()

    def _fail(self) -> None:
        self.failed = True
        raise OSError(self.fault, os.strerror(self.fault))
