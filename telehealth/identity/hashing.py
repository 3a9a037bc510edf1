"""Passwords and passcodes: argon2id (RFC 9106), in threads, a few at a time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from telehealth.identity.turns import FairTurns
from telehealth.limits.subjects import network_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cost:
    """RFC 9106 §4, second recommended option: 64 MiB, 3 passes, 4 lanes; about 0.1 s of two cores."""

    passes: int = 3
    memory_kib: int = 65_536
    lanes: int = 4


class Hasher:
    """`at_once` hashes run together, `waiting` more may queue, `each` of one source: memory and cores stay bounded.

    Sources take turns, so that one address's flood makes nobody else wait longer than a hash or two.
    """

    def __init__(self, cost: Cost | None = None, *, at_once: int = 2, waiting: int = 64, each: int = 32) -> None:
        cost = cost or Cost()
        self._argon = PasswordHasher(cost.passes, cost.memory_kib, cost.lanes, type=Type.ID)
        self._turns = FairTurns(at_once, waiting, each)
        self._decoy: str | None = None  # what a missing hash is compared with, so that it takes as long

    async def hash(self, text: str, source: str | None = None) -> str:
        """The encoded hash, ≤ 200 characters. `source`: who asks, as an address. Raises SlowDown."""
        return await self._run(lambda: self._argon.hash(text), source)

    async def verify(self, encoded: str | None, text: str, source: str | None = None) -> bool:
        """Whether `text` was hashed to `encoded`; with None the same work, and False. Raises SlowDown."""
        if self._decoy is None:
            self._decoy = await self.hash("nobody's", source)
        against = self._decoy if encoded is None else encoded
        right = await self._run(lambda: self._matches(against, text), source)
        return right and encoded is not None

    def outdated(self, encoded: str) -> bool:
        """Whether the hash was made at another cost than today's."""
        return self._argon.check_needs_rehash(encoded)

    def _matches(self, encoded: str, text: str) -> bool:
        try:
            return self._argon.verify(encoded, text)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T], source: str | None) -> T:
        async with self._turns.turn(network_of(source or "")):
            return await asyncio.to_thread(work)
