"""Buckets in Redis, for several nodes at once: one script, atomic, on Redis's own clock; keys are keyed hashes."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection
from redis.asyncio.connection import parse_url
from redis.exceptions import RedisError

from telehealth.limits.ports import BucketsAway, Charge
from telehealth.limits.settings import Redis as Settings
from telehealth.secret import Secret

PATIENCE = 0.25  # seconds for one answer
CONNECTIONS = 16

# KEYS: buckets. ARGV: a second and at once of each. Looks at all first; charges all or none. What is kept expires
# once the bucket is full again, because a full bucket and none are the same. Answers the wait in microseconds.
SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local wait, tokens = 0, {}
for at = 1, #KEYS do
  local rate, most = tonumber(ARGV[2 * at - 1]), tonumber(ARGV[2 * at])
  local kept = redis.call('HMGET', KEYS[at], 't', 's')
  local left = most
  if kept[1] and kept[2] then
    local passed = math.max(0, now - tonumber(kept[2]))
    left = math.min(most, tonumber(kept[1]) + passed * rate / 1000000)
  end
  tokens[at] = left
  if left < 1 then wait = math.max(wait, math.ceil((1 - left) * 1000000 / rate)) end
end
if wait > 0 then return wait end
for at = 1, #KEYS do
  local rate, most = tonumber(ARGV[2 * at - 1]), tonumber(ARGV[2 * at])
  local left = tokens[at] - 1
  redis.call('HSET', KEYS[at], 't', string.format('%.17g', left), 's', string.format('%.0f', now))
  redis.call('PEXPIRE', KEYS[at], math.ceil((most - left) * 1000 / rate) + 1000)
end
return 0
"""


class _TlsConnection(SSLConnection):
    """With a context made once: the library would read the trusted certificates anew for every connection."""

    def __init__(self, *, shared_context: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = shared_context


def redis_of(settings: Settings, password: Secret[str] | None, patience: float) -> Redis:
    """A client that waits for nothing longer than `patience` seconds. Reads the trusted certificates. Blocks."""
    options: dict[str, Any] = {
        **parse_url(settings.url),
        "password": password.reveal() if password else None,
        "driver_info": None,  # else every connection reads the library's version from disk
        "socket_timeout": patience,
        "socket_connect_timeout": patience,
        "max_connections": CONNECTIONS,
        "timeout": patience,  # for a free connection
        "retry": None,
    }
    if settings.url.startswith("unix://"):
        del options["socket_connect_timeout"]
    if settings.url.startswith("rediss://"):
        context = ssl.create_default_context(cafile=settings.ca_file)
        options |= {"connection_class": _TlsConnection, "shared_context": context}
    return Redis.from_pool(BlockingConnectionPool(**options))


class RedisBuckets:
    """`lookup(purpose, text)` hashes with a key, so that Redis learns no address, account or link.

    Reads the trusted certificates when it is made.
    """

    def __init__(
        self,
        settings: Settings,
        password: Secret[str] | None,
        lookup: Callable[[str, str], bytes],
        patience: float = PATIENCE,
    ) -> None:
        self._lookup = lookup
        self._patience = patience
        self._prefix = settings.prefix
        self._redis = redis_of(settings, password, patience)
        self._script = self._redis.register_script(SCRIPT)

    async def take(self, charges: Sequence[Charge]) -> float:
        """0 when all were charged; else the seconds until they can be. Raises BucketsAway, within `patience`."""
        keys = [self._key(charge) for charge in charges]
        rates = [part for charge in charges for part in (charge.rate.a_second, charge.rate.at_once)]
        try:
            async with asyncio.timeout(self._patience):
                asked = cast("Awaitable[int]", self._script(keys=keys, args=rates))
                return int(await asked) / 1e6
        except (RedisError, OSError, TimeoutError, ValueError, TypeError) as error:
            raise BucketsAway from error

    def _key(self, charge: Charge) -> str:
        return f"{self._prefix}limit:{self._lookup('limit', f'{charge.name} {charge.subject}').hex()[:32]}"

    async def close(self) -> None:
        await self._redis.aclose()
