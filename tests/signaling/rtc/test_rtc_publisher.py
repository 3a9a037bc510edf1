"""A stock WebRTC sender against the port, and the private parts of its library that we lean on."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCCertificate, certificate_digest
from media_parts import KeepingSink, opus
from OpenSSL import SSL
from pylibsrtp import Policy, Session

from signaling.rtc import MediaPort
from signaling.rtc.srtp import Opener, Sealer


@pytest.fixture
async def peer() -> AsyncIterator[RTCPeerConnection]:
    made = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    made.addTransceiver(AudioStreamTrack(), direction="sendonly")
    made.addTransceiver(VideoStreamTrack(), direction="sendonly")
    await made.setLocalDescription(await made.createOffer())
    yield made
    await made.close()


async def test_a_stock_sender_delivers_frames_and_clock_reports_until_it_leaves(
    port: MediaPort, peer: RTCPeerConnection, sink: KeepingSink
) -> None:
    leg, answer = await port.open_leg("leg_stock", peer.localDescription.sdp, sink)
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    async with asyncio.timeout(5):
        assert await leg.wait_connected()
    await sink.until(lambda s: len(s.of("audio")) > 20 and len(s.of("video")) > 10)
    assert sink.of("video")[0].key
    assert sink.losses == []
    await sink.until(lambda s: {kind for kind, _, _ in s.reports} == {"audio", "video"})
    for kind, timestamp, _ in sink.reports:
        rate = 48_000 if kind == "audio" else 90_000
        assert abs(timestamp - sink.of(kind)[0].timestamp) < 10 * rate
    await peer.close()
    async with asyncio.timeout(5):
        assert await leg.wait_closed() == "closed_by_peer"


async def test_hostile_datagrams_do_not_close_a_stock_senders_call(
    port: MediaPort, peer: RTCPeerConnection, sink: KeepingSink
) -> None:
    leg, answer = await port.open_leg("leg_stock", peer.localDescription.sdp, sink)
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    async with asyncio.timeout(5):
        assert await leg.wait_connected()
    path = peer.getSenders()[0].transport.transport._connection
    for datagram in (b"\x80", b"\x16\xfe\xfd", bytes(1400), b"\x80\x60" + bytes(90), b"\x80\xc8" + bytes(40)):
        await path.send(datagram)
    already = len(sink.frames)
    await sink.until(lambda s: len(s.frames) > already + 20)
    assert port.stats()["dropped_srtp_refused"] >= 2
    assert sink.closings == []


async def test_a_stock_receiver_decodes_what_a_stock_sender_publishes(port: MediaPort, peer: RTCPeerConnection) -> None:
    leg, answer = await port.open_leg("leg_stock", peer.localDescription.sdp, room="room", publisher="stock")
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    listener = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    tracks = {}
    listener.on("track", lambda track: tracks.update({track.kind: track}))
    for kind in ("audio", "video"):
        listener.addTransceiver(kind, direction="recvonly")
    await listener.setLocalDescription(await listener.createOffer())
    other, answer = await port.open_leg(
        "leg_listener", listener.localDescription.sdp, room="room", publisher="listener"
    )
    await listener.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    async with asyncio.timeout(10):
        assert await leg.wait_connected()
        assert await other.wait_connected()
        for _ in range(5):
            picture, sound = await tracks["video"].recv(), await tracks["audio"].recv()
    assert (picture.width, sound.sample_rate) == (640, 48_000)
    assert {slot.source for slot in other.slots()} == {"audio", "camera"}
    await listener.close()
    async with asyncio.timeout(5):
        assert await other.wait_closed() == "closed_by_peer"


def test_certificates_are_small_and_carry_their_key_where_we_look_for_it() -> None:
    certificate = RTCCertificate.generateCertificate()
    context = SSL.Context(SSL.DTLS_METHOD)
    context.use_certificate(certificate._cert)
    context.use_privatekey(certificate._key)
    context.check_privatekey()
    assert len(certificate_digest(certificate._cert, "sha-256")) == 95


def test_srtp_profiles_are_ordered_with_aead_first() -> None:
    names = [profile.openssl_profile for profile in SRTP_PROFILES]
    assert names[:2] == [b"SRTP_AEAD_AES_256_GCM", b"SRTP_AEAD_AES_128_GCM"]
    assert [(profile.key_length, profile.salt_length) for profile in SRTP_PROFILES[:2]] == [(32, 12), (16, 12)]


def test_srtp_in_place_tells_replays_from_forgeries_and_never_uses_a_number_twice() -> None:
    profile = SRTP_PROFILES[0]

    def session(direction: int) -> Session:
        key = bytes(profile.key_length + profile.salt_length)
        return Session(Policy(key=key, ssrc_type=direction, srtp_profile=profile.libsrtp_profile))

    sealer, opener = Sealer(session(Policy.SSRC_ANY_OUTBOUND)), Opener(session(Policy.SSRC_ANY_INBOUND))
    sealer.buffer[: len(opus(7, 960))] = opus(7, 960)
    datagram = sealer.seal(len(opus(7, 960)))
    assert datagram is not None
    assert opener.open(datagram[:-1] + b"x") == 0
    size = opener.open(datagram)
    assert bytes(opener.view[:size]) == opus(7, 960)
    assert opener.open(datagram) == -1
    sealer.buffer[: len(opus(7, 1920))] = opus(7, 1920)
    assert sealer.seal(len(opus(7, 1920))) is None


async def test_every_start_has_a_certificate_of_its_own(port: MediaPort) -> None:
    other = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=port.clock)
    assert other._identity.fingerprint != port._identity.fingerprint
    await other.close()
