"""The port against a browser made of raw parts: paths, faults, forgery, repair, the end."""

import asyncio
import io
import os
import random
import struct

import pytest
from aioice import stun
from media_parts import (
    AUDIO_SSRC,
    REPEAT_SSRC,
    REPEAT_TYPE,
    VIDEO_SSRC,
    KeepingSink,
    ManualClock,
    RawBrowser,
    opus,
    rtp,
    vp8,
)
from OpenSSL import SSL

from signaling.rtc import Leg, LegClosed, LegState, MediaPort, OfferRefused, PortFull
from telehealth.frames import EncodedFrame

CLIENT_HELLO = bytes.fromhex("16feff00000000000000000064010000580000000000000058fefd") + bytes(86)
PLI, NACK, REMB = (206, 1), (205, 1), (206, 15)


async def until_counted(port: MediaPort, **least: int) -> None:
    """Wait until the port's counters have grown so far."""
    async with asyncio.timeout(5):
        while any(port.stats().get(name, 0) < count for name, count in least.items()):
            await asyncio.sleep(0.005)


async def test_frames_of_both_kinds_arrive_and_a_key_frame_comes_first(
    leg: Leg, raw: RawBrowser, sink: KeepingSink
) -> None:
    raw.send_rtp(opus(1, 960), vp8(7, 90, key=False), vp8(8, 180, key=True), vp8(9, 270, key=False), opus(2, 1920))
    await sink.until(lambda s: len(s.frames) == 4)
    assert [(f.key, f.timestamp) for f in sink.of("video")] == [(True, 180), (False, 270)]
    assert [(f.data, f.timestamp) for f in sink.of("audio")] == [(b"\xfcsound", 960), (b"\xfcsound", 1920)]
    assert leg.stats().frames == {"audio": 2, "video": 2}


async def test_only_aead_suites_and_srtp_profiles_are_used_where_the_browser_has_them(leg: Leg) -> None:
    keys = leg._association.keys
    assert keys is not None
    assert "GCM" in keys.profile
    assert "GCM" in str(leg._association.cipher)


async def test_a_check_with_a_wrong_password_opens_no_path(port: MediaPort, raw: RawBrowser, sink: KeepingSink) -> None:
    leg, raw.answer = await port.open_leg("leg_raw", raw.offer, sink)
    raw.send(raw.check(password="x" * 32))
    raw.send(CLIENT_HELLO)
    await until_counted(port, dropped_stun_unauthenticated=1, dropped_stray=1)
    assert leg.state is LegState.NEW
    assert port.stats()["sent"] == 0


async def test_a_peer_that_thinks_it_is_controlled_learns_of_the_role_conflict(
    port: MediaPort, raw: RawBrowser, sink: KeepingSink
) -> None:
    leg, raw.answer = await port.open_leg("leg_raw", raw.offer, sink)
    raw.send(raw.check(role="ICE-CONTROLLED"))
    assert stun.parse_message(await raw.receive()).error_code == 487
    assert leg.state is LegState.NEW


async def test_the_answer_to_a_check_tells_the_address_it_came_from(
    port: MediaPort, raw: RawBrowser, sink: KeepingSink
) -> None:
    leg, raw.answer = await port.open_leg("leg_raw", raw.offer, sink)
    reply = await raw.pass_check()
    assert reply.attributes["XOR-MAPPED-ADDRESS"] == raw.socket.getsockname()
    assert leg.state is LegState.CONNECTING


async def test_empty_datagrams_are_harmless(port: MediaPort, leg: Leg, raw: RawBrowser, sink: KeepingSink) -> None:
    with raw.new_socket() as stranger:
        for _ in range(50):
            raw.send(b"")
            stranger.sendto(b"", raw.server)
    raw.send_rtp(opus(1, 960))
    await sink.until(lambda s: len(s.frames) == 1)
    assert port.stats()["dropped_empty"] == 100
    assert leg.state is LegState.CONNECTED


async def test_a_foreign_client_hello_does_not_disturb_a_set_up(
    port: MediaPort, raw: RawBrowser, sink: KeepingSink
) -> None:
    leg, raw.answer = await port.open_leg("leg_raw", raw.offer, sink)
    with raw.new_socket() as stranger:
        for _ in range(50):
            stranger.sendto(CLIENT_HELLO, raw.server)
        await raw.pass_check()
        stranger.sendto(CLIENT_HELLO, raw.server)
        await raw.handshake()
    assert await leg.wait_connected()
    assert port.stats()["dropped_stray"] == 51


async def test_a_browser_with_cbc_suites_alone_gets_no_connection(port: MediaPort, sink: KeepingSink) -> None:
    raw = RawBrowser(port.port, ciphers=b"ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA")
    leg, raw.answer = await port.open_leg("leg_raw", raw.offer, sink)
    await raw.pass_check()
    with pytest.raises(SSL.Error):
        await raw.handshake()
    assert await leg.wait_closed() == "dtls_failed"
    assert sink.closings == ["dtls_failed"]
    raw.close()


async def test_cleartext_alerts_and_hellos_from_the_browsers_own_address_do_not_end_a_call(
    leg: Leg, raw: RawBrowser, sink: KeepingSink
) -> None:
    close_notify, fatal = b"\x01\x00", b"\x02\x28"
    for alert in (close_notify, fatal):
        raw.send(b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02" + alert)
        raw.send(b"\x15\xfe\xfd\x00\x01" + bytes(6) + b"\x00\x02" + alert)
        raw.send(CLIENT_HELLO)
    raw.send_rtp(opus(1, 960))
    await sink.until(lambda s: bool(s.frames))
    assert leg.state is LegState.CONNECTED


async def test_a_lost_flight_of_the_handshake_is_repeated(port: MediaPort, raw: RawBrowser, sink: KeepingSink) -> None:
    leg, raw.answer = await port.open_leg("leg_raw", raw.offer, sink)
    await raw.pass_check()
    await raw.handshake(lose_first_answer=True)
    assert await leg.wait_connected()


async def test_media_from_an_address_without_a_check_is_dropped(
    port: MediaPort, leg: Leg, raw: RawBrowser, sink: KeepingSink
) -> None:
    with raw.new_socket() as stranger:
        stranger.sendto(raw.outgoing.protect(opus(1, 960)), raw.server)
    await until_counted(port, dropped_stray=1)
    raw.send_rtp(opus(2, 1920))
    await sink.until(lambda s: bool(s.frames))
    assert [frame.timestamp for frame in sink.frames] == [1920]


async def test_forged_and_replayed_packets_never_reach_the_sink(
    port: MediaPort, leg: Leg, raw: RawBrowser, sink: KeepingSink
) -> None:
    real = raw.outgoing.protect(opus(1, 960))
    raw.send(real)
    raw.send(real)
    raw.send(real[:-1] + bytes([real[-1] ^ 1]))
    raw.send(opus(2, 1920))
    raw.send(rtp(111, 3, 0, AUDIO_SSRC, os.urandom(60)))
    await until_counted(port, dropped_srtp_refused=2, dropped_srtp_replayed=2)
    assert [frame.timestamp for frame in sink.frames] == [960]
    assert leg.state is LegState.CONNECTED


async def test_a_leg_has_a_largest_number_of_sources_and_forged_ones_take_none(
    port: MediaPort, leg: Leg, raw: RawBrowser, sink: KeepingSink
) -> None:
    for source in range(200):
        raw.send(rtp(111, 1, 0, 0x9000 + source, os.urandom(60)))
    await until_counted(port, dropped_srtp_refused=200)
    raw.send_rtp(opus(1, 960))
    for source in range(70):
        raw.send_rtp(rtp(111, 1, 0, 0x5000 + source, b"\xfcsound"))
    await until_counted(port, dropped_source_quota=7)
    raw.send_rtp(opus(2, 1920))
    await sink.until(lambda s: s.frames[-1].timestamp == 1920)
    assert len(leg._traffic._known) == 64
    assert port.stats()["dropped_source_quota"] == 7


async def test_a_wrong_fingerprint_closes_the_leg_without_a_frame(port: MediaPort, sink: KeepingSink) -> None:
    raw = RawBrowser(port.port, claimed=":".join(["AB"] * 32))
    leg, answer = await port.open_leg("leg_raw", raw.offer, sink)
    await raw.connect(answer)
    raw.send_rtp(opus(1, 960), vp8(1, 90, key=True))
    assert await leg.wait_closed() == "fingerprint_mismatch"
    assert not await leg.wait_connected()
    await until_counted(port, dropped_stray=2)
    assert sink.frames == []
    assert sink.closings == ["fingerprint_mismatch"]
    raw.close()


async def test_nobody_is_probed_and_only_askers_are_answered(
    port: MediaPort, raw: RawBrowser, sink: KeepingSink
) -> None:
    with raw.new_socket() as victim:
        host, number = victim.getsockname()
        named = raw.offer.replace(
            "a=mid:0", f"a=mid:0\r\na=candidate:1 1 udp 2130706431 {host} {number} typ host\r\na=end-of-candidates"
        )
        _, raw.answer = await port.open_leg("leg_raw", named, sink)
        await raw.pass_check()
        await raw.handshake()
        with pytest.raises(BlockingIOError):
            victim.recv(2048)


async def test_a_storm_of_malformed_datagrams_leaves_the_call_and_the_log_alone(
    port: MediaPort,
    leg: Leg,
    raw: RawBrowser,
    sink: KeepingSink,
    logged: io.StringIO,
    capsys: pytest.CaptureFixture[str],
) -> None:
    capsys.readouterr()
    before = logged.getvalue()
    dice = random.Random(20261122)
    check = raw.check()
    with raw.new_socket() as stranger:
        for _ in range(3000):
            seed = dice.choice([check, CLIENT_HELLO, opus(1, 2), b"\x80\xc8\x00\x06", b""])
            broken = bytearray(seed[: dice.randrange(len(seed) + 1)])
            for _ in range(dice.randrange(4)):
                if broken:
                    broken[dice.randrange(len(broken))] = dice.randrange(256)
            sender = stranger if dice.random() < 0.5 else raw.socket
            sender.sendto(bytes(broken), raw.server)
            if dice.random() < 0.01:
                await asyncio.sleep(0)
    await asyncio.sleep(0.02)
    raw.send_rtp(opus(1, 960))
    await sink.until(lambda s: bool(s.frames))
    assert leg.state is LegState.CONNECTED
    assert len(sink.frames) == 1
    assert (capsys.readouterr(), logged.getvalue()) == (("", ""), before)


async def test_a_media_flood_is_cut_while_checks_are_still_answered(still_port: MediaPort, sink: KeepingSink) -> None:
    raw = RawBrowser(still_port.port)
    leg, answer = await still_port.open_leg("leg_raw", raw.offer, sink)
    await raw.connect(answer)
    assert await leg.wait_connected()
    for number in range(1500):
        raw.send_rtp(opus(number, 960 * number))
        if number % 100 == 0:
            await asyncio.sleep(0.001)
    await until_counted(still_port, dropped_media_quota=500)
    assert len(sink.frames) == 1000
    assert (await raw.pass_check()).message_class is stun.Class.RESPONSE
    raw.close()


async def test_a_lost_packet_is_asked_for_and_its_retransmission_completes_the_picture(
    leg: Leg, raw: RawBrowser, sink: KeepingSink
) -> None:
    raw.send_rtp(vp8(65534, 0, key=True), vp8(0, 6000, key=False))
    request = await raw.hear(*NACK)
    assert struct.unpack("!IHH", request[8:16]) == (VIDEO_SSRC, 65535, 0)
    payload = struct.pack("!H", 65535) + vp8(65535, 3000, key=False)[12:]
    raw.send_rtp(rtp(REPEAT_TYPE, 5, 3000, REPEAT_SSRC, payload, marker=True))
    await sink.until(lambda s: len(s.frames) == 3)
    assert [frame.timestamp for frame in sink.frames] == [0, 3000, 6000]
    assert sink.losses == []
    assert leg.stats().rtt is not None


async def test_what_stays_lost_is_told_and_only_a_key_frame_goes_on(
    leg: Leg, raw: RawBrowser, sink: KeepingSink
) -> None:
    raw.send_rtp(vp8(1, 0, key=True), vp8(3, 6000, key=False))
    await sink.until(lambda s: s.losses == [("video", 1)])
    await raw.hear(*PLI)
    raw.send_rtp(vp8(4, 9000, key=False), vp8(5, 12000, key=True), vp8(6, 15000, key=False))
    await sink.until(lambda s: len(s.frames) == 3)
    assert [(frame.timestamp, frame.key) for frame in sink.frames] == [(0, True), (12000, True), (15000, False)]


async def test_key_frame_requests_are_made_at_most_once_a_second(
    still_port: MediaPort, clock: ManualClock, sink: KeepingSink
) -> None:
    raw = RawBrowser(still_port.port)
    leg, answer = await still_port.open_leg("leg_raw", raw.offer, sink)
    leg.request_key_frame()
    await raw.connect(answer)
    assert await leg.wait_connected()
    assert leg.stats().key_frame_requests == 0
    for _ in range(20):
        leg.request_key_frame()
    await raw.hear(*PLI)
    assert leg.stats().key_frame_requests == 1
    raw.send_rtp(vp8(1, 0, key=True))
    await sink.until(lambda s: bool(s.frames))
    clock.seconds += 1.1
    await raw.hear(*PLI)
    assert leg.stats().key_frame_requests == 2
    raw.close()


async def test_reports_tell_loss_and_echo_the_sender_report(
    still_port: MediaPort, clock: ManualClock, sink: KeepingSink
) -> None:
    raw = RawBrowser(still_port.port)
    leg, answer = await still_port.open_leg("leg_raw", raw.offer, sink)
    await raw.connect(answer)
    await leg.wait_connected()
    raw.send_rtp(opus(10, 960))
    await raw.hear(201)
    raw.send_rtp(opus(11, 1920), opus(14, 4800))
    raw.send_rtcp(struct.pack("!BBHIQIII", 0x80, 200, 6, AUDIO_SSRC, 0x0123_4567_89AB_CDEF, 960, 1, 1))
    await sink.until(lambda s: s.reports == [("audio", 960, 0x0123_4567_89AB_CDEF)])
    clock.seconds += 1.5
    report = await raw.hear(201)
    ssrc, lost, highest, _, echoed, delay = struct.unpack("!IIIIII", report[8:32])
    assert (ssrc, lost >> 24, lost & 0xFFFFFF, highest) == (AUDIO_SSRC, 128, 2, 14)
    assert (echoed, delay) == (0x4567_89AB, round(1.5 * 65536))
    assert leg.stats().loss == pytest.approx(0.5)
    raw.close()


async def test_a_limit_is_announced_to_the_sender(still_port: MediaPort, clock: ManualClock, sink: KeepingSink) -> None:
    raw = RawBrowser(still_port.port)
    leg, answer = await still_port.open_leg("leg_raw", raw.offer, sink)
    await raw.connect(answer)
    await leg.wait_connected()
    leg.limit_bitrate(300_000)
    raw.send_rtp(vp8(1, 0, key=True))
    remb = await raw.hear(*REMB)
    exponent, mantissa = remb[17] >> 2, int.from_bytes(remb[17:20], "big") & 0x3FFFF
    assert remb[12:16] == b"REMB"
    assert 298_000 <= mantissa << exponent <= 300_000
    raw.close()


async def test_the_path_follows_authenticated_media_to_a_new_address(
    leg: Leg, raw: RawBrowser, sink: KeepingSink
) -> None:
    with raw.socket:
        raw.socket = raw.new_socket()
        await raw.pass_check()
        raw.send_rtp(opus(1, 960))
        await sink.until(lambda s: bool(s.frames))
        leg.request_key_frame()
        await raw.hear(*PLI)


async def test_a_restart_gives_new_credentials_and_the_old_ones_work_meanwhile(
    port: MediaPort, leg: Leg, raw: RawBrowser, sink: KeepingSink
) -> None:
    old_ufrag, old_answer = raw.ufrag, raw.answer
    raw.ufrag, raw.password = "raw2", "q" * 24
    new_answer = await leg.restart(raw.offer)
    assert new_answer != old_answer
    raw.ufrag = old_ufrag
    await raw.pass_check()
    raw.ufrag, raw.answer = "raw2", new_answer
    await raw.pass_check()
    raw.send_rtp(opus(1, 960))
    await sink.until(lambda s: bool(s.frames))


async def test_an_offer_without_new_credentials_keeps_ours(leg: Leg, raw: RawBrowser) -> None:
    again = await leg.restart(raw.offer)
    assert [line for line in again.splitlines() if "ice-" in line] == [
        line for line in raw.answer.splitlines() if "ice-" in line
    ]


async def test_a_restart_with_another_certificate_is_refused(leg: Leg, port: MediaPort) -> None:
    other = RawBrowser(port.port)
    with pytest.raises(OfferRefused, match="offer_refused"):
        await leg.restart(other.offer)
    other.close()


async def test_old_credentials_end_after_half_a_minute(
    still_port: MediaPort, clock: ManualClock, sink: KeepingSink
) -> None:
    raw = RawBrowser(still_port.port)
    leg, raw.answer = await still_port.open_leg("leg_raw", raw.offer, sink)
    old = raw.check()
    raw.ufrag = "raw2"
    raw.answer = await leg.restart(raw.offer)
    clock.seconds += 20
    await raw.pass_check()
    clock.seconds += 11
    async with asyncio.timeout(5):
        while len(leg.agent.fragments) > 1:
            await asyncio.sleep(0.005)
    raw.send(old)
    await until_counted(still_port, dropped_stun_unknown=1)
    raw.close()


async def test_a_leg_cannot_take_an_address_that_another_leg_uses(
    port: MediaPort, leg: Leg, raw: RawBrowser, sink: KeepingSink
) -> None:
    thief = RawBrowser(port.port)
    _, thief.answer = await port.open_leg("leg_thief", thief.offer, KeepingSink())
    raw.send(thief.check())
    await until_counted(port, dropped_path_taken=1)
    raw.send_rtp(opus(1, 960))
    await sink.until(lambda s: bool(s.frames))
    thief.close()


async def test_an_address_that_nobody_used_for_five_seconds_is_anybodys(
    still_port: MediaPort, clock: ManualClock, sink: KeepingSink
) -> None:
    gone, fresh = RawBrowser(still_port.port), RawBrowser(still_port.port)
    _, answer = await still_port.open_leg("leg_gone", gone.offer, KeepingSink())
    await gone.connect(answer)
    with fresh.socket:
        fresh.socket = gone.socket  # the system gave its port to somebody else
        leg, fresh.answer = await still_port.open_leg("leg_fresh", fresh.offer, sink)
        fresh.send(fresh.check())
        await until_counted(still_port, dropped_path_taken=1)
        clock.seconds += 5
        await fresh.pass_check()
        await fresh.handshake()
    assert await leg.wait_connected()
    fresh.send_rtp(opus(1, 960))
    await sink.until(lambda s: bool(s.frames))
    fresh.close()


async def test_a_leg_ends_after_thirty_silent_seconds(
    still_port: MediaPort, clock: ManualClock, sink: KeepingSink
) -> None:
    raw = RawBrowser(still_port.port)
    leg, answer = await still_port.open_leg("leg_raw", raw.offer, sink)
    await raw.connect(answer)
    clock.seconds += 29
    await raw.pass_check()
    clock.seconds += 29
    await asyncio.sleep(0.06)
    assert leg.state is not LegState.CLOSED
    clock.seconds += 2
    async with asyncio.timeout(5):
        assert await leg.wait_closed() == "silent"
    raw.close()


async def test_a_leg_that_never_connects_ends_by_itself(
    still_port: MediaPort, clock: ManualClock, sink: KeepingSink
) -> None:
    raw = RawBrowser(still_port.port)
    leg, _ = await still_port.open_leg("leg_raw", raw.offer, sink)
    raw.close()
    clock.seconds += 31
    async with asyncio.timeout(5):
        assert await leg.wait_closed() == "silent"
    assert still_port.stats()["legs"] == 0


async def test_goodbye_on_every_track_ends_a_leg_once_checks_stop(
    still_port: MediaPort, clock: ManualClock, sink: KeepingSink
) -> None:
    raw = RawBrowser(still_port.port)
    leg, answer = await still_port.open_leg("leg_raw", raw.offer, sink)
    await raw.connect(answer)
    raw.send_rtp(opus(1, 960))
    await sink.until(lambda s: bool(s.frames))
    raw.send_rtcp(struct.pack("!BBHI", 0x80, 201, 1, AUDIO_SSRC) + struct.pack("!BBHI", 0x81, 203, 1, AUDIO_SSRC))
    await raw.hear(201)
    await raw.pass_check()
    assert leg.state is LegState.CONNECTED
    clock.seconds += 9
    async with asyncio.timeout(5):
        assert await leg.wait_closed() == "bye"
    raw.close()


async def test_close_notify_ends_the_leg_at_once(leg: Leg, raw: RawBrowser, sink: KeepingSink) -> None:
    raw.ssl.shutdown()
    raw.flush()
    async with asyncio.timeout(5):
        assert await leg.wait_closed() == "closed_by_peer"
    assert sink.closings == ["closed_by_peer"]


async def test_closing_tells_the_sink_once_and_last(
    port: MediaPort, leg: Leg, raw: RawBrowser, sink: KeepingSink
) -> None:
    await leg.close("withdrawn")
    await leg.close("again")
    raw.send_rtp(opus(1, 960))
    await until_counted(port, dropped_stray=1)
    assert (sink.closings, sink.after_closing, sink.frames) == (["withdrawn"], 0, [])
    with pytest.raises(LegClosed):
        await leg.restart(raw.offer)


async def test_a_sink_that_ends_its_leg_within_a_frame_gets_nothing_more(port: MediaPort, raw: RawBrowser) -> None:
    class Full(KeepingSink):
        def frame(self, frame: EncodedFrame) -> None:
            super().frame(frame)
            if len(self.frames) == 2:
                leg.finish("full")

    sink = Full()
    leg, answer = await port.open_leg("leg_raw", raw.offer, sink)
    await raw.connect(answer)
    raw.send_rtp(opus(1, 960), opus(3, 2880), opus(4, 3840), opus(2, 1920))
    assert await leg.wait_closed() == "full"
    assert [frame.timestamp for frame in sink.frames] == [960, 1920]
    assert (sink.closings, sink.after_closing) == (["full"], 0)


async def test_a_sink_that_fails_ends_its_own_leg_alone(
    port: MediaPort, leg: Leg, raw: RawBrowser, sink: KeepingSink
) -> None:
    class Failing(KeepingSink):
        def frame(self, frame: object) -> None:
            raise OSError("disk full")

    failing, other = Failing(), RawBrowser(port.port)
    hurt, answer = await port.open_leg("leg_hurt", other.offer, failing)
    await other.connect(answer)
    other.send_rtp(opus(1, 960))
    assert await hurt.wait_closed() == "leg_failed"
    assert failing.closings == ["leg_failed"]
    raw.send_rtp(opus(1, 960))
    await sink.until(lambda s: bool(s.frames))
    other.close()


async def test_a_full_port_refuses_and_a_closed_port_ends_its_legs(clock: ManualClock, sink: KeepingSink) -> None:
    port = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=clock, max_legs=1)
    raw = RawBrowser(port.port)
    await port.open_leg("leg_one", raw.offer, sink)
    with pytest.raises(PortFull):
        await port.open_leg("leg_two", raw.offer, KeepingSink())
    await port.close()
    assert sink.closings == ["port_closed"]
    raw.close()


async def test_the_socket_has_a_large_buffer_and_tells_kernel_drops(port: MediaPort) -> None:
    stats = port.stats()
    assert stats["receive_buffer"] >= 200_000
    assert stats["kernel_drops"] == 0
