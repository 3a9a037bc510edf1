"""A browser that answers no more: Playwright waits for it without end, so it is ended, and what waited says where."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LONGEST, LONGEST_SLOW = 240.0, 900.0  # seconds that a browser test and its fixtures may take


@contextmanager
def browsers_end_after(seconds: float) -> Iterator[None]:
    """Whoever waits for a Chromium of this process after so long is told that it is gone (playwright's Error)."""
    timer = threading.Timer(seconds, _end_browsers, (seconds,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end_browsers(seconds: float) -> None:
    found = [pid for pid in _descendants(os.getpid()) if _name(pid).startswith("chrom")]
    sys.stderr.write(f"after {seconds:g} s, {len(found)} processes of browsers are ended\n")
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # ended meanwhile
            parents.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found[1:]


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text()
    return ""
