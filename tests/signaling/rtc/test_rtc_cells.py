"""A flood from one address gets a socket of its own, and the others keep theirs."""

import asyncio
import socket

import pytest
from media_parts import KeepingSink, RawBrowser, opus
from tcp_parts import TcpBrowser

from signaling.rtc import Leg, MediaPort, cells


@pytest.fixture
def port(still_port: MediaPort) -> MediaPort:
    """Budgets fill up with time, which stands still here."""
    return still_port


async def until(what: str, port: MediaPort, least: int) -> None:
    async with asyncio.timeout(5):
        while port.stats().get(what, 0) < least:
            await asyncio.sleep(0.005)


async def flood(raw: RawBrowser, count: int, first: int = 1) -> None:
    for number in range(first, first + count):
        raw.send_rtp(opus(number, 960 * number))
        if number % 100 == 0:
            await asyncio.sleep(0.001)


async def flooding_leg(port: MediaPort) -> tuple[Leg, RawBrowser]:
    raw = RawBrowser(port.port)
    leg, answer = await port.open_leg("leg_flood", raw.offer, KeepingSink())
    await raw.connect(answer)
    assert await leg.wait_connected()
    await flood(raw, 1500)
    await until("confined", port, 1)
    return leg, raw


async def test_a_flood_is_confined_and_answered_still_while_others_notice_nothing(
    port: MediaPort, sink: KeepingSink
) -> None:
    raw = RawBrowser(port.port)
    leg, answer = await port.open_leg("leg_raw", raw.offer, sink)
    await raw.connect(answer)
    assert await leg.wait_connected()
    _, flooder = await flooding_leg(port)
    await flood(flooder, 3000, 1501)
    for number in range(1, 51):
        raw.send_rtp(opus(number, 960 * number))
    await sink.until(lambda s: len(s.frames) == 50)
    raw.close()
    (cell,) = port._cells.open
    assert cell.socket.getpeername() == flooder.socket.getsockname()
    for _ in range(10):  # as browsers repeat them: a flood may push one out of its own buffer
        flooder.send(flooder.check())
        await asyncio.sleep(0.05)
    await flooder.pass_check()
    flooder.close()


async def test_what_is_confined_is_let_out_when_it_is_quiet_again(
    port: MediaPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "_QUIET_TICKS", 2)
    leg, flooder = await flooding_leg(port)
    async with asyncio.timeout(5):
        while port.stats()["confined"]:
            await asyncio.sleep(0.005)
    await flooder.pass_check()
    assert leg.close_reason is None
    flooder.close()


async def test_a_cell_ends_with_its_leg_and_nobody_can_bind_the_port_beside_it(port: MediaPort) -> None:
    leg, flooder = await flooding_leg(port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError):
            thief.bind(("127.0.0.1", port.port))
    await leg.close("done")
    async with asyncio.timeout(5):
        while port.stats()["confined"]:
            await asyncio.sleep(0.005)
    flooder.close()


async def test_there_are_so_many_cells_and_no_more(port: MediaPort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "MOST_CELLS", 0)
    raw = RawBrowser(port.port)
    leg, answer = await port.open_leg("leg_flood", raw.offer, KeepingSink())
    await raw.connect(answer)
    assert await leg.wait_connected()
    await flood(raw, 1500)
    await until("dropped_media_quota", port, 1)
    assert port.stats()["confined"] == 0
    raw.close()


async def test_a_flood_by_tcp_confines_nobody_who_comes_by_udp(port: MediaPort, sink: KeepingSink) -> None:
    flooder, raw = TcpBrowser(port.port), RawBrowser(port.port)
    loud, flooder.answer = await port.open_leg("leg_flood", flooder.offer, KeepingSink())
    await flooder.dial()
    await flooder.connect(flooder.answer)
    assert await loud.wait_connected()
    leg, answer = await port.open_leg("leg_raw", raw.offer, sink)
    await raw.connect(answer)
    assert await leg.wait_connected()
    await flood(flooder, 1500)
    await until("dropped_media_quota", port, 100)
    raw.send_rtp(opus(1, 960), opus(2, 1920))
    await sink.until(lambda s: len(s.frames) == 2)
    assert port.stats()["confined"] == 0
    raw.close()
    flooder.close()
