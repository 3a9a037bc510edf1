"""A house for every test, on both kinds of database."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from identity_house import House, SteppedClock, close_house, open_house

from tests.partners.databases import Databases


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
async def house(tmp_path: Path, databases: Databases, clock: SteppedClock) -> AsyncIterator[House]:
    house = await open_house(tmp_path, databases, clock)
    yield house
    await close_house(house)


@pytest.fixture
async def restarted(
    house: House, tmp_path: Path, databases: Databases, clock: SteppedClock
) -> AsyncIterator[Callable[[], Awaitable[House]]]:
    """Closes the log and opens everything anew over the same folder."""
    opened: list[House] = []

    async def again() -> House:
        await house.audit.close()
        opened.append(await open_house(tmp_path, databases, clock))
        return opened[-1]

    yield again
    for other in opened:
        await close_house(other)
