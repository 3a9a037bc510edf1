"""A disk in memory that fails where it is told to and forgets what was not synced when its machine dies."""

import errno
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

Moment = Literal["before", "after", "torn"]


class SimulatedDisk:
    """Files in memory. `now` is what readers see, `safe` what a power cut leaves."""

    def __init__(self) -> None:
        self.now: dict[Path, bytes] = {}
        self.safe: dict[Path, bytes] = {}
        self.folders: set[Path] = set()
        self.held: set[Path] = set()
        self.published: set[Path] = set()
        self.changes = 0
        self.fail_at: int | None = None
        self.moment: Moment = "before"
        self.dead = False
        self.out_of_reach: Callable[[Path], bool] = lambda _: False

    def fail(self, at: int, moment: Moment) -> None:
        """Let the machine die at the `at`-th change from now."""
        self.changes, self.fail_at, self.moment = 0, at, moment

    def power_cut(self, chance: random.Random) -> None:
        """Start anew with what was synced, and any part of what was not."""
        for path in set(self.now) | set(self.safe):
            seen, kept = self.now.get(path, b""), self.safe.get(path, b"")
            if seen != kept:
                cut = chance.randrange(max(len(seen), len(kept)) + 1)
                self.now[path] = seen[:cut] + kept[cut:]
                if path in self.published:  # the old file, or any part of the new one
                    self.now[path] = chance.choice([kept, seen[:cut]])
        self.safe = dict(self.now)
        self.published.clear()
        self.held.clear()
        self.fail_at, self.dead = None, False

    def _step(self, path: Path) -> Moment | None:
        if self.dead or self.out_of_reach(path):
            raise OSError(errno.EIO, "simulated", str(path))
        self.changes += 1
        if self.fail_at is not None and self.changes == self.fail_at:
            self.dead = True
            if self.moment == "before":
                raise OSError(errno.EIO, "simulated", str(path))
            return self.moment
        return None

    @staticmethod
    def _end(fate: Moment | None) -> None:
        if fate is not None:
            raise OSError(errno.EIO, "simulated")

    def folder(self, path: Path) -> None:
        self.folders.add(path)

    def names(self, folder: Path) -> list[str]:
        return sorted(path.name for path in self.now if path.parent == folder)

    def size(self, path: Path) -> int:
        return len(self._seen(path))

    def _seen(self, path: Path) -> bytes:
        if self.dead or self.out_of_reach(path):
            raise OSError(errno.EIO, "simulated", str(path))
        if path not in self.now:
            raise FileNotFoundError(path)
        return self.now[path]

    def read(self, path: Path, offset: int = 0, length: int = -1) -> bytes:
        content = self._seen(path)
        return content[offset:] if length < 0 else content[offset : offset + length]

    def write_at(self, path: Path, offset: int, content: bytes) -> None:
        fate = self._step(path)
        if fate == "torn":
            content = content[: len(content) // 2]
        before = self.now.get(path, b"").ljust(offset, b"\0")
        self.now[path] = before[:offset] + content + before[offset + len(content) :]
        self.safe.setdefault(path, b"")
        self._end(fate)

    def write_new(self, path: Path, content: bytes) -> None:
        fate = self._step(path)
        self.now[path] = content[: len(content) // 2] if fate == "torn" else content
        self.safe[path] = self.now[path]
        self._end(fate)

    def publish(self, path: Path, content: bytes) -> None:
        fate = self._step(path)
        if fate != "torn":
            self.now[path] = content
            self.published.add(path)
        self._end(fate)

    def write_synced(self, path: Path, offset: int, content: bytes) -> None:
        self.write_at(path, offset, content)
        self.sync(path)

    def sync(self, path: Path) -> None:
        fate = self._step(path)
        if fate != "torn":
            self.safe[path] = self.now[path]
        self._end(fate)

    def cut(self, path: Path, size: int) -> None:
        fate = self._step(path)
        self.now[path] = self.now[path][:size]
        self.safe[path] = self.now[path]
        self._end(fate)

    def replace(self, source: Path, target: Path) -> None:
        fate = self._step(target)
        self.now[target] = self.now.pop(source)
        self.safe[target] = self.safe.pop(source)
        self.published.discard(target)
        self._end(fate)

    def remove(self, path: Path) -> None:
        fate = self._step(path)
        del self.now[path]
        self.safe.pop(path, None)
        self._end(fate)

    def prune(self, path: Path) -> None:
        fate = self._step(path)
        self.now.pop(path, None)
        self.safe.pop(path, None)
        self._end(fate)

    def reserve(self, path: Path, size: int) -> None:
        fate = self._step(path)
        self.now[path] = self.now.get(path, b"").ljust(size, b"\0")
        self.safe[path] = self.now[path]
        self._end(fate)

    @contextmanager
    def locked(self, path: Path, *, wait: bool = True) -> Iterator[None]:
        if path in self.held:
            raise OSError(errno.EWOULDBLOCK, "held")
        self.held.add(path)
        try:
            yield
        finally:
            self.held.discard(path)
