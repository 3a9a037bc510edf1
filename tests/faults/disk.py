"""A layer between a real server and its disk: every change written down, the n-th one failed. See `disk.c`."""

import ctypes
import errno
import hashlib
import mmap
import os
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from pathlib import Path

from tests.faults.server import Server

SOURCE = Path(__file__).with_name("disk.c")
_RECORD = struct.Struct("<QIIQII")


def shim() -> Path:
    """The layer, compiled once for each version of its source. Raises CalledProcessError."""
    content = SOURCE.read_bytes()
    made = Path(tempfile.gettempdir()) / f"telehealth-disk-{hashlib.sha256(content).hexdigest()[:16]}-{os.getuid()}.so"
    if not made.exists():
        fresh = made.with_suffix(f".{os.getpid()}")
        subprocess.run(
            ["cc", "-O1", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", str(fresh), str(SOURCE), "-ldl", "-lpthread"],
            check=True,
        )
        fresh.replace(made)
    return made


class Kind(IntEnum):
    """What a record of the log tells."""

    OPEN = 1
    WRITE = 2
    SYNC = 3
    CUT = 4
    RENAME = 5
    UNLINK = 6
    FOLDER = 7
    RMDIR = 8
    GROW = 9


class Sort(IntFlag):
    """What can be failed; DATABASE is failed above the disk, by `failing_build`."""

    CREATES = 1
    WRITES = 2
    SYNCS = 4
    RENAMES = 8
    UNLINKS = 16
    CUTS = 32
    FOLDER_SYNCS = 64
    DATABASE = 128


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the disk. `moment`: steady nanoseconds after it. `first`: a path; `second`: another, or data."""

    moment: int
    kind: Kind
    handle: int
    offset: int
    first: str
    second: bytes


def changes(log: Path) -> Iterator[Change]:
    """A log's records in order; a torn last one is left out."""
    data, at = log.read_bytes(), 0
    while at + _RECORD.size <= len(data):
        moment, kind, handle, offset, first, second = _RECORD.unpack_from(data, at)
        begin = at + _RECORD.size
        at = begin + first + second
        if at > len(data):
            return
        path = data[begin : begin + first].decode()
        yield Change(moment, Kind(kind), handle, offset, path, data[begin + first : at])


class _Page(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_uint32) for name in ("armed", "sorts", "nth", "error", "after", "lasts", "seen", "fired")),
        ("fired_at", ctypes.c_uint64),
        ("under", ctypes.c_char * 256),
    ]


@dataclass(frozen=True, slots=True)
class Fault:
    """The `nth` change of these sorts under a path fails, before or `after` it was made; `lasts`: later ones too."""

    sorts: Sort
    nth: int
    error: int = errno.EIO
    after: bool = False
    lasts: bool = False
    under: str = ""

    def __str__(self) -> str:
        when = "after" if self.after else "before"
        lasts = " and on" if self.lasts else ""
        return f"{errno.errorcode[self.error]} {when} {self.sorts.name} {self.nth}{lasts} under {self.under or '/'}"


class Control:
    """A page of memory shared with the layer in the server's process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            path.write_bytes(bytes(ctypes.sizeof(_Page)))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), ctypes.sizeof(_Page))
        self._page = _Page.from_buffer(self._memory)

    def arm(self, fault: Fault) -> None:
        self.disarm()
        page = self._page
        page.seen = page.fired = page.fired_at = 0
        page.sorts, page.nth, page.error = int(fault.sorts), fault.nth, fault.error
        page.after, page.lasts, page.under = fault.after, fault.lasts, fault.under.encode()
        page.armed = 1

    def disarm(self) -> None:
        self._page.armed = 0

    @property
    def seen(self) -> int:
        """How many changes that could have failed there were since it was armed."""
        return int(self._page.seen)

    @property
    def fired(self) -> int:
        return int(self._page.fired)

    @property
    def fired_at(self) -> float:
        """When the first one failed, in steady seconds."""
        return int(self._page.fired_at) / 1e9

    def fails(self, sort: Sort, *, after: bool) -> int:
        """For a layer above the disk: count one call (where `after` is false), and the errno if it is to fail, or 0."""
        page = self._page
        if not page.armed or not page.sorts & sort:
            return 0
        page.seen += not after
        if bool(page.after) != after or not (page.seen == page.nth or (page.lasts and page.seen > page.nth)):
            return 0
        return int(page.error)

    def note_fired(self, moment: float) -> None:
        self._page.fired_at = self._page.fired_at or int(moment * 1e9)
        self._page.fired += 1


class WatchedServer(Server):
    """A server under the layer; `log` begins anew with each `start`, its commands run without it."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None, *, main: str = "telehealth") -> None:
        super().__init__(folder, settings, main=main)
        self.changes = folder.with_name(f"{folder.name}.changes")
        self.control = Control(_beside(folder, "control"))
        self.watches = True
        self._starting = False

    def __enter__(self) -> "WatchedServer":
        super().__enter__()
        return self

    @property
    def environment(self) -> dict[str, str]:
        layer = {
            "LD_PRELOAD": str(shim()),
            "DISK_ROOT": str(self.folder),
            "DISK_LOG": str(self.changes),
            "DISK_CONTROL": str(self.control.path),
        }
        return super().environment | (layer if self._starting and self.watches else {})

    def start(self) -> None:
        self.changes.unlink(missing_ok=True)
        self._starting = True
        try:
            super().start()
        finally:
            self._starting = False


def _beside(folder: Path, name: str) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder.with_name(f"{folder.name}.{name}")
