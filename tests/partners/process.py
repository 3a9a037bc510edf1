"""One partner's process: started, waited for, stopped."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

LONGEST = 30.0  # seconds a partner may take until it is ready


_PORTS = range(20_000, 32_000)  # below those that the system gives to every connection that is opened


def free_port() -> int:
    """A port on loopback that was free for TCP and UDP a moment ago."""
    for port in random.SystemRandom().sample(_PORTS, 100):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port is free")


class Partner:
    """A child process whose output goes to `log`; its environment is what is given and PATH, nothing else.

    It leads a group of its own: what it starts (npm's node is a script that starts node) is stopped with it.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log = log
        self._over = False
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                process_group=0,
                env={"PATH": os.environ["PATH"], "HOME": str(log.parent), **(environment or {})},
            )

    def wait(self, ready: Callable[[], bool]) -> None:
        """Return when `ready()` is true. Raises RuntimeError with the log's end when it dies or is too slow."""
        until = time.monotonic() + LONGEST
        while not ready():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(self.log.read_text("utf-8", "replace")[-2000:])
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.02)

    def freeze(self) -> None:
        """Stop it from answering, its sockets still open."""
        self._tell(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def thaw(self) -> None:
        self._tell(signal.SIGCONT)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it and wait until it is gone; then end what it started and left behind. A second time: nothing."""
        if self._over:
            return
        if self._process.poll() is None:
            self._tell(signal.SIGCONT)
            self._tell(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
        self._tell(signal.SIGKILL)
        self._process.wait()
        self._over = True

    def _tell(self, what: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # nobody of the group is left
            os.killpg(self._process.pid, what)


def answers(url: str) -> bool:
    """Whether anything speaks HTTP there."""
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
