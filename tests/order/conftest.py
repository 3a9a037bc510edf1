"""One real server for each test, quick to hash, with a probe around its log."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
import structlog

import telehealth.audit.log
from telehealth.app import open_server
from telehealth.audit.limits import Limits
from telehealth.clock import SystemClock
from telehealth.config import Config
from telehealth.identity.hashing import Cost
from telehealth.keys.keystore import KeyStore
from telehealth.log import configure
from tests.order.place import Place
from tests.order.probe import Probe

CHEAP = Cost(passes=1, memory_kib=64, lanes=1)
QUICK = partial(Limits, patience=2.0, brief=0.1, retry_every=0.02)


def config_in(folder: Path) -> Config:
    """Every place inside `folder`, ports chosen by the system, passkeys at localhost."""
    return Config.model_validate(
        {
            "server": {"clinic_name": "Test Clinic", "port": 0},
            "media": {"port": 0},
            "recording": {"least_free_bytes": 0},
            "places": {
                "database": f"sqlite:///{folder / 'telehealth.db'}",
                "keys": folder / "keys",
                "root_key": folder / "root.key",
                "audit": folder / "audit",
                "recordings": folder / "recordings",
            },
        }
    )


@pytest.fixture(autouse=True)
def said() -> Iterator[StringIO]:
    """What the server logs, as it would in production."""
    stream, before = StringIO(), logging.root.handlers[:]
    configure(stream)
    yield stream
    logging.root.handlers[:] = before
    structlog.reset_defaults()
    assert "worker" not in stream.getvalue(), stream.getvalue()


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Probe:
    made = Probe()
    made.install(monkeypatch)
    monkeypatch.setattr(telehealth.audit.log, "Limits", QUICK)
    return made


@pytest.fixture
async def place(tmp_path: Path, probe: Probe, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    async with (
        open_server(config_in(tmp_path), SystemClock(), CHEAP) as server,
        AsyncExitStack() as stack,
    ):
        made = Place(server, tmp_path, stack)
        give = KeyStore.open

        async def counted(store: KeyStore, *args: object, **named: object) -> object:
            made.keys_given += 1
            return await give(store, *args, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(KeyStore, "open", counted)
        yield made
