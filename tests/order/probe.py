"""A probe around the log's disk: when entries become durable, and a disk that is slow, full or gone."""

import errno
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from telehealth.audit.files import Disk
from telehealth.audit.journal import Journal
from telehealth.audit.ledger import Ledger

Fault = Literal["slow", "full", "gone"]
TURNS = 4  # requests that are answered meanwhile; a log that is slow for long shows those who take longer
_WRITES = ("write_at", "write_new", "publish", "write_synced", "sync", "cut", "replace", "reserve")
_READS = ("read", "size", "names")


@dataclass
class Watch:
    """One act under watch. `actions`: of which one entry is to come first."""

    actions: frozenset[str]
    look: Callable[[], dict[str, str]]  # what an act could change, now
    before: dict[str, str]
    turn: Callable[[], None]  # a request that is answered while the entry is held: as long as the machine needs now
    answered: threading.Event = field(default_factory=threading.Event)
    entered: bool = False
    changed: list[str] = field(default_factory=list)  # what was different when the entry came
    early: bool = False  # whether the answer came while the entry was held

    def meet(self, leaves: list[dict[str, Any]]) -> None:
        """Called in the log's thread, before the entry is durable; holds it for a moment."""
        mine = any(leaf["action"] in self.actions and leaf["outcome"] in ("intent", "done") for leaf in leaves)
        if mine and not self.entered:
            self.entered = True
            for _ in range(TURNS):
                if not self.answered.is_set():
                    self.turn()
            self.early = self.answered.is_set()
            now = self.look()
            self.changed = [name for name in now if now[name] != self.before.get(name)]


class Probe:
    """Put around the log of this process by `install`."""

    def __init__(self) -> None:
        self.watch: Watch | None = None
        self.go_on = threading.Event()
        self._fault: Fault | None = None
        self._folder: Path | None = None

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        append, write = Ledger.append, Journal.write

        def appended(ledger: Ledger, batch: Any) -> int:
            if self.watch is not None:
                self.watch.meet([json.loads(leaf) for leaf, _ in batch])
            return append(ledger, batch)

        def written(journal: Journal, packed: bytes) -> None:
            if self._fault == "slow":
                self.go_on.wait(30)
            write(journal, packed)

        monkeypatch.setattr(Ledger, "append", appended)
        monkeypatch.setattr(Journal, "write", written)
        for name in (*_WRITES, *_READS):
            monkeypatch.setattr(Disk, name, self._failing(name, getattr(Disk, name)))

    def _failing(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(disk: Disk, path: Path, *more: Any, **named: Any) -> Any:
            if self._out_of_reach(name, path):
                code = errno.ENOSPC if self._fault == "full" else errno.EIO
                raise OSError(code, os.strerror(code))
            return real(disk, path, *more, **named)

        return call

    def _out_of_reach(self, name: str, path: Path) -> bool:
        if self._folder is None or not Path(path).is_relative_to(self._folder):
            return False
        if self._fault == "full":  # what is reserved can still be written over: the spool
            return name in _WRITES and not Path(path).name.startswith("spool")
        return self._fault == "gone"

    @contextmanager
    def down(self, fault: Fault, folder: Path) -> Iterator[None]:
        """The log's disk has this fault until the block ends."""
        self._folder, self._fault = folder, fault
        self.go_on.clear()
        try:
            yield
        finally:
            self._fault, self._folder = None, None
            self.go_on.set()
