"""A small reserved file in which closing acts wait while the log is down. Blocks; used from threads.

header: magic 8 ‖ generation u64; then records: u32 length ‖ nonce 12 ‖ AES-256-GCM of the entry; a zero length ends
them. AAD = generation ‖ offset, so that what an emptied spool still holds is never read again.
"""

import hashlib
import hmac
import json
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.audit.files import Files
from telehealth.audit.layout import Layout
from telehealth.audit.leaf import Stamped, canonical
from telehealth.clock import parse_rfc3339, rfc3339
from telehealth.ids import Entropy
from telehealth.secret import Secret

_MAGIC = b"TASPOOL1"
_HEADER = 16


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the spool held, and the mark up to which it may be emptied."""

    entries: tuple[Stamped, ...]
    mark: tuple[int, int]


class Spool:
    """Entries that could not go into the log yet, sealed, in blocks that are reserved beforehand."""

    def __init__(self, layout: Layout, files: Files, key: Secret[bytes], entropy: Entropy, size: int) -> None:
        self._path = layout.spool
        self._files = files
        self._box = AESGCM(hmac.new(key.reveal(), b"telehealth audit spool v1", hashlib.sha256).digest())
        self._entropy = entropy
        self._size = size
        self._lock = threading.Lock()  # a keeper and the drain come from two threads
        self._generation = 0
        self._end = _HEADER
        self._ready = False
        self._lock_path = layout.spool_lock
        self._held = ExitStack()  # the lock of the one server that owns the spool, until `close`
        self.count = 0

    def prepare(self) -> None:
        """Reserve the blocks and find what waits from before. Raises OSError, also when another server holds it."""
        with self._lock:
            self._held.enter_context(self._files.locked(self._lock_path, wait=False))
            self._files.reserve(self._path, self._size)
            content = self._files.read(self._path)
            self._size = len(content)
            if content[:8] == _MAGIC:
                self._generation = int.from_bytes(content[8:16], "big")
                entries, self._end = self._entries_in(content)
                self.count = len(entries)
            else:
                self._begin(1)
            self._ready = True

    def close(self) -> None:
        """Let another server have the spool; what waits in it stays."""
        self._ready = False
        self._held.close()

    def keep(self, stamped: Stamped) -> bool:
        """Make the entry durable here; False if the spool is full. Raises OSError."""
        with self._lock:
            if not self._ready:
                raise OSError("the spool could not be reserved")
            nonce = self._entropy(12)
            sealed = nonce + self._box.encrypt(nonce, _pack(stamped), self._aad(self._generation, self._end))
            record = len(sealed).to_bytes(4, "big") + sealed
            if self._end + len(record) + 4 > self._size:
                return False
            self._files.write_at(self._path, self._end, record + bytes(4))
            self._files.sync(self._path)
            self._end += len(record)
            self.count += 1
            return True

    def waiting(self) -> Waiting:
        """All that waits, oldest first. Raises OSError."""
        with self._lock:
            entries, end = self._entries_in(self._files.read(self._path, 0, self._end))
            return Waiting(tuple(entries), (self._generation, end))

    def empty(self, mark: tuple[int, int]) -> bool:
        """Forget what was entered; False if more has come since. Raises OSError."""
        with self._lock:
            if mark != (self._generation, self._end):
                return False
            self._begin(self._generation + 1)
            return True

    def _begin(self, generation: int) -> None:
        self._files.write_at(self._path, 0, _MAGIC + generation.to_bytes(8, "big") + bytes(4))
        self._files.sync(self._path)
        self._generation, self._end, self.count = generation, _HEADER, 0

    def _entries_in(self, content: bytes) -> tuple[list[Stamped], int]:
        found: list[Stamped] = []
        at = _HEADER
        while at + 4 <= len(content):
            length = int.from_bytes(content[at : at + 4], "big")
            sealed = content[at + 4 : at + 4 + length]
            if length <= 28 or len(sealed) != length:
                break
            try:
                text = self._box.decrypt(sealed[:12], sealed[12:], self._aad(self._generation, at))
            except InvalidTag:
                break  # torn, or of an earlier generation
            found.append(_unpack(text))
            at += 4 + length
        return found, at

    @staticmethod
    def _aad(generation: int, offset: int) -> bytes:
        return b"telehealth audit spool v1\n" + generation.to_bytes(8, "big") + offset.to_bytes(8, "big")


def _pack(stamped: Stamped) -> bytes:
    entry, actor = stamped.entry, stamped.entry.actor
    return canonical(
        {
            "at": rfc3339(stamped.at),
            "nonce": stamped.nonce,
            "action": entry.action.value,
            "outcome": entry.outcome.value,
            "actor": [actor.kind, actor.id, actor.role, actor.address, actor.device],
            "on": [entry.visit, entry.recording, entry.patient, entry.subject, entry.purpose],
            "detail": dict(entry.detail),
            "private": dict(entry.private),
        }
    )


def _unpack(text: bytes) -> Stamped:
    found: dict[str, Any] = json.loads(text)
    visit, recording, patient, subject, purpose = found["on"]
    entry = Entry(
        Action(found["action"]),
        Outcome(found["outcome"]),
        Actor(*found["actor"]),
        visit,
        recording,
        patient,
        subject,
        purpose,
        found["detail"],
        found["private"],
    )
    return Stamped(entry, parse_rfc3339(found["at"]), found["nonce"], closing=True, late=True)
