"""ICE-TCP beside UDP on one number: paths, framing, bounds, addresses of both families."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from media_parts import KeepingSink, ManualClock, RawBrowser, field, opus, vp8
from OpenSSL import SSL
from tcp_parts import TcpBrowser, framed

from signaling.rtc import Leg, LegState, MediaPort, tcp
from signaling.rtc.sockets import open_sockets
from telehealth.clock import SystemClock


@pytest.fixture
async def dialled(port: MediaPort) -> AsyncIterator[TcpBrowser]:
    browser = TcpBrowser(port.port)
    await browser.dial()
    yield browser
    browser.close()


async def until_counted(port: MediaPort, **least: int) -> None:
    async with asyncio.timeout(5):
        while any(port.stats().get(name, 0) < count for name, count in least.items()):
            await asyncio.sleep(0.005)


async def until_no_connection(port: MediaPort) -> None:
    async with asyncio.timeout(5):
        while port.stats()["tcp"]:
            await asyncio.sleep(0.005)


async def open_leg(port: MediaPort, browser: RawBrowser, sink: KeepingSink, name: str = "leg_raw") -> Leg:
    leg, answer = await port.open_leg(name, browser.offer, sink)
    browser.answer = answer
    return leg


async def test_a_call_by_tcp_alone_hands_over_its_frames(
    port: MediaPort, dialled: TcpBrowser, sink: KeepingSink
) -> None:
    leg = await open_leg(port, dialled, sink)
    reply = await dialled.pass_check()
    assert reply.attributes["XOR-MAPPED-ADDRESS"] == dialled.tcp.getsockname()
    await dialled.handshake()
    assert await leg.wait_connected()
    dialled.send_rtp(opus(1, 960), vp8(7, 90, key=True))
    await sink.until(lambda s: len(s.frames) == 2)
    assert leg.stats().path == "tcp4"
    await leg.close("done")
    assert await dialled.ended()
    assert port.stats()["tcp"] == 0


async def test_frames_may_come_in_any_pieces(port: MediaPort, dialled: TcpBrowser, sink: KeepingSink) -> None:
    leg = await open_leg(port, dialled, sink)
    await dialled.connect(dialled.answer)
    assert await leg.wait_connected()
    octets = b"".join(framed(dialled.outgoing.protect(opus(number, 960 * number))) for number in range(1, 9))
    for at in range(0, len(octets), 7):
        dialled.tcp.sendall(octets[at : at + 7])
        await asyncio.sleep(0)
    await sink.until(lambda s: len(s.frames) == 8)


async def test_the_answer_names_tcp_beside_udp_and_only_what_was_asked_for(
    port: MediaPort, raw: RawBrowser, sink: KeepingSink
) -> None:
    _, both = await port.open_leg("leg_both", raw.offer, sink)
    lines = [line for line in both.splitlines() if line.startswith("a=candidate")][:2]
    assert lines == [
        f"a=candidate:0 1 udp 2130706431 127.0.0.1 {port.port} typ host",
        f"a=candidate:1 1 tcp 1520435199 127.0.0.1 {port.port} typ host tcptype passive",
    ]
    for transport, other in (("udp", " tcp "), ("tcp", " udp ")):
        _, answer = await port.open_leg(f"leg_{transport}", raw.offer, sink, transports=(transport,))
        assert f" {transport} " in answer
        assert other not in answer


async def test_a_leg_that_was_told_tcp_alone_takes_nothing_by_udp(
    port: MediaPort, dialled: TcpBrowser, sink: KeepingSink
) -> None:
    leg, dialled.answer = await port.open_leg("leg_raw", dialled.offer, sink, transports=("tcp",))
    RawBrowser.send(dialled, dialled.check())
    await until_counted(port, dropped_stun_unknown=1)
    assert leg.state is LegState.NEW
    await dialled.connect(dialled.answer)
    assert await leg.wait_connected()


async def test_a_call_moves_from_udp_to_tcp_by_an_ice_restart_while_udp_still_works(
    port: MediaPort, sink: KeepingSink
) -> None:
    browser = TcpBrowser(port.port)
    leg = await open_leg(port, browser, sink)
    await browser.connect(browser.answer)
    assert await leg.wait_connected()
    browser.send_rtp(opus(1, 960))
    await sink.until(lambda s: len(s.frames) == 1)
    assert leg.stats().path == "udp4"
    old, browser.ufrag = browser.answer, "raw2"
    browser.answer = await leg.restart(browser.offer)
    assert field(old, "ice-pwd") != field(browser.answer, "ice-pwd")
    browser.send_rtp(opus(2, 1920))
    await sink.until(lambda s: len(s.frames) == 2)
    await browser.dial()
    await browser.pass_check()
    assert leg.stats().path == "udp4"
    browser.send_rtp(opus(3, 2880))
    await sink.until(lambda s: len(s.frames) == 3)
    assert leg.stats().path == "tcp4"
    browser.answer, browser.ufrag = old, "raw1"
    browser.hang_up()
    await browser.pass_check()
    browser.close()


async def test_what_is_sent_goes_back_to_udp_where_the_connection_ends(port: MediaPort, sink: KeepingSink) -> None:
    browser = TcpBrowser(port.port)
    leg = await open_leg(port, browser, sink)
    await browser.connect(browser.answer)
    assert await leg.wait_connected()
    await browser.dial()
    await browser.pass_check()
    browser.send_rtp(opus(1, 960))
    await sink.until(lambda s: bool(s.frames))
    assert leg.stats().path == "tcp4"
    browser.hang_up()
    await until_no_connection(port)
    assert leg.stats().path == "udp4"
    assert leg.state is LegState.CONNECTED
    leg.request_key_frame()
    await browser.hear(206, 1)
    browser.close()


async def test_a_connection_without_a_proven_check_is_closed_in_time(
    still_port: MediaPort, clock: ManualClock, sink: KeepingSink
) -> None:
    browser = TcpBrowser(still_port.port)
    await open_leg(still_port, browser, sink)
    await browser.dial()
    browser.send(browser.check(password="x" * 32))
    await until_counted(still_port, dropped_stun_unauthenticated=1)
    clock.seconds += tcp.PROVEN_WITHIN + 0.1
    assert await browser.ended()
    assert still_port.stats()["dropped_tcp_unproven"] == 1
    browser.close()


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        framed(b"\x16\xfe\xfd" + bytes(60)),
        framed(b"\x80" + bytes(60)),
        b"\0\0",
        framed(b"\0\1" + bytes(18)) * 40,
        b"\xff\xff",
    ],
    ids=["http", "dtls", "rtp", "empty", "many", "huge"],
)
async def test_anything_but_a_check_closes_an_unproven_connection(
    port: MediaPort, dialled: TcpBrowser, octets: bytes
) -> None:
    dialled.tcp.sendall(octets)
    assert await dialled.ended()
    assert port.stats()["tcp"] == 0


async def test_a_frame_too_large_closes_a_proven_connection_and_the_leg_lives(
    port: MediaPort, dialled: TcpBrowser, sink: KeepingSink
) -> None:
    leg = await open_leg(port, dialled, sink)
    await dialled.connect(dialled.answer)
    assert await leg.wait_connected()
    dialled.tcp.sendall(b"\x08\x01")
    assert await dialled.ended()
    assert port.stats()["dropped_tcp_framing"] == 1
    assert leg.state is LegState.CONNECTED
    assert leg.stats().path == ""


@pytest.mark.parametrize(
    "octets",
    [bytes(4096), framed(b"\x80" * 12), framed(b"\x04" + bytes(60)), framed(b"\x40" + bytes(60))],
    ids=["empty", "short", "unknown", "channel"],
)
async def test_a_frame_of_no_protocol_closes_a_proven_connection(
    port: MediaPort, dialled: TcpBrowser, sink: KeepingSink, octets: bytes
) -> None:
    leg = await open_leg(port, dialled, sink)
    await dialled.connect(dialled.answer)
    assert await leg.wait_connected()
    dialled.tcp.sendall(octets)
    assert await dialled.ended()
    assert port.stats()["dropped_tcp_framing"] == 1
    assert leg.state is LegState.CONNECTED


async def test_more_frames_than_a_call_has_wait_in_the_network(
    still_port: MediaPort, clock: ManualClock, sink: KeepingSink
) -> None:
    browser, count = TcpBrowser(still_port.port), 2 * int(tcp.FRAMES_AT_ONCE)
    leg = await open_leg(still_port, browser, sink)
    await browser.dial()
    await browser.connect(browser.answer)
    assert await leg.wait_connected()
    assert browser.tcp is not None
    sent = asyncio.create_task(asyncio.get_running_loop().sock_sendall(browser.tcp, framed(bytes(20)) * count))
    await until_counted(still_port, dropped_stun_malformed=int(tcp.FRAMES_AT_ONCE) - 100)
    for _ in range(10):
        clock.seconds += 0.02
        await asyncio.sleep(0.06)  # a tick
    most = tcp.FRAMES_AT_ONCE + 0.2 * tcp.FRAMES_PER_SECOND + 400  # of one read more
    assert still_port.stats()["dropped_stun_malformed"] <= most, "it is not read meanwhile"
    for _ in range(4):
        clock.seconds += 0.5
        await asyncio.sleep(0.15)
    await until_counted(still_port, dropped_stun_malformed=count)
    await sent
    browser.send_rtp(opus(1, 960))
    await sink.until(lambda s: bool(s.frames))
    assert leg.state is LegState.CONNECTED
    browser.close()


async def test_a_reader_that_does_not_read_is_cut_and_holds_a_bounded_amount(
    still_port: MediaPort, clock: ManualClock, sink: KeepingSink
) -> None:
    browser = TcpBrowser(still_port.port)
    leg = await open_leg(still_port, browser, sink)
    await browser.dial()
    await browser.connect(browser.answer)
    assert await leg.wait_connected()
    (connection,) = still_port._tcp.connections
    for _ in range(20_000):
        still_port.send(bytes(1000), connection)
    waiting = connection._wire.get_write_buffer_size()
    assert 0 < waiting <= tcp.MOST_WAITING + 1002
    assert still_port.stats()["dropped_tcp_slow"] > 10_000
    assert still_port.stats()["tcp"] == 1
    clock.seconds += tcp.SLOW_FOR + 0.1
    await until_no_connection(still_port)
    assert still_port.stats()["dropped_tcp_stuck"] == 1
    assert leg.state is LegState.CONNECTED
    browser.close()


async def test_the_oldest_connections_that_prove_nothing_make_room(
    port: MediaPort, sink: KeepingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "MOST_UNPROVEN", 4)
    proven = TcpBrowser(port.port)
    leg = await open_leg(port, proven, sink)
    await proven.dial()
    await proven.connect(proven.answer)
    assert await leg.wait_connected()
    idle = [TcpBrowser(port.port) for _ in range(5)]
    for number, one in enumerate(idle):
        await one.dial()
        await until_connected(port, 1 + min(4, number + 1))
    assert await idle[0].ended()
    assert port.stats()["dropped_tcp_full"] == 1
    late = TcpBrowser(port.port)
    other = await open_leg(port, late, KeepingSink(), "leg_late")
    await late.dial()
    await late.connect(late.answer)
    assert await other.wait_connected()
    assert port.stats()["dropped_tcp_full"] == 2
    assert leg.stats().path == "tcp4"
    for one in [*idle, late, proven]:
        one.close()
    await until_no_connection(port)
    assert not port._tcp._of_source
    assert not port._tcp._unproven_of
    assert not port._tcp._unproven


async def test_more_connections_than_there_may_be_are_refused_when_all_are_in_use(
    port: MediaPort, sink: KeepingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "MOST_OF_AN_ADDRESS", 2)
    callers = [TcpBrowser(port.port) for _ in range(2)]
    for number, one in enumerate(callers):
        leg = await open_leg(port, one, KeepingSink(), f"leg_{number}")
        await one.dial()
        await one.connect(one.answer)
        assert await leg.wait_connected()
    late = TcpBrowser(port.port)
    await late.dial()
    assert await late.ended()
    assert port.stats()["tcp"] == 2
    for one in [*callers, late]:
        one.close()


async def until_connected(port: MediaPort, count: int) -> None:
    async with asyncio.timeout(5):
        while port.stats()["tcp"] < count:
            await asyncio.sleep(0.005)


async def test_addresses_of_one_ipv6_network_count_as_one() -> None:
    assert tcp._source("2001:db8::1") == tcp._source("2001:db8::ffff:2")
    assert tcp._source("2001:db8:0:1::1") != tcp._source("2001:db8::1")
    assert tcp._source("192.0.2.1") != tcp._source("192.0.2.2")


async def test_one_number_serves_both_families_and_both_transports(sink: KeepingSink) -> None:
    port = await MediaPort.open(["127.0.0.1", "::1"], 0, public_addresses=["127.0.0.1", "::1"], clock=SystemClock())
    for number, (host, transport) in enumerate(
        [("127.0.0.1", "udp"), ("::1", "udp"), ("127.0.0.1", "tcp"), ("::1", "tcp")]
    ):
        browser = TcpBrowser(port.port)
        leg = await open_leg(port, browser, sink, f"leg_{number}")
        assert f" {transport} " in browser.answer
        if transport == "tcp":
            await browser.dial(host)
        elif host == "::1":
            browser.socket.close()
            browser.socket = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            browser.socket.setblocking(False)
            browser.server = (host, port.port)
        await browser.connect(browser.answer)
        assert await leg.wait_connected()
        assert leg.stats().path == f"{transport}{'6' if ':' in host else '4'}"
        browser.close()
    await port.close()


async def test_a_port_without_tcp_tells_of_none(raw: RawBrowser, sink: KeepingSink, clock: ManualClock) -> None:
    port = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=clock, tcp=False)
    _, answer = await port.open_leg("leg_raw", raw.offer, sink)
    assert " tcp " not in answer
    with socket.socket() as trying:
        assert trying.connect_ex(("127.0.0.1", port.port)) != 0
    await port.close()


def test_a_number_that_is_taken_leaves_no_socket_open() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OSError):
            open_sockets(["127.0.0.1"], taken.getsockname()[1], tcp=True)


async def test_checks_copied_on_the_way_do_not_push_out_the_path_of_the_media(
    port: MediaPort, leg: Leg, raw: RawBrowser, sink: KeepingSink
) -> None:
    raw.send_rtp(opus(1, 960))
    await sink.until(lambda s: len(s.frames) == 1)
    copy, strangers = raw.check(), [raw.new_socket() for _ in range(20)]
    for stranger in strangers:
        stranger.sendto(copy, raw.server)
    async with asyncio.timeout(5):
        for stranger in strangers:
            await asyncio.get_running_loop().sock_recv(stranger, 2048)
    raw.send_rtp(opus(2, 1920))
    await sink.until(lambda s: len(s.frames) == 2)
    assert len(leg.agent.paths) == 8
    assert sum(len(door.proven) for door in port._udp) == 8
    for stranger in strangers:
        stranger.close()


@pytest.mark.parametrize("offered", [b"SRTP_AES128_CM_SHA1_80", b"SRTP_AES128_CM_SHA1_32"])
async def test_a_browser_without_an_aead_profile_gets_no_connection(
    port: MediaPort, sink: KeepingSink, offered: bytes
) -> None:
    raw = RawBrowser(port.port, profile=offered)
    leg = await open_leg(port, raw, sink)
    await raw.pass_check()
    with suppress(SSL.Error):
        await raw.handshake()
    assert await leg.wait_closed() == "dtls_failed"
    assert sink.frames == []
    raw.close()
