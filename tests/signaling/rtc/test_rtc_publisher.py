"""A stock WebRTC sender against the port, and the private parts of its library that we lean on."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCCertificate, certificate_digest
from media_parts import KeepingSink
from OpenSSL import SSL

from signaling.rtc import MediaPort


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


async def test_every_start_has_a_certificate_of_its_own(port: MediaPort) -> None:
    other = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=port.clock)
    assert other._identity.fingerprint != port._identity.fingerprint
    await other.close()
