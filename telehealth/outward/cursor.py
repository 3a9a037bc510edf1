"""How far a destination has come, kept on disk: the log itself is the spool, and this is the place in it."""

import json
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from telehealth.durable import private_folder, write_whole


@dataclass(frozen=True, slots=True)
class Mark:
    """`next`: first entry not confirmed; `safe`: where to begin again after a loss; `leaf`: hash of entry next-1."""

    next: int = 0
    safe: int = 0
    leaf: str = ""


class Cursor:
    """One small file for one destination and one log. Blocks; used from the feed's thread.

    `overlap`: seconds for which a confirmed entry is still sent again after a loss.
    """

    def __init__(self, path: Path, origin: str, overlap: float) -> None:
        self._path = path
        self._origin = origin
        self._overlap = overlap
        self._young: deque[tuple[float, int]] = deque(maxlen=4096)  # (steady time, index) of confirmations; rare
        self.mark = Mark()

    def load(self) -> bool:
        """Read the file; whether there was one of this log. Raises OSError."""
        try:
            found = json.loads(self._path.read_bytes())
            mark = Mark(int(found["next"]), int(found["safe"]), str(found["leaf"]))
            ours = found["log"] == self._origin and 0 <= mark.safe <= mark.next
        except FileNotFoundError:
            return False
        except (ValueError, KeyError, TypeError):  # a file that is not ours: begin anew, which loses nothing
            return False
        if ours:
            self.mark = mark
        return ours

    def keep(self, confirmed: int, leaf: str, now: float) -> None:
        """Everything below `confirmed` is with the receiver: durable when this returns. Raises OSError."""
        self._young.append((now, confirmed))
        safe = self.mark.safe
        while self._young and self._young[0][0] <= now - self._overlap:
            safe = self._young.popleft()[1]
        self._write(Mark(confirmed, min(safe, confirmed), leaf))

    def lost(self) -> None:
        """The receiver went away: what it confirmed lately counts for nothing."""
        self._young.clear()

    def back_to(self, index: int) -> None:
        """Begin again at `index`. Raises OSError."""
        self._young.clear()
        self._write(Mark(index, index, ""))

    def _write(self, mark: Mark) -> None:
        private_folder(self._path.parent)
        content = {"log": self._origin, "next": mark.next, "safe": mark.safe, "leaf": mark.leaf}
        write_whole(self._path, json.dumps(content).encode())
        self.mark = mark
