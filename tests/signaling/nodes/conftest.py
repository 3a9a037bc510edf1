"""Carriages by hand: one inside the process, and one through a real Redis."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from signaling.nodes.redis import RedisCarriage
from telehealth.limits.settings import Redis as Settings
from telehealth.secret import Secret
from tests.partners.redis import PASSWORD, Redis
from tests.signaling.nodes.node_lineup import Hub, Lineup


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    partner = Redis(tmp_path_factory.mktemp("redis"))
    try:
        yield partner
    finally:
        partner.stop()


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
async def lineup(hub: Hub) -> AsyncIterator[Lineup]:
    async with AsyncExitStack() as stack:
        yield Lineup(lambda: hub, stack)


@pytest.fixture
async def through_redis(redis: Redis) -> AsyncIterator[Lineup]:
    async with AsyncExitStack() as stack:

        def carriage() -> RedisCarriage:
            made = RedisCarriage(Settings(url=redis.url), Secret(PASSWORD))
            stack.push_async_callback(made.close)
            return made

        yield Lineup(carriage, stack)


@pytest.fixture(params=["process", "redis"])
def either(request: pytest.FixtureRequest) -> Lineup:
    """The contract: whatever carries the packets, the lines keep the same promises."""
    found: Lineup = request.getfixturevalue("lineup" if request.param == "process" else "through_redis")
    return found
