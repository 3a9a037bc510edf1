"""A place for every test, from a schema that is migrated once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.telehealth.visits.visit_house import LONG, SHORT, Board, Place, migrated, open_place


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = tmp_path_factory.mktemp("visits-schema") / "telehealth.db"
    asyncio.run(migrated(database))
    return database


@pytest.fixture
async def place(tmp_path: Path, template: Path) -> AsyncIterator[Place]:
    """Sixty seconds to come back, as in the clinic."""
    async with AsyncExitStack() as stack:
        yield await open_place(tmp_path, template, LONG, Board(), stack)


@pytest.fixture
async def hasty(tmp_path: Path, template: Path) -> AsyncIterator[Place]:
    """A few hundredths of a second to come back."""
    async with AsyncExitStack() as stack:
        yield await open_place(tmp_path, template, SHORT, Board(), stack)
