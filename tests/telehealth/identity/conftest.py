"""A house for every test, from a schema that is migrated once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from identity_house import House, SteppedClock, close_house, open_house

from telehealth.store.engine import Store


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("schema") / "telehealth.db"

    async def migrated() -> None:
        store = Store.open(f"sqlite:///{place}")
        await store.migrate()
        await store.close()

    asyncio.run(migrated())
    return place


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
async def house(tmp_path: Path, template: Path, clock: SteppedClock) -> AsyncIterator[House]:
    house = await open_house(tmp_path, template, clock)
    yield house
    await close_house(house)


@pytest.fixture
async def restarted(
    house: House, tmp_path: Path, template: Path, clock: SteppedClock
) -> AsyncIterator[Callable[[], Awaitable[House]]]:
    """Closes the log and opens everything anew over the same folder."""
    opened: list[House] = []

    async def again() -> House:
        await house.audit.close()
        opened.append(await open_house(tmp_path, template, clock))
        return opened[-1]

    yield again
    for other in opened:
        await close_house(other)
