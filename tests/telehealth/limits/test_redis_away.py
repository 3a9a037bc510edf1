"""Redis killed, paused, emptied, slow: everybody is answered, and nobody gets more than one process gives."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from telehealth.clock import SystemClock
from telehealth.limits.bucket import Rate
from telehealth.limits.memory import ProcessBuckets
from telehealth.limits.ports import Charge
from telehealth.limits.settings import Redis as Settings
from telehealth.limits.shared import RedisBuckets
from telehealth.limits.tiers import AGAIN, TieredBuckets
from telehealth.secret import Secret
from tests.partners.redis import PASSWORD, Redis

from .test_every_bucket import lookup

RARE = Rate(0.001, 5)
PATIENCE = 1.0  # seconds: four times the usual, so that a busy machine is not taken for a Redis that is away


@dataclass
class Node:
    buckets: TieredBuckets
    rung: list[str]
    shared: RedisBuckets

    async def take(self, subject: str) -> bool:
        return await self.buckets.take([Charge("address", subject, RARE)]) == 0


@pytest.fixture
async def nodes(redis: Redis) -> AsyncIterator[tuple[Node, Node]]:
    made = []
    for _ in range(2):
        shared = RedisBuckets(Settings(url=redis.url), Secret(PASSWORD), lookup, PATIENCE)
        rung: list[str] = []
        own = ProcessBuckets(SystemClock())
        made.append(Node(TieredBuckets(own, shared, SystemClock(), rung.append), rung, shared))
    yield made[0], made[1]
    for node in made:
        await node.shared.close()


async def let_in(subject: str, *nodes: Node, tries: int = 20) -> int:
    tried = await asyncio.gather(*(node.take(subject) for node in nodes for _ in range(tries)))
    return sum(tried)


async def back(node: Node) -> None:
    """Wait until the node counts with the others again."""
    async with asyncio.timeout(5):
        for number in itertools.count():
            if node.buckets.together:
                return
            await node.take(f"whoever comes by, {number}")
            await asyncio.sleep(0.05)


async def test_two_nodes_share_one_limit(nodes: tuple[Node, Node]) -> None:
    assert await let_in("shared", *nodes) == 5


@pytest.mark.parametrize("how", ["killed", "paused"])
async def test_without_redis_each_node_goes_on_alone_and_comes_back(
    how: str, nodes: tuple[Node, Node], redis: Redis
) -> None:
    assert await let_in(f"before {how}", *nodes) == 5
    await asyncio.to_thread(redis.kill if how == "killed" else redis.freeze)
    begun = time.monotonic()
    assert await let_in(f"before {how}", *nodes) <= 10, "what was used up stays used up where it was"
    assert await let_in(f"during {how}", *nodes) == 10
    assert time.monotonic() - begun < PATIENCE + 2
    assert nodes[0].rung == ["limits_redis_away"]
    begun = time.monotonic()
    assert await nodes[0].take(f"at once, {how}")
    assert time.monotonic() - begun < AGAIN
    await asyncio.to_thread(redis.restart if how == "killed" else redis.thaw)
    for node in nodes:
        await back(node)
    assert await let_in(f"after {how}", *nodes) == 5


async def test_an_emptied_redis_lets_nobody_in_once_more(nodes: tuple[Node, Node], redis: Redis) -> None:
    assert await let_in("emptied", *nodes, tries=5) == 5
    await asyncio.to_thread(redis.ask, "FLUSHALL")
    assert await let_in("emptied", *nodes, tries=20) <= 5, "each node still knows its own share"
    assert not nodes[0].rung


async def test_a_slow_redis_holds_nobody_up(nodes: tuple[Node, Node], redis: Redis) -> None:
    slow = asyncio.create_task(asyncio.to_thread(redis.ask, "DEBUG", "SLEEP", "0"))
    await slow
    await asyncio.to_thread(redis.freeze)
    longest = 0.0
    for number in range(40):
        begun = time.monotonic()
        assert await nodes[1].take(f"somebody {number}")
        longest = max(longest, time.monotonic() - begun)
    await asyncio.to_thread(redis.thaw)
    assert longest < PATIENCE + 1
    await back(nodes[1])


async def test_a_refusal_of_ones_own_never_asks_redis(nodes: tuple[Node, Node], redis: Redis) -> None:
    assert await let_in("flood", nodes[0]) == 5
    await asyncio.to_thread(redis.freeze)
    assert await let_in("flood", nodes[0], tries=500) == 0
    assert nodes[0].rung == []
    await asyncio.to_thread(redis.thaw)
