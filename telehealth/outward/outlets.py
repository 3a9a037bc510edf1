"""The destinations: a file or standard output, and a syslog collector. All of them block; the feed's thread calls."""

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from telehealth.durable import sync_folder
from telehealth.syslog import Address, Stream

_LONGEST_LINE = 1 << 20


class Outlet(Protocol):
    """Where rendered entries go. A call that cannot raises OSError, having dropped what it held open."""

    def look(self) -> None:
        """Make sure that the receiver is there."""
        ...

    def give(self, lines: Sequence[bytes]) -> None: ...

    def settle(self) -> None:
        """Return only when the receiver has everything given so far."""
        ...

    def drop(self) -> None:
        """Forget what was given and not settled. Never raises."""
        ...


class FileOutlet:
    """Lines at the end of a file that only we may read; one that was renamed or removed is opened anew.

    A line stands there whole or not at all: what a full disk or a crash tore is cut off again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = -1

    def look(self) -> None:
        if self._handle >= 0 and not self._moved():
            return
        self.drop()
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        if stat.S_ISREG(os.fstat(self._handle).st_mode):
            sync_folder(self._path.parent)
            self._cut_torn()

    def _moved(self) -> bool:
        try:
            there, ours = os.stat(self._path), os.fstat(self._handle)
        except FileNotFoundError:
            return True
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)

    def _cut_torn(self) -> None:
        """Cut a last line without its end."""
        size = os.fstat(self._handle).st_size
        begin = max(0, size - _LONGEST_LINE)
        tail = os.pread(self._handle, size - begin, begin)
        whole = begin + tail.rfind(b"\n") + 1
        if whole < size and (begin == 0 or b"\n" in tail):
            os.ftruncate(self._handle, whole)

    def give(self, lines: Sequence[bytes]) -> None:
        before = os.fstat(self._handle)
        try:
            _write_all(self._handle, b"".join(lines))
        except BaseException:
            if stat.S_ISREG(before.st_mode):
                with suppress(OSError):  # then what was torn is cut off when it is opened anew
                    os.ftruncate(self._handle, before.st_size)
            self.drop()
            raise

    def settle(self) -> None:
        try:
            if stat.S_ISREG(os.fstat(self._handle).st_mode):
                os.fsync(self._handle)
        except OSError:
            self.drop()
            raise

    def drop(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class StandardOutput:
    """Lines on the standard output of the server; a pipe that nobody reads from fills, and holds up nothing else."""

    def __init__(self, handle: int = 1) -> None:
        self._handle = handle

    def look(self) -> None:
        pass  # it is always there, or writing says that it is not

    def give(self, lines: Sequence[bytes]) -> None:
        _write_all(self._handle, b"".join(lines))

    def settle(self) -> None:
        pass  # a pipe tells nothing more

    def drop(self) -> None:
        pass  # not ours to close


class SyslogOutlet:
    """A collector behind TLS, or behind TCP on loopback; the connection is held also while there is nothing to say."""

    def __init__(self, address: Address, patience: float = 10.0) -> None:
        self._address = address
        self._patience = patience
        self._stream: Stream | None = None

    def look(self) -> None:
        if self._stream is None:
            self._stream = Stream(self._address, self._patience)
        try:
            self._stream.look()
        except BaseException:
            self.drop()
            raise

    def give(self, lines: Sequence[bytes]) -> None:
        if self._stream is None:
            raise ConnectionError("no connection")
        try:
            self._stream.send(lines)
        except BaseException:
            self.drop()  # half a message may stand in the stream: nothing must follow it
            raise

    def settle(self) -> None:
        """By closing: the next look connects again."""
        stream, self._stream = self._stream, None
        if stream is None:
            raise ConnectionError("no connection")
        stream.finish()

    def drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


def _write_all(handle: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]
