"""A whole server in this process, on loopback, its ports chosen by the system."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from io import StringIO
from pathlib import Path

import pytest
import structlog

from telehealth.app import open_server
from telehealth.clock import SystemClock
from telehealth.config import Config
from telehealth.log import configure
from tests.order.conftest import CHEAP, config_in
from tests.order.place import Place

SECRET = "what the server and coturn know"


@pytest.fixture(autouse=True)
def said() -> Iterator[StringIO]:
    """What the server logs, as it would in production."""
    stream, before = StringIO(), logging.root.handlers[:]
    configure(stream)
    yield stream
    logging.root.handlers[:] = before
    structlog.reset_defaults()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "turn.secret").write_text(SECRET)
    turn = {
        "turn_urls": ["turn:turn.example.org:3478", "turns:turn.example.org:443?transport=tcp"],
        "turn_secret_file": tmp_path / "turn.secret",
    }
    whole = config_in(tmp_path).model_dump()
    return Config.model_validate({**whole, "media": {**whole["media"], **turn}})


@pytest.fixture
async def place(tmp_path: Path, config: Config) -> AsyncIterator[Place]:
    async with open_server(config, SystemClock(), CHEAP) as server, AsyncExitStack() as stack:
        yield Place(server, tmp_path, stack)
