"""A port on loopback, and legs on it whose browser is made of raw parts."""

import io
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import pytest
import structlog
from media_parts import KeepingSink, ManualClock, RawBrowser
from meeting_parts import own_address
from room_parts import PAIR, Come, Person

from signaling.rtc import Leg, MediaPort
from signaling.rtc.state import compiled
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


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Real browsers meet the way through Python alone in the long run; raw peers meet it always."""
    for item in items:
        by_python = getattr(item, "callspec", None) and item.callspec.params.get("built") is False
        if by_python and compiled() and item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(params=[False, True] if compiled() else [False], ids=lambda built: "compiled" if built else "python")
def built(request: pytest.FixtureRequest) -> bool:
    """Whether the port uses the compiled loop: what is tested by ports of these fixtures is tested by both ways."""
    return bool(request.param)


@pytest.fixture
async def port(built: bool) -> AsyncIterator[MediaPort]:
    opened = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=SystemClock(), compiled=built)
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def still_port(clock: ManualClock, built: bool) -> AsyncIterator[MediaPort]:
    """A port whose time stands still until the test moves it."""
    opened = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=clock, compiled=built)
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


@pytest.fixture
async def come(still_port: MediaPort) -> AsyncIterator[Come]:
    people: list[Person] = []

    async def arrive(
        name: str,
        more: Sequence[tuple[str, str]] = PAIR,
        *,
        room: str = "room",
        sink: KeepingSink | None = None,
        change: Callable[[Person], None] | None = None,
    ) -> Person:
        person = Person(still_port, name, more)
        people.append(person)
        if change is not None:
            change(person)
        await person.open(room, sink)
        await person.connect()
        return person

    yield arrive
    for person in people:
        person.raw.close()


@pytest.fixture
async def open_port() -> AsyncIterator[MediaPort]:
    opened = await MediaPort.open("0.0.0.0", 0, public_addresses=[own_address()], clock=SystemClock())
    yield opened
    await opened.close()
