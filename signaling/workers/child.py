"""`python -m signaling.workers.child`: a worker process. Its standard input is the socket to the server, its only tie.

It has no key of the house, no path, no argument and an empty environment; what it logs goes to the server. It ends when
the server does, however that ends.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TextIO, cast

from signaling.rtc.budget import Budget
from signaling.workers import words
from signaling.workers.service import ServerGone, Service
from signaling.workers.wire import Kind, Line
from telehealth import log
from telehealth.keys.process import harden_process
from telehealth.memory import hoard_nothing

_PR_SET_DUMPABLE, _PR_SET_PDEATHSIG = 4, 1
_PLAIN = (str, int, float, bool, type(None))
_EASILY_SPARED = "500"  # of 1000: a machine out of memory ends workers before the server, which starts them again
_LINES_PER_SECOND, _LINES_AT_ONCE = 20.0, 200.0


class ToServer:
    """A log stream: each event goes to the server as a message; too many are left out."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._budget = Budget(_LINES_PER_SECOND, _LINES_AT_ONCE, self._loop.time())

    def write(self, text: str) -> int:
        """One JSON line, as `telehealth.log` writes it."""
        if self._budget.take(self._loop.time()):
            fields = json.loads(text)
            event, level = str(fields.pop("event", "")), str(fields.pop("level", ""))
            fields.pop("timestamp", None)
            plain = {name: value if isinstance(value, _PLAIN) else str(value) for name, value in fields.items()}
            self._line.say(Kind.LOG, 0, words.told(words.Line(level, event, plain)))
        return len(text)

    def flush(self) -> None:
        """Nothing waits here."""


def withdraw_from_view() -> None:
    """No dumps, no debugger of the same user, never longer than the server, and before it where memory runs out."""
    harden_process()
    hoard_nothing()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_EASILY_SPARED)
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


async def work(tie: socket.socket) -> int:
    """Serve until the server is gone: 0. Anything else is logged: 1."""
    service = Service()
    await asyncio.get_running_loop().create_unix_connection(lambda: service.line, sock=tie)
    log.configure(cast(TextIO, ToServer(service.line)))
    try:
        config = await service.first()
        if os.getppid() != config.parent:
            return 0  # it died before we asked to be told
        await service.run(config)
    except ServerGone:
        return 0
    except Exception:  # noqa: BLE001  # the end of a worker is seen by its server; here is why
        log.get_logger(__name__).exception("worker.failed")
        return 1
    finally:
        service.line.close()
    return 0


def main() -> int:
    """0 when the server is gone, 1 when this worker failed. Signals to stop are the server's to hear."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    withdraw_from_view()
    tie = socket.socket(fileno=os.dup(0))
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    tie.setblocking(False)
    return asyncio.run(work(tie))


if __name__ == "__main__":
    sys.exit(main())
