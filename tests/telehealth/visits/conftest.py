"""A place for every test, on SQLite; the stores below have their own tests on both kinds."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.partners.databases import Databases
from tests.telehealth.visits.visit_house import LONG, SHORT, Board, Place, open_place


@pytest.fixture
async def place(tmp_path: Path, sqlite_databases: Databases) -> AsyncIterator[Place]:
    """Sixty seconds to come back, as in the clinic."""
    async with AsyncExitStack() as stack:
        yield await open_place(tmp_path, sqlite_databases, LONG, Board(), stack)


@pytest.fixture
async def hasty(tmp_path: Path, sqlite_databases: Databases) -> AsyncIterator[Place]:
    """A few hundredths of a second to come back."""
    async with AsyncExitStack() as stack:
        yield await open_place(tmp_path, sqlite_databases, SHORT, Board(), stack)
