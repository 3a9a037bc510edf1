"""Partners of capture and sealing whose n-th act fails, before or after it was done, once or from then on."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recording_partners import MemoryKeys, MemoryLedger

from recordings.vault.files import SystemFiles

_turn = threading.Lock()


@dataclass
class NthFault:
    """Counts acts from one; `at` None: nothing fails, all are counted."""

    at: int | None
    make: Callable[[], Exception]
    after: bool = False
    lasts: bool = False
    acts: int = 0
    fired: bool = False

    def before(self) -> int:
        """Count an act; its number, for `afterwards`. Called from several threads."""
        with _turn:
            self.acts += 1
            number = self.acts
        if not self.after:
            self._fire(number)
        return number

    def afterwards(self, number: int) -> None:
        if self.after:
            self._fire(number)

    def _fire(self, number: int) -> None:
        if self.at is not None and (number == self.at or (self.lasts and number > self.at)):
            self.fired = True
            raise self.make()


def disk_fault(error: int) -> Callable[[], Exception]:
    return lambda: OSError(error, os.strerror(error))


class FaultyFiles(SystemFiles):
    """The system's files; everything but closing can fail."""

    def __init__(self, fault: NthFault) -> None:
        self.fault = fault

    def create(self, path: Path) -> int:
        number = self.fault.before()
        handle = super().create(path)
        self.fault.afterwards(number)
        return handle

    def write(self, handle: int, data: memoryview) -> int:
        number = self.fault.before()
        done = super().write(handle, data)
        self.fault.afterwards(number)
        return done

    def fsync(self, handle: int) -> None:
        number = self.fault.before()
        super().fsync(handle)
        self.fault.afterwards(number)

    def read(self, path: Path, offset: int, length: int) -> bytes:
        number = self.fault.before()
        data = super().read(path, offset, length)
        self.fault.afterwards(number)
        return data

    def rename(self, old: Path, new: Path) -> None:
        number = self.fault.before()
        super().rename(old, new)
        self.fault.afterwards(number)

    def unlink(self, path: Path) -> None:
        number = self.fault.before()
        super().unlink(path)
        self.fault.afterwards(number)

    def sync_folder(self, folder: Path) -> None:
        number = self.fault.before()
        super().sync_folder(folder)
        self.fault.afterwards(number)


class FaultyLedger(MemoryLedger):
    """Rows whose n-th writing fails."""

    fault = NthFault(None, RuntimeError)


class FaultyKeys(MemoryKeys):
    """Keys whose n-th call fails."""

    fault = NthFault(None, RuntimeError)


def _faulty(kind: type[Any], *names: str) -> None:
    for name in names:
        real = getattr(kind, name)

        async def call(self: Any, *args: Any, _real: Any = real, **kwargs: Any) -> Any:
            number = self.fault.before()
            answer = await _real(self, *args, **kwargs)
            self.fault.afterwards(number)
            return answer

        setattr(kind, name, call)


_faulty(FaultyLedger, "added", "progressed", "sealed", "gone")
_faulty(FaultyKeys, "create", "open", "destroy")
