"""Packets through Redis: publish and subscribe, one channel for each node's life; nothing is stored there."""

import asyncio
from collections.abc import Callable
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from signaling.nodes.lines import CarriageAway
from telehealth.limits.settings import Redis as Settings
from telehealth.limits.shared import redis_of
from telehealth.log import get_logger
from telehealth.secret import Secret

log = get_logger(__name__)

PATIENCE: Final = 0.5  # seconds for one answer
QUIET: Final = 2.0  # seconds without a word on our channel, our own included: the connection is made anew
_AGAIN: Final = 0.1
_ECHO: Final = b"echo"


class RedisCarriage:
    """Implements `signaling.nodes.lines.Carriage`. Reads the trusted certificates when it is made."""

    def __init__(self, settings: Settings, password: Secret[str] | None, patience: float = PATIENCE) -> None:
        self._prefix = settings.prefix
        self._patience = patience
        self._redis: Redis = redis_of(settings, password, patience)
        self._hearing: Redis = redis_of(settings, password, patience)
        self.away = False

    def _channel(self, node: str) -> str:
        return f"{self._prefix}node:{node}"

    async def send(self, node: str, packet: bytes) -> bool:
        """Whether anybody listens there. Raises CarriageAway within `patience`."""
        try:
            async with asyncio.timeout(self._patience):
                return int(await self._redis.publish(self._channel(node), packet)) > 0
        except (RedisError, OSError, TimeoutError) as error:
            raise CarriageAway from error

    async def listen(self, node: str, heard: Callable[[bytes], None]) -> None:
        """Subscribe, again after every fault, until cancelled."""
        while True:
            try:
                await self._hear(self._channel(node), heard)
            except (RedisError, OSError, TimeoutError) as error:
                if not self.away:
                    log.warning("node.redis_away", code="redis_away", exception_type=type(error).__name__)
                self.away = True
            await asyncio.sleep(_AGAIN)

    async def _hear(self, channel: str, heard: Callable[[bytes], None]) -> None:
        """Until a fault. Our own echo tells a quiet connection from a dead one."""
        loop = asyncio.get_running_loop()
        async with self._hearing.pubsub(ignore_subscribe_messages=True) as wire:
            async with asyncio.timeout(self._patience):
                await wire.subscribe(channel)
            last = asked = loop.time()
            while loop.time() - last < QUIET:
                if loop.time() - asked >= QUIET / 4:
                    asked = loop.time()
                    async with asyncio.timeout(self._patience):
                        await self._redis.publish(channel, _ECHO)
                said = await wire.get_message(timeout=QUIET / 4)
                if said is None:
                    continue
                last, self.away = loop.time(), False
                if said["data"] != _ECHO:
                    heard(said["data"])
            raise TimeoutError

    async def close(self) -> None:
        await self._redis.aclose()
        await self._hearing.aclose()
