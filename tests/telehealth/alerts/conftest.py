"""A tower over a migrated database."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from alert_tower import SteppedClock, Tower, open_log

from telehealth.store.engine import Store
from tests.partners.databases import Databases

OpenTower = Callable[..., Any]


async def opened(stack: AsyncExitStack, databases: Databases, folder: Path, **changes: Any) -> Tower:
    clock = SteppedClock()
    store = await asyncio.to_thread(Store.open, await asyncio.to_thread(databases.of, folder))
    stack.push_async_callback(store.close)
    audit = await open_log(folder, clock)
    stack.push_async_callback(audit.close)
    return await asyncio.to_thread(lambda: Tower(store, audit, clock, folder, **changes))


@pytest.fixture
async def open_tower(sqlite_databases: Databases, tmp_path: Path) -> AsyncIterator[OpenTower]:
    async with AsyncExitStack() as stack:

        async def opening(**changes: Any) -> Tower:
            return await opened(stack, sqlite_databases, tmp_path, **changes)

        yield opening


@pytest.fixture
async def tower(open_tower: OpenTower) -> Tower:
    found: Tower = await open_tower()
    return found


@pytest.fixture
async def any_tower(databases: Databases, tmp_path: Path) -> AsyncIterator[Tower]:
    """On SQLite and on PostgreSQL."""
    async with AsyncExitStack() as stack:
        yield await opened(stack, databases, tmp_path)
