"""Planted databases, on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from privacy_planted import Planted, planted_in

from tests.partners.databases import Databases


@asynccontextmanager
async def _open(databases: Databases, folder: Path) -> AsyncIterator[Planted]:
    url = await asyncio.to_thread(databases.of, folder)
    found = await planted_in(folder, url)
    try:
        yield found
    finally:
        await found.store.close()
        await found.audit.close()


@pytest.fixture
async def planted(sqlite_databases: Databases, tmp_path: Path) -> AsyncIterator[Planted]:
    async with _open(sqlite_databases, tmp_path) as found:
        yield found


@pytest.fixture
async def any_planted(databases: Databases, tmp_path: Path) -> AsyncIterator[Planted]:
    """On SQLite and on PostgreSQL."""
    async with _open(databases, tmp_path) as found:
        yield found
