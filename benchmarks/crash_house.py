"""A server that is killed at a moment of our choosing, and the disk it leaves."""

import asyncio
import json
import os
import shutil
import signal
import socket
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recordings.envelope import HEADER_SIZE, TAG_SIZE, WORD_SIZE, split_word
from telehealth.base import open_keyring
from telehealth.clock import SystemClock
from telehealth.config import load
from telehealth.keys.keystore import KeyStore
from telehealth.keys.provider import KeyDestroyed
from tests.faults.server import Server

_LOUD = ("error", "critical")
# What the log says truly of a kill between its journal and its files, and of a disk that is slow: no promise broken.
_FAIR = frozenset({"audit.repaired", "audit.in_memory"})
_GLANCE = 0.001  # seconds between looks
_SETTINGS = {"SESSIONS__STEP_UP_MINUTES": "720", "SESSIONS__IDLE_MINUTES": "720"}


@dataclass(frozen=True, slots=True)
class Dead:
    """What lay on the disk when the server was dead: rows, names of files, whole segments of each capture file."""

    recordings: Mapping[str, Mapping[str, Any]]
    files: Mapping[str, Mapping[str, Any]]
    names: frozenset[str]
    segments: Mapping[str, int]

    def of_visit(self, visit: str) -> str | None:
        """The id of the visit's newest recording, if it had a row."""
        found = [row for row in self.recordings.values() if row["visit_id"] == visit]
        return max(found, key=lambda row: row["started_at"])["id"] if found else None

    def files_of(self, recording: str) -> list[Mapping[str, Any]]:
        return [row for row in self.files.values() if row["recording_id"] == recording]


class CrashHouse(Server):
    """Killed and started again on one folder."""

    def __init__(self, folder: Path, main: str = "telehealth") -> None:
        super().__init__(folder, _SETTINGS, main=main)
        self._until: Callable[[], bool] | None = None

    def __enter__(self) -> "CrashHouse":
        super().__enter__()
        return self

    @property
    def vault(self) -> Path:
        return self.folder / "recordings"

    def names(self) -> frozenset[str]:
        """Every file name in the vault."""
        try:
            return frozenset(os.listdir(self.vault))
        except FileNotFoundError:
            return frozenset()

    def kill(self) -> float:
        """SIGKILL; when, in steady seconds."""
        moment = time.monotonic()
        self.process.kill()
        self.stop(signal.SIGKILL)
        return moment

    def start_until(self, what: Callable[[], bool]) -> None:
        """Start, and come back as soon as something is so, at the latest a second after it answers."""
        self._until = what
        try:
            self.start()
        finally:
            self._until = None

    def _wait_until_open(self) -> None:
        if self._until is None:
            super()._wait_until_open()
            return
        deadline = time.monotonic() + 60
        is_open = False
        while not self._until() and time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}: {self.log.read_text()[-2000:]}")
            with socket.socket() as probe:
                if not is_open and probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    deadline, is_open = time.monotonic() + 1, True
            time.sleep(_GLANCE)

    def loud(self, since: int) -> list[dict[str, Any]]:
        """What was logged as an error from that line on; a line torn by a kill is none of ours."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines()[since:]:
            try:
                told = json.loads(line)
            except ValueError:
                continue
            loud = told.get("level") in _LOUD or "exception_type" in told
            if loud and told.get("code") not in _FAIR:
                found.append(told)
        return found

    def log_length(self) -> int:
        return len(self.log.read_text(errors="replace").splitlines())

    def dead(self) -> Dead:
        """Look at the disk; nothing is changed."""
        names = self.names()
        captures = {name.partition(".")[0]: self.vault / name for name in names if name.endswith(".capture")}
        with tempfile.TemporaryDirectory() as name:
            copy = self._database_in(Path(name))
            with closing(sqlite3.connect(copy)) as connection:
                connection.row_factory = sqlite3.Row
                recordings = {row["id"]: dict(row) for row in connection.execute("SELECT * FROM recordings")}
                files = {row["id"]: dict(row) for row in connection.execute("SELECT * FROM files")}
        return Dead(recordings, files, names, {file: whole_segments(path) for file, path in captures.items()})

    def kept_keys(self, recording: str) -> list[Mapping[str, Any]]:
        """A recording's sealed files with their halves of keys, asked of the running server's database."""
        return self._asked("SELECT * FROM files WHERE recording_id = ? AND state = 'sealed'", recording)

    def is_marking(self) -> bool:
        """Whether some recording is marked as interrupted and not sealed yet."""
        return bool(self._asked("SELECT id FROM recordings WHERE state = ? LIMIT 1", "interrupted"))

    def _asked(self, query: str, value: str) -> list[Mapping[str, Any]]:
        asked = f"file:{self.folder / 'telehealth.db'}?mode=ro"
        with closing(sqlite3.connect(asked, uri=True, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query, (value,))]

    async def opening(self, rows: list[Mapping[str, Any]]) -> set[str]:
        """The ids of those files whose keys still open, asked of a copy of database and key store."""
        with tempfile.TemporaryDirectory() as name:
            copy = Path(name)
            self._database_in(copy)
            for part in ("keys", "root"):
                shutil.copytree(self.folder / part, copy / part, ignore=shutil.ignore_patterns("*.sock"))
            places = {f"TELEHEALTH_{key}": text for key, text in self.settings.items() if key.startswith("PLACES__")}
            config = load(None, {key: text.replace(str(self.folder), name) for key, text in places.items()})
            async with AsyncExitStack() as stack:
                provider, keyring = await open_keyring(config, SystemClock())
                stack.push_async_callback(provider.close)
                keys = KeyStore(config.places.keys / "shares", provider, keyring, SystemClock())
                await keys.start()
                stack.push_async_callback(keys.close)
                return {row["id"] for row in rows if await _opens(keys, row)}

    def _database_in(self, folder: Path) -> Path:
        for path in self.folder.glob("telehealth.db*"):
            shutil.copy(path, folder / path.name)
        return folder / "telehealth.db"


async def _opens(keys: KeyStore, row: Mapping[str, Any]) -> bool:
    try:
        await keys.open(row["id"], wrapped_share=row["wrapped_share"], wrapping_key=row["wrapping_key"])
    except KeyDestroyed:
        return False
    return True


def whole_segments(path: Path) -> int:
    """How many segments of an envelope are there from their first octet to their last."""
    return whole_segments_in(path.read_bytes())


def whole_segments_in(data: bytes) -> int:
    """The same of its content."""
    at, count = HEADER_SIZE, 0
    while len(data) - at >= WORD_SIZE:
        at += WORD_SIZE + split_word(memoryview(data)[at : at + WORD_SIZE])[0] + TAG_SIZE
        count += at <= len(data)
    return count


async def happens(what: Callable[[], bool], seconds: float) -> bool:
    """Whether something became so in time; looked at every millisecond."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_GLANCE)
    return True
