"""A port on loopback, and legs on it whose browser is made of raw parts."""

import io
import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from media_parts import KeepingSink, ManualClock, RawBrowser

from signaling.rtc import Leg, MediaPort
from telehealth import log
from telehealth.clock import SystemClock


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.StringIO]:
    """What the test logs, as JSON lines."""
    handlers, level, stream = logging.root.handlers[:], logging.root.level, io.StringIO()
    log.configure(stream)
    yield stream
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
async def port() -> AsyncIterator[MediaPort]:
    opened = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=SystemClock())
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def still_port(clock: ManualClock) -> AsyncIterator[MediaPort]:
    """A port whose time stands still until the test moves it."""
    opened = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=clock)
    yield opened
    await opened.close()


@pytest.fixture
def sink() -> KeepingSink:
    return KeepingSink()


@pytest.fixture
async def raw(port: MediaPort) -> AsyncIterator[RawBrowser]:
    browser = RawBrowser(port.port)
    yield browser
    browser.close()


@pytest.fixture
async def leg(port: MediaPort, raw: RawBrowser, sink: KeepingSink) -> Leg:
    """A connected leg of `raw`."""
    leg, answer = await port.open_leg("leg_raw", raw.offer, sink)
    await raw.connect(answer)
    assert await leg.wait_connected()
    return leg
