"""A signalling server on loopback for every test."""

import io
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import structlog

from telehealth.log import configure
from tests.partners.databases import Databases, SqliteDatabases
from tests.signaling.socket_house import SocketHouse, open_socket_house
from tests.telehealth.visits.visit_house import CANARY, LONG, SHORT


@pytest.fixture(scope="session")
def socket_databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return SqliteDatabases(tmp_path_factory.mktemp("sockets-schema"))


@pytest.fixture(autouse=True)
def log_text() -> Iterator[io.StringIO]:
    """What the server writes to its log: never a patient's name, never a traceback."""
    text, handlers = io.StringIO(), logging.root.handlers[:]
    configure(text)
    yield text
    logging.root.handlers[:] = handlers
    structlog.reset_defaults()
    assert CANARY not in text.getvalue()
    assert "Traceback" not in text.getvalue()


@pytest.fixture
async def house(tmp_path: Path, socket_databases: Databases) -> AsyncIterator[SocketHouse]:
    async with AsyncExitStack() as stack:
        yield await open_socket_house(tmp_path, socket_databases, LONG, stack)


@pytest.fixture
async def hasty(tmp_path: Path, socket_databases: Databases) -> AsyncIterator[SocketHouse]:
    async with AsyncExitStack() as stack:
        yield await open_socket_house(tmp_path, socket_databases, SHORT, stack)
