"""From the configuration to the door that counts who comes."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from telehealth.base import Base
from telehealth.config import read_secret
from telehealth.identity.standing import opens
from telehealth.ids import Entropy
from telehealth.limits.devices import Devices
from telehealth.limits.door import Door
from telehealth.limits.memory import ProcessBuckets
from telehealth.limits.sieve import Known, Sieve
from telehealth.limits.tiers import TieredBuckets
from telehealth.store.link_tokens import by_tokens

if TYPE_CHECKING:  # a command on the folder does not wait for it; a server has it from its socket library
    from telehealth.limits.shared import RedisBuckets


@dataclass(frozen=True, slots=True)
class Limiting:
    """The door, and the buckets behind it."""

    door: Door
    buckets: TieredBuckets
    own: ProcessBuckets
    shared: "RedisBuckets | None"

    async def close(self) -> None:
        if self.shared is not None:
            await self.shared.close()

    def measure(self, gauge: Callable[[str, str, Callable[[], float]], None]) -> None:
        """Figures for the scrape."""
        gauge("limits_buckets", "Token buckets in this process", lambda: float(len(self.own)))
        gauge("limits_redis_away", "1 while Redis cannot be asked", lambda: float(not self.buckets.together))


async def limiting_of(base: Base, entropy: Entropy) -> Limiting:
    """The door as configured; Redis is asked only once somebody comes. Raises ConfigRefused for a secret's file."""
    settings, own = base.config.redis, ProcessBuckets(base.clock)
    shared = await asyncio.to_thread(_shared, base) if settings.url else None
    buckets = TieredBuckets(own, shared, base.clock, base.alarms)
    sieve = Sieve(_opening(base))
    door = Door(buckets, base.config.limits, Devices(base.fields.lookup, entropy), sieve)
    return Limiting(door, buckets, own, shared)


def _shared(base: Base) -> "RedisBuckets":
    """Blocks."""
    from telehealth.limits.shared import RedisBuckets

    settings = base.config.redis
    password = read_secret(settings.password_file) if settings.password_file else None
    return RedisBuckets(settings, password, base.fields.lookup)


def _opening(base: Base) -> Known:
    tries = base.config.visits.code_tries

    async def known(hashes: Collection[bytes]) -> Collection[bytes]:
        """Those that open: to what does not, the answer under load is one and the same, issued once or never."""
        async with base.store.read() as connection:
            found = await by_tokens(connection, hashes)
        now = base.clock.now()
        return {token for token, link in found.items() if opens(link, now, tries)}

    return known
