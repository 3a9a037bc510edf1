"""Passwords and passcodes: argon2id (RFC 9106), in threads, a few at a time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from telehealth.identity.faults import SlowDown

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cost:
    """RFC 9106 §4, second recommended option: 64 MiB, 3 passes, 4 lanes; about 0.1 s of two cores."""

    passes: int = 3
    memory_kib: int = 65_536
    lanes: int = 4


class Hasher:
    """`at_once` hashes run together; `waiting` more may queue, then SlowDown: memory and cores stay bounded."""

    def __init__(self, cost: Cost | None = None, *, at_once: int = 2, waiting: int = 32) -> None:
        cost = cost or Cost()
        self._argon = PasswordHasher(cost.passes, cost.memory_kib, cost.lanes, type=Type.ID)
        self._turns = asyncio.Semaphore(at_once)
        self._room = at_once + waiting
        self._decoy: str | None = None  # what a missing hash is compared with, so that it takes as long

    async def hash(self, text: str) -> str:
        """The encoded hash, ≤ 200 characters. Raises SlowDown."""
        return await self._run(lambda: self._argon.hash(text))

    async def verify(self, encoded: str | None, text: str) -> bool:
        """Whether `text` was hashed to `encoded`; with None the same work, and False. Raises SlowDown."""
        if self._decoy is None:
            self._decoy = await self.hash("nobody's")
        against = self._decoy if encoded is None else encoded
        right = await self._run(lambda: self._matches(against, text))
        return right and encoded is not None

    def outdated(self, encoded: str) -> bool:
        """Whether the hash was made at another cost than today's."""
        return self._argon.check_needs_rehash(encoded)

    def _matches(self, encoded: str, text: str) -> bool:
        try:
            return self._argon.verify(encoded, text)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._room <= 0:
            raise SlowDown(retry_after=2)
        self._room -= 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work)
        finally:
            self._room += 1
