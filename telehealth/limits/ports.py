"""What counts: the one Protocol of buckets, in process or in Redis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from telehealth.limits.bucket import Rate


@dataclass(frozen=True, slots=True)
class Charge:
    """One token of the bucket `name` (a kind of limit) of `subject` (whose)."""

    name: str
    subject: str
    rate: Rate


class BucketsAway(Exception):
    """The buckets cannot be asked now."""


class Buckets(Protocol):
    """Takes a token of every bucket asked for, or of none."""

    async def take(self, charges: Sequence[Charge]) -> float:
        """0 when all were charged; else the seconds until they can be, and nothing was. Raises BucketsAway."""
        ...
