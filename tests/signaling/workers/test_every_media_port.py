"""What visits may rely on, whether the media lives in the server's process or in workers: one contract, both kinds."""

import asyncio
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from worker_parts import HOST, Browsers, Port, a_pool, calling, flows, until
from worker_room import PAIR, Speaker

from signaling.rtc import LegClosed, LegState, MediaPort, OfferRefused, PortFull, Slot
from signaling.workers import MediaPool
from telehealth.clock import SystemClock
from telehealth.frames import EncodedFrame
from tests.signaling.rtc.media_parts import KeepingSink, opus, vp8

pytestmark = pytest.mark.asyncio(loop_scope="module")
FEEDBACK, PICTURE_LOST, BANDWIDTH = 206, 1, 15  # RTCP: payload-specific feedback, PLI, REMB


async def test_frames_of_a_browser_reach_the_sink_whole(port: Port, browsers: Browsers) -> None:
    sink = KeepingSink()
    _, browser = await calling(port, browsers, sink)
    browser.send_rtp(vp8(1, 9_000, key=True, body=b"p" * 1100), opus(1, 960))
    await sink.until(lambda s: len(s.frames) == 2)
    video, audio = sink.of("video")[0], sink.of("audio")[0]
    assert (video.data[1:], video.key) == (b"p" * 1100, True)
    assert audio.data == b"\xfcsound"
    assert 0 <= port.clock.steady() - min(video.arrived, audio.arrived) < 5


async def test_after_detach_nothing_reaches_the_sink_and_the_leg_lives(port: Port, browsers: Browsers) -> None:
    sink, later = KeepingSink(), KeepingSink()
    leg, browser = await calling(port, browsers, sink)
    await flows(browser, sink, 1)
    browser.send_rtp(*(opus(number, 960 * number) for number in range(2, 60)))
    leg.detach("withdrawn")
    had = len(sink.frames)
    assert sink.closings == ["withdrawn"]
    leg.attach(later)
    await browser.hear(FEEDBACK, PICTURE_LOST)  # the first sink's
    await browser.hear(FEEDBACK, PICTURE_LOST)
    browser.send_rtp(vp8(2, 6_000, key=True))
    await later.until(lambda s: len(s.of("video")) == 1)
    assert (len(sink.frames), sink.closings, sink.after_closing) == (had, ["withdrawn"], 0)
    assert leg.state is LegState.CONNECTED


async def test_a_sink_attached_later_gets_nothing_that_came_before_and_a_key_frame_is_asked_for(
    port: Port, browsers: Browsers
) -> None:
    leg, browser = await calling(port, browsers, None)
    browser.send_rtp(vp8(1, 3_000, key=True, body=b"before"), opus(1, 960))
    await until(lambda: leg.stats().packets >= 2)
    sink = KeepingSink()
    leg.attach(sink)
    await browser.hear(FEEDBACK, PICTURE_LOST)
    browser.send_rtp(vp8(2, 6_000, key=True, body=b"after"), opus(2, 1_920))
    await sink.until(lambda s: len(s.frames) == 2)
    assert sink.of("video")[0].data[1:] == b"after"


async def test_a_leg_has_one_sink_at_a_time(port: Port, browsers: Browsers) -> None:
    leg, _ = await calling(port, browsers, KeepingSink())
    with pytest.raises(ValueError):
        leg.attach(KeepingSink())
    leg.detach("paused")
    leg.attach(KeepingSink())


async def test_an_offer_that_cannot_be_used_is_refused_with_its_fault(port: Port) -> None:
    sink = KeepingSink()
    with pytest.raises(OfferRefused) as refused:
        await port.open_leg("leg_a", "v=0\r\n", sink)
    assert refused.value.fault
    assert (sink.closings, port.stats()["legs"]) == ([], 0)


async def test_a_leg_that_was_ended_says_why_once_and_takes_nothing_more(port: Port, browsers: Browsers) -> None:
    sink = KeepingSink()
    leg, browser = await calling(port, browsers, sink)
    leg.finish("left")
    leg.finish("again")
    assert (sink.closings, leg.state, leg.close_reason) == (["left"], LegState.CLOSED, "left")
    assert await leg.wait_closed() == "left"
    assert not await leg.wait_connected()
    with pytest.raises(LegClosed):
        await leg.restart(browser.offer)
    assert port.legs() == ()


async def test_a_browser_that_leaves_ends_its_leg(port: Port, browsers: Browsers) -> None:
    sink = KeepingSink()
    leg, browser = await calling(port, browsers, sink)
    browser.ssl.shutdown()
    browser.flush()
    async with asyncio.timeout(20):
        assert await leg.wait_closed() == "closed_by_peer"
    assert sink.closings == ["closed_by_peer"]


async def test_a_later_offer_is_answered_and_one_of_another_browser_is_refused(port: Port, browsers: Browsers) -> None:
    leg, browser = await calling(port, browsers, KeepingSink())
    assert "a=ice-ufrag:" in await leg.restart(browser.offer)
    with pytest.raises(OfferRefused) as refused:
        await leg.restart(browsers(port.port).offer)
    assert refused.value.fault == "fingerprint_changed"


async def test_a_limit_is_told_to_the_browser(port: Port, browsers: Browsers) -> None:
    sink = KeepingSink()
    leg, browser = await calling(port, browsers, sink)
    leg.limit_bitrate(200_000)
    await flows(browser, sink, 1)
    async with asyncio.timeout(20):
        while announced(await browser.hear(FEEDBACK, BANDWIDTH)) > 200_000:
            continue  # said before the worker heard of the limit


def announced(remb: bytes) -> int:
    """Bit/s of a REMB."""
    return (int.from_bytes(remb[17:20], "big") & 0x3FFFF) << (remb[17] >> 2)


async def test_a_sink_that_fails_ends_its_own_leg_alone(port: Port, browsers: Browsers) -> None:
    class Failing(KeepingSink):
        def frame(self, frame: EncodedFrame) -> None:
            raise RuntimeError

    sink, other = Failing(), KeepingSink()
    leg, browser = await calling(port, browsers, sink)
    _, well = await calling(port, browsers, other, "leg_b")
    browser.send_rtp(opus(1, 960))
    async with asyncio.timeout(20):
        assert await leg.wait_closed() == "leg_failed"
    await flows(well, other, 1)
    assert sink.closings == ["leg_failed"]


async def test_figures_of_port_and_legs_are_told(port: Port, browsers: Browsers) -> None:
    sink = KeepingSink()
    leg, browser = await calling(port, browsers, sink)
    await flows(browser, sink, 1)
    await until(lambda: leg.stats().packets >= 2)
    assert [one.leg_id for one in port.legs()] == ["leg_a"]
    assert port.stats()["legs"] == 1
    assert port.stats()["packets"] >= 4


@pytest.mark.parametrize("kind", ["in process", "in workers"])
async def test_a_port_that_is_full_says_so_and_one_that_closes_ends_every_leg(kind: str, browsers: Browsers) -> None:
    if kind == "in workers":
        port: Port = await a_pool(max_legs=1)
    else:
        port = await MediaPort.open(HOST, 0, public_addresses=[HOST], clock=SystemClock(), max_legs=1)
    sink, refused = KeepingSink(), KeepingSink()
    leg, _ = await calling(port, browsers, sink)
    with pytest.raises(PortFull):
        await port.open_leg("leg_b", browsers(port.port).offer, refused)
    assert (port.stats()["legs"], refused.closings) == (1, [])
    await port.close()
    await port.close()
    assert (leg.close_reason, sink.closings) == ("port_closed", ["port_closed"])


async def test_people_of_a_room_hear_each_other_and_know_who_is_where(port: Port) -> None:
    anna, ben = (Speaker(name, ((b"\x10picture", True),), (b"\xfcsound",)) for name in ("anna", "ben"))
    with closing_lines(anna, ben):
        await anna.come(port)
        await ben.come(port)
        await until(lambda: bool(anna.told))
        for person, other in ((anna, "ben"), (ben, "anna")):
            assert person.leg is not None
            assert person.leg.slots() == (Slot("2", other, "audio"), Slot("3", other, "camera"))
        assert anna.told[-1] == anna.leg.slots()
        anna.speak()
        async with asyncio.timeout(20):
            await ben.hears()


async def test_a_screen_that_may_not_be_shared_has_no_place_with_the_others(port: Port) -> None:
    anna, ben = (Speaker(name, ((b"\x10picture", True),), (b"\xfcsound",)) for name in ("anna", "ben"))
    anna.more, ben.more = (*PAIR, ("video", "sendonly")), (*PAIR, ("video", "recvonly"))
    places = (Slot("2", "anna", "audio"), Slot("3", "anna", "camera"))
    with closing_lines(anna, ben):
        await anna.come(port)
        await ben.come(port)
        assert anna.leg is not None
        for allowed in (False, True, False):
            anna.leg.show_screen(allowed)
            shown = (*places, Slot("4", "anna", "screen")) if allowed else places
            await until(lambda shown=shown: ben.leg.slots() == shown)
            assert ben.told[-1] == shown


async def test_rooms_do_not_hear_each_other(port: Port) -> None:
    anna, ben = (Speaker(name, ((b"\x10picture", True),), (b"\xfcsound",)) for name in ("anna", "ben"))
    with closing_lines(anna, ben):
        await anna.come(port, room="one")
        await ben.come(port, room="other")
        assert (anna.leg.slots(), ben.leg.slots()) == ((), ())


async def test_whoever_leaves_frees_their_places(port: Port) -> None:
    anna, ben = (Speaker(name, ((b"\x10picture", True),), (b"\xfcsound",)) for name in ("anna", "ben"))
    with closing_lines(anna, ben):
        await anna.come(port)
        await ben.come(port)
        await until(lambda: bool(anna.told))
        ben.leg.finish("left")
        await until(lambda: anna.leg.slots() == ())


async def test_a_sink_in_a_room_gets_its_own_persons_frames_alone(port: Port) -> None:
    anna, ben = (Speaker(name, ((b"\x10picture", True),), (b"\xfcsound",)) for name in ("anna", "ben"))
    sink = KeepingSink()
    with closing_lines(anna, ben):
        await anna.come(port, sink)
        await ben.come(port)
        anna.speak()
        ben.speak()
        await sink.until(lambda s: len(s.frames) == 3)
        async with asyncio.timeout(20):
            await anna.hears()
        assert len(sink.frames) == 3


async def test_a_sink_that_fails_in_a_room_is_detached_and_the_room_goes_on(port: Port) -> None:
    class Failing(KeepingSink):
        def frame(self, frame: EncodedFrame) -> None:
            raise RuntimeError

    anna, ben = (Speaker(name, ((b"\x10picture", True),), (b"\xfcsound",)) for name in ("anna", "ben"))
    sink = Failing()
    with closing_lines(anna, ben):
        await anna.come(port, sink)
        await ben.come(port)
        anna.speak()
        await until(lambda: sink.closings == ["sink_failed"])
        async with asyncio.timeout(20):
            await ben.hears()
        assert anna.leg.state is LegState.CONNECTED
        anna.leg.attach(KeepingSink())


async def test_what_a_worker_logs_is_in_our_log_and_nothing_else_of_it(
    lasting_pool: MediaPool, browsers: Browsers, logged: io.StringIO
) -> None:
    leg, _ = await calling(lasting_pool, browsers, None)
    leg.finish("test_over")
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    connected = next(line for line in lines if line["event"] == "leg.connected")
    assert (connected["leg"], connected["index"], connected["logger"]) == ("leg_a", 0, "signaling.rtc.leg")


async def test_a_worker_has_no_environment_no_argument_and_no_file_of_ours(lasting_pool: MediaPool) -> None:
    folder = Path(f"/proc/{lasting_pool.pids()[0]}")
    names = {entry.split(b"=")[0] for entry in (folder / "environ").read_bytes().split(b"\0") if entry}
    assert names == {b"PYTHONPATH", b"PYTHONDONTWRITEBYTECODE", b"LC_ALL"}
    assert (folder / "cmdline").read_bytes().split(b"\0")[-3:] == [b"-m", b"signaling.workers.child", b""]
    links = {os.readlink(link) for link in (folder / "fd").iterdir()}
    files = {link for link in links if link.startswith("/") and not link.startswith(("/dev/", "/proc/"))}
    assert files == set()


@contextmanager
def closing_lines(*speakers: Speaker) -> Iterator[None]:
    try:
        yield
    finally:
        for speaker in speakers:
            speaker.hang_up()
