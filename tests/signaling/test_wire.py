"""What each open socket keeps: a light flag, a light queue; and who is heard when the server itself stood still."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from engineio.packet import MESSAGE, Packet

from signaling import wire
from signaling.flag import Flag
from signaling.wire import Outgoing, PlainWebSocket
from telehealth.clock import SystemClock
from telehealth.limits.bucket import Rate


async def test_everybody_who_waits_for_a_flag_goes_on_and_who_comes_later_does_not_wait() -> None:
    flag, woken = Flag(), list[int]()

    async def one(number: int) -> None:
        await flag.wait()
        woken.append(number)

    async with asyncio.TaskGroup() as waiting:
        for number in range(3):
            waiting.create_task(one(number))
        await asyncio.sleep(0)
        assert not woken
        flag.set()
    assert sorted(woken) == [0, 1, 2]
    await flag.wait()
    flag.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await flag.wait()


async def test_a_flag_forgets_who_stopped_waiting() -> None:
    flag = Flag()
    waits = [asyncio.create_task(flag.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    waits[0].cancel()
    await asyncio.gather(waits[0], return_exceptions=True)
    assert flag._waiting is not None
    assert len(flag._waiting) == 1
    flag.set()
    await waits[1]
    assert flag._waiting is None


async def test_packets_are_taken_in_order_all_at_once_and_whoever_waits_for_that_hears() -> None:
    queue = Outgoing()
    await queue.join()  # nothing waits
    queue.put_nowait("one")
    await queue.put("two")
    joined = asyncio.create_task(queue.join())
    await asyncio.sleep(0)
    assert not joined.done()
    assert await queue.take() == ["one", "two"]
    await joined
    taking = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    queue.put_nowait(None)
    assert await taking == [None]


async def test_nobody_waits_for_a_queue_that_was_given_up_and_its_end_still_arrives() -> None:
    queue = Outgoing()
    queue.put_nowait("never read")
    joined = asyncio.create_task(queue.join())
    await asyncio.sleep(0)
    queue.give_up()
    await joined
    queue.put_nowait(None)
    await queue.join()
    assert (await queue.take())[-1] is None


class StillClock(SystemClock):
    """Steady time is what the test says."""

    now_is = 0.0

    def steady(self) -> float:
        return self.now_is


async def listens(clock: StillClock, stood_still: float) -> str:
    """What the server's end hears of a browser that speaks when it is told to, its patience over at once."""
    over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    server: Any = SimpleNamespace(clock=clock, frames=Rate(10, 10), reason=None)

    async def carry(request: web.Request) -> web.WebSocketResponse:
        async def _handler(_self: object, _ws: object) -> None:
            """The engine's loop, which ours replaces."""

        made = PlainWebSocket(_handler.__get__(SimpleNamespace(queue=Outgoing())), server)
        await made._socket.prepare(request)
        clock.now_is += wire.JOIN_SECONDS
        listening = asyncio.create_task(made._heard())
        await asyncio.sleep(0)
        clock.now_is += stood_still
        await asyncio.wait([listening], timeout=0.05)
        await made._socket.send_str("your turn")
        await asyncio.wait([listening])
        over.set_exception(error) if (error := listening.exception()) else over.set_result(listening.result())
        await made.close()
        return made._socket

    app = web.Application()
    app.router.add_get("/", carry)
    async with TestClient(TestServer(app)) as browser, browser.ws_connect("/") as line:
        await line.receive_str()
        await line.send_str("4hello")
        await line.receive()  # the end
        return await over


async def test_a_browser_that_says_nothing_in_time_is_given_up() -> None:
    with pytest.raises(TimeoutError):
        await listens(StillClock(), 0.0)


async def test_what_came_while_the_server_stood_still_is_heard() -> None:
    assert await listens(StillClock(), 60.0) == "4hello"


async def test_whoever_asks_and_never_reads_is_cut_with_a_bounded_amount_waiting() -> None:
    """No bound but this one holds for answers: events wait until what was sent before is taken."""
    said, cut = 0, asyncio.Event()
    server: Any = SimpleNamespace(
        clock=SystemClock(), frames=Rate(10, 10), reason=SimpleNamespace(TRANSPORT_CLOSE="transport close")
    )

    class Connection(SimpleNamespace):
        async def handle(self, _ws: object) -> None:
            """The engine's loop, which ours replaces."""

        async def close(self, **_named: Any) -> None:
            cut.set()

    async def carry(request: web.Request) -> web.WebSocketResponse:
        made = PlainWebSocket(Connection(queue=queue).handle, server)
        return await made({"aiohttp.request": request})

    queue = Outgoing()
    app = web.Application()
    app.router.add_get("/", carry)
    async with TestClient(TestServer(app)) as browser, browser.ws_connect("/") as line:
        line._reader._protocol.pause_reading()
        while not cut.is_set() and said < 1000:
            queue.put_nowait(Packet(MESSAGE, "x" * 65_536))
            said += 1
            assert len(queue._packets) <= wire.MOST_WAITING / 65_536 + 1
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await cut.wait()
    assert said > wire.MOST_WAITING / 65_536
