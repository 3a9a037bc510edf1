"""A signalling server on loopback for every test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.signaling.socket_house import SocketHouse, open_socket_house
from tests.telehealth.visits.visit_house import LONG, SHORT, migrated


@pytest.fixture(scope="session")
def socket_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = tmp_path_factory.mktemp("sockets-schema") / "telehealth.db"
    asyncio.run(migrated(database))
    return database


@pytest.fixture
async def house(tmp_path: Path, socket_template: Path) -> AsyncIterator[SocketHouse]:
    async with AsyncExitStack() as stack:
        yield await open_socket_house(tmp_path, socket_template, LONG, stack)


@pytest.fixture
async def hasty(tmp_path: Path, socket_template: Path) -> AsyncIterator[SocketHouse]:
    async with AsyncExitStack() as stack:
        yield await open_socket_house(tmp_path, socket_template, SHORT, stack)
