"""Places apart from the log where checkpoints are kept: another path, object storage with a lock, syslog."""

import asyncio
import base64
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from telehealth.audit.faults import AnchorRefused
from telehealth.audit.ledger import Signed
from telehealth.audit.note import Checkpoint, NoteInvalid, parse_checkpoint
from telehealth.audit.one_thread import OneThread
from telehealth.clock import Clock
from telehealth.durable import private_folder, sync_folder, write_whole
from telehealth.syslog import Address, Stream, message, send_datagram

_SYSLOG_PATIENCE = 5.0  # seconds
_READ_PATIENCE = 5.0  # seconds


class Place(Protocol):
    """Somewhere that keeps checkpoints. `name` goes into logs and alarms."""

    @property
    def name(self) -> str: ...

    async def keep(self, signed: Signed) -> None:
        """Keep a checkpoint durably. Raises OSError, AnchorRefused."""
        ...


class PathPlace:
    """A folder, best on another machine's disk: `checkpoint` is the newest, `<day>.checkpoints` holds all of a day.

    All of its work is done in a thread of its own: a folder that hangs keeps nobody else waiting.
    """

    name = "path"

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._thread = OneThread("audit anchor")

    async def keep(self, signed: Signed) -> None:
        """Keep a checkpoint durably. Raises OSError (TimeoutError while the last one hangs), AnchorRefused."""
        await self._thread.run(lambda: self._keep(signed))

    def newest(self, patience: float = _READ_PATIENCE) -> bytes | None:
        """What was kept last. Blocks for at most `patience` seconds. Raises OSError."""
        return self._thread.begin(self._newest).result(patience)

    def _newest(self) -> bytes | None:
        try:
            return (self._folder / "checkpoint").read_bytes()
        except FileNotFoundError:
            return None

    def _keep(self, signed: Signed) -> None:
        private_folder(self._folder)
        self._check_grown(signed.head)
        note = signed.note
        day = self._folder / f"{self._clock.now():%Y-%m-%d}.checkpoints"
        fresh = not day.exists()
        handle = os.open(day, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            os.write(handle, note + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
        if fresh:
            sync_folder(self._folder)
        write_whole(self._folder / "checkpoint", note)

    def _check_grown(self, head: Checkpoint) -> None:
        """A log that is shorter than what was kept of it, or another of that size, never takes its place."""
        note = self._newest()
        if note is None:
            return
        try:
            kept = parse_checkpoint(note.decode().rpartition("\n\n")[0] + "\n")
        except (UnicodeDecodeError, NoteInvalid):
            raise AnchorRefused("kept_note_unreadable") from None
        is_other = kept.size == head.size and kept.root != head.root
        if kept.origin == head.origin and (kept.size > head.size or is_other):
            raise AnchorRefused("log_went_back")


class LockedStore(Protocol):
    """Object storage that lets nobody, not even its owner, delete or replace an object before a date."""

    async def put_locked(self, key: str, content: bytes, until: datetime) -> None:
        """Raises OSError."""
        ...


class LockedPlace:
    """One object for every checkpoint, named by time and size, locked for `days`."""

    name = "s3"

    def __init__(self, store: LockedStore, prefix: str, days: int, clock: Clock) -> None:
        self._store = store
        self._prefix = prefix
        self._days = timedelta(days=days)
        self._clock = clock

    async def keep(self, signed: Signed) -> None:
        now = self._clock.now()
        key = f"{self._prefix}{now:%Y/%m/%d/%H%M%S}-{signed.head.size:020d}.checkpoint"
        await self._store.put_locked(key, signed.note, now + self._days)


class SyslogPlace:
    """RFC 5424 to `unix:///dev/log`, `udp://host:port`, `tcp://host:port` or `tls://host:port` (octet-counted).

    Over TCP and TLS it returns once the collector read the message; over the others nobody tells what became of it.
    A look-up or a collector that hangs keeps nobody else waiting.
    """

    name = "syslog"

    def __init__(self, address: Address, clock: Clock) -> None:
        self._address = address
        self._clock = clock
        self._thread = OneThread("audit anchor syslog")

    async def keep(self, signed: Signed) -> None:
        """Raises OSError (TimeoutError while the last one hangs)."""
        head, note = signed.head, base64.b64encode(signed.note).decode("ascii")
        text = f"origin={head.origin} size={head.size} root={head.root.hex()} note={note}".encode()
        content = message(self._clock.now(), "telehealth", str(os.getpid()), "checkpoint", text)
        async with asyncio.timeout(_SYSLOG_PATIENCE):
            await self._thread.run(lambda: self._send(content))

    def _send(self, content: bytes) -> None:
        if self._address.scheme in ("unix", "udp"):
            send_datagram(self._address, content, _SYSLOG_PATIENCE)
            return
        stream = Stream(self._address, _SYSLOG_PATIENCE)
        try:
            stream.send([content])
            stream.finish()
        finally:
            stream.close()
