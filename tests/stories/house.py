"""A real server in a process of its own, on free loopback ports, with a data folder that goes afterwards."""

import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from tests.partners.process import free_port

ROOT = Path(__file__).resolve().parents[2]


class House:
    """`with House(folder) as house:` starts it; leaving stops it and waits."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        *,
        main: str = "telehealth",
        words: tuple[str, ...] = ("serve",),
    ) -> None:
        self.folder = folder
        self.words = words
        self.main = main  # a module with the same command line, for builds that are wrong on purpose
        self.port, self.media_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.lines: list[str] = []
        self.log = folder / "server.log"
        self._said: queue.Queue[str] = queue.Queue(maxsize=10_000)
        self.settings = {
            "SERVER__PORT": str(self.port),
            "MEDIA__PORT": str(self.media_port),
            "PLACES__DATABASE": f"sqlite:///{folder / 'telehealth.db'}",
            "PLACES__KEYS": str(folder / "keys"),
            "PLACES__ROOT_KEY": str(folder / "root" / "root.key"),
            "PLACES__AUDIT": str(folder / "audit"),
            "PLACES__RECORDINGS": str(folder / "recordings"),
        } | dict(settings or {})

    @property
    def environment(self) -> dict[str, str]:
        ours = {f"TELEHEALTH_{name}": value for name, value in self.settings.items()}
        return os.environ | ours | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

    def __enter__(self) -> "House":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.main, *self.words],
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self._wait_until_open()
        except RuntimeError:
            self.stop(signal.SIGKILL)
            raise

    def _wait_until_open(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}: {self.log.read_text()[-2000:]}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError("the server did not answer within a minute")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            self._said.put(line)

    def said(self, pattern: str, seconds: float = 15) -> str:
        """The first group of `pattern` in what the server printed, waiting for it."""
        deadline = time.monotonic() + seconds
        while True:
            for line in list(self.lines):
                if found := re.search(pattern, line):
                    return found.group(1)
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"the server did not print {pattern!r}")
            try:
                self._said.get(timeout=left)
            except queue.Empty:
                continue

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the process and wait for it."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(timeout=30)
        self._reader.join(timeout=5)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def command(self, *words: str, check: bool = True) -> dict[str, object]:
        """Run the command line with `--json` on this house's data."""
        done = subprocess.run(
            [sys.executable, "-m", "telehealth", *words, "--json"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{words}: {done.returncode} {done.stdout[-500:]} {done.stderr[-1500:]}")
        answer: dict[str, object] = json.loads(done.stdout) if done.stdout.strip() else {}
        return (
            {**answer, "exit": done.returncode}
            if isinstance(answer, dict)
            else {"items": answer, "exit": done.returncode}
        )

    def files(self) -> Iterator[tuple[Path, bytes]]:
        """Everything on its disk, with what is in it; what the server takes away meanwhile is left out."""
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = Path(folder) / name
                with suppress(FileNotFoundError):
                    if path.is_file():
                        yield path, path.read_bytes()
