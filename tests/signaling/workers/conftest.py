"""Worker processes on loopback, their legs' browsers made of raw parts, and what the server logs."""

import io
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
import structlog
from worker_parts import HOST, OpenPool, Port, a_pool

from signaling.rtc import MediaPort
from signaling.workers import MediaPool
from telehealth import log
from telehealth.clock import SystemClock
from tests.signaling.rtc.media_parts import RawBrowser


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.StringIO]:
    """What the test logs, as JSON lines."""
    handlers, level, stream = logging.root.handlers[:], logging.root.level, io.StringIO()
    log.configure(stream)
    yield stream
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
async def open_pool() -> AsyncIterator[OpenPool]:
    """Opens pools, of one worker unless told otherwise, that end with the test."""
    async with AsyncExitStack() as stack:

        async def opened(workers: int = 1, port: int = 0, **tuning: Any) -> MediaPool:
            pool = await a_pool(workers, port, **tuning)
            stack.push_async_callback(pool.close)
            return pool

        yield opened


@pytest.fixture
async def pool(open_pool: OpenPool) -> MediaPool:
    return await open_pool()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting_pool() -> AsyncIterator[MediaPool]:
    """One pool for all tests of a module; each leaves it empty."""
    pool = await a_pool()
    yield pool
    await pool.close()


@pytest_asyncio.fixture(loop_scope="module", params=["in process", "in workers"])
async def port(request: pytest.FixtureRequest, lasting_pool: MediaPool) -> AsyncIterator[Port]:
    """Either kind, for what both promise."""
    if request.param == "in workers":
        yield lasting_pool
        for leg in lasting_pool.legs():
            leg.finish("test_over")
        return
    opened = await MediaPort.open(HOST, 0, public_addresses=[HOST], clock=SystemClock())
    yield opened
    await opened.close()


@pytest.fixture
def browsers() -> Iterator[Callable[[int], RawBrowser]]:
    """Makes raw browsers that call a port."""
    made: list[RawBrowser] = []

    def browser(port: int) -> RawBrowser:
        made.append(RawBrowser(port))
        return made[-1]

    yield browser
    for one in made:
        one.close()
