"""What one server among several does again and again: a fault ends none of it, and the next look makes up for it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from signaling.nodes.together import Rooms, Together
from telehealth.draining import Draining
from telehealth.keys.keyring import Keyring
from telehealth.noding import Noding
from tests.telehealth.keys.conftest import House

Until = Callable[[Callable[[], bool]], Coroutine[Any, Any, None]]
SOON = 0.01


def a_node(**parts: Any) -> Noding:
    """One that has nothing but these."""
    named = ("registry", "together", "lines", "carriage", "beating", "base", "live")
    return Noding(**{name: parts.get(name) for name in named})


@asynccontextmanager
async def at_work(work: Coroutine[Any, Any, None]) -> AsyncIterator[Until]:
    """The worker runs; what is given waits for something to come true, and fails when the worker ends before."""
    worker = asyncio.create_task(work)

    async def until(holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                assert not worker.done()
                await asyncio.sleep(SOON / 2)

    try:
        yield until
    finally:
        worker.cancel()
        await asyncio.wait({worker})


@pytest.mark.parametrize(
    ("lost", "level", "code"),
    [("provider", "warning", "key_service_unavailable"), ("keyring", "error", "keys_not_seen")],
    ids=["key-service", "folder"],
)
async def test_looking_for_new_wrapping_keys_outlives_what_is_away(
    lost: str, level: str, code: str, tmp_path: Path
) -> None:
    house = House(tmp_path)
    await house.provider.start()
    await house.keyring.start()
    other = Keyring(tmp_path / "keyring", house.provider, house.clock)
    await other.start()
    await other.rotate()
    place, away = tmp_path / lost, tmp_path / "away"
    await asyncio.to_thread(place.rename, away)
    node = a_node(base=SimpleNamespace(keyring=house.keyring))
    with capture_logs() as said:
        async with at_work(node.refresh(every=SOON)) as until:
            await until(lambda: len(said) > 1)
            await asyncio.to_thread(away.rename, place)
            await until(lambda: house.keyring.wrapping_key == "wrapping-2")
    assert {(line["event"], line["log_level"], line["code"]) for line in said} == {("node.keys_not_seen", level, code)}


class Leaving:
    """Running visits whose database is away for the first two times."""

    asked = 0

    async def hand_over(self) -> None:
        self.asked += 1
        if self.asked < 3:
            raise OSError


async def test_a_server_that_is_going_goes_on_handing_over_after_a_fault() -> None:
    base, registry = SimpleNamespace(draining=Draining()), SimpleNamespace(others=(SimpleNamespace(draining=False),))
    base.draining.begin()
    live = Leaving()
    with capture_logs() as said:
        async with at_work(a_node(base=base, registry=registry, live=live).drain(every=SOON)) as until:
            await until(lambda: live.asked > 3)
    assert [line["event"] for line in said] == ["node.hand_over_failed"] * 2
    assert all(line["exc_info"] for line in said)


class Connected:
    """A socket of which nobody can say at first whether it may be: the database is away."""

    sid, far = "somewhere/one", None
    asked = 0

    async def still(self) -> None:
        self.asked += 1
        if self.asked < 2:
            raise OperationalError("SELECT 1", None, OSError())


async def test_asking_whether_somebody_may_be_connected_outlives_the_database() -> None:
    socket: Any = Connected()
    sockets: Any = [socket]
    nothing: Any = None
    together = Together(Rooms(nothing, sockets, nothing, nothing, nothing, nothing))
    lines: Any = SimpleNamespace(all_reachable=lambda: True)
    together.over(lines)
    together.over_with("elsewhere")
    with capture_logs() as said:
        async with at_work(together.run()) as until:
            await until(lambda: socket.asked == 2)  # asked again by itself
    assert [(line["event"], line["count"]) for line in said] == [("node.not_checked", 1)]
