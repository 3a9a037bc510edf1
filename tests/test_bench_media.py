"""The media benchmark's own instruments: what they count is what was sent, and what was altered or lost shows."""

import os
import random
import socket
import struct
from collections.abc import Iterator

import pytest
from pylibsrtp import Policy

from benchmarks.bench_media import Window, _ratios
from benchmarks.clips import FPS, Clip
from benchmarks.media_flow import VIDEO_PACKETS, Chunk, Heard, Source, body, picture
from benchmarks.media_peer import _PROFILE, Crypt, Part, Peer, field, sections
from benchmarks.media_sides import kernel_drops, resident

KEY = bytes(range(_PROFILE.key_length + _PROFILE.salt_length))
OTHER = KEY[::-1]


class Relayed:
    """A source, and the far end that hears it with other numbers and under other keys, as behind a relay."""

    def __init__(self, shift: int = 1000) -> None:
        self.peer = Peer((Part("audio", "0", 7),))
        chunks = [Chunk(bytes([number]) * 40, False, False, 0.02, 960) for number in range(200)]
        self.peer.outgoing = Crypt(KEY, Policy.SSRC_ANY_OUTBOUND)
        self.source = Source(self.peer, "audio", "0", 7, chunks, random.Random(7))
        self.shift = shift
        self._near, self._far = Crypt(KEY, Policy.SSRC_ANY_INBOUND), Crypt(OTHER, Policy.SSRC_ANY_OUTBOUND)
        self.incoming = Crypt(OTHER, Policy.SSRC_ANY_INBOUND)
        self.heard = Heard()
        self.wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.wire.bind(("127.0.0.1", 0))
        self.peer.socket.connect(self.wire.getsockname())

    def close(self) -> None:
        self.peer.close()
        self.wire.close()

    def send(self, *, lost: bool = False, altered: bool = False) -> None:
        """One packet on its way through the relay."""
        self.source.send()
        plain = self._near.open(memoryview(self.wire.recv(2048)))
        assert plain is not None
        if lost:
            return
        packet = bytearray(plain)
        packet[2:4] = ((int.from_bytes(packet[2:4], "big") + self.shift) & 0xFFFF).to_bytes(2, "big")
        if altered:
            packet[-1] ^= 1
        self._far.view[: len(packet)] = packet
        at = self.source.sent_at[self.source.sequence % len(self.source.sent_at)] + 2_000_000
        self.heard.take(self._far.seal(len(packet)), self.incoming, [self.source], at)


@pytest.fixture
def relayed() -> Iterator[Relayed]:
    made = Relayed()
    yield made
    made.close()


def test_what_a_relay_renumbers_is_found_again_and_timed_from_its_sending(relayed: Relayed) -> None:
    for _ in range(150):
        relayed.send()
    heard = relayed.heard
    assert heard.offset == relayed.shift
    assert heard.delivered() == 150
    assert set(heard.late) == {2_000_000}
    assert heard.checked >= 2
    assert heard.wrong == 0


def test_a_lost_packet_is_missing_and_a_copy_counts_once(relayed: Relayed) -> None:
    for number in range(100):
        relayed.send(lost=number in (40, 41))
    assert relayed.heard.delivered() == 98
    assert relayed.heard.copies == 0


def test_an_altered_payload_is_noticed_where_packets_are_opened(relayed: Relayed) -> None:
    for number in range(150):
        relayed.send(altered=number > 1)
    assert relayed.heard.wrong > 0


def test_a_window_counts_what_was_sent_in_it_alone(relayed: Relayed) -> None:
    for _ in range(20):
        relayed.send()
    relayed.source.begin()
    relayed.heard.begin()
    for _ in range(30):
        relayed.send()
    assert relayed.source.sent == relayed.heard.delivered() == 30


def test_pictures_become_packets_that_make_them_up_again_at_the_wanted_pace() -> None:
    dice = random.Random(7)
    clip = Clip(tuple((dice.randbytes(dice.randrange(2000, 7000)), number % 30 == 0) for number in range(60)), (b"s",))
    chunks = picture(clip)
    frames, now = [], b""
    for chunk in chunks:
        assert chunk.payload[0] == (0 if now else 0x10)
        now += chunk.payload[1:]
        if chunk.marker:
            frames.append(now)
            now = b""
    assert frames == [data for data, _ in clip.video]
    assert sum(chunk.wait for chunk in chunks) == pytest.approx(60 / FPS)
    assert len(chunks) / 2 == pytest.approx(VIDEO_PACKETS, rel=0.05)
    assert [chunk.key for chunk in chunks].count(True) == 2


def test_a_peer_describes_what_it_sends_and_hears() -> None:
    peer = Peer((Part("audio", "0", 7), Part("video", "1", 8), Part("video", "2")))
    try:
        offer = peer.describe()
        assert sections(offer) == [("audio", "0"), ("video", "1"), ("video", "2")]
        before = field(offer, "ice-ufrag")
        assert field(peer.renew(), "ice-ufrag") != before
    finally:
        peer.close()


def test_header_extension_and_padding_are_no_payload() -> None:
    header = struct.pack("!BBHII", 0xB0, 111, 1, 1, 7) + struct.pack("!HH", 0xBEDE, 1) + b"\x10\x00\x00\x00"
    assert body(header + b"sound" + b"\x00\x00\x03") == b"sound"
    assert body(None) is None


def test_the_kernel_says_what_it_dropped() -> None:
    full = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        full.bind(("127.0.0.1", 0))
        before = kernel_drops(os.getpid())
        for _ in range(200):
            sender.sendto(bytes(500), full.getsockname())
        assert kernel_drops(os.getpid()) - before > 100
    finally:
        full.close()
        sender.close()


def test_held_memory_is_seen() -> None:
    before = resident(os.getpid())
    held = bytearray(os.urandom(1)) * 30_000_000
    assert 25_000_000 < resident(os.getpid()) - before < 60_000_000
    assert held


def test_a_ratio_is_of_windows_that_followed_each_other() -> None:
    def windows(*spent: float) -> list[Window]:
        return [Window(one, 1.0, 1, 1.0, 0, 0, {}, 0, 0, None, 0.0) for one in spent]

    found = list(_ratios("ratio", windows(50, 90, 30), windows(100, 100, 60), {"at_most": 0.49}, 7))
    assert [(one.figure, one.value, one.holds) for one in found] == [
        ("ratio", 0.5, False),
        ("ratio.least", 0.5, True),
        ("ratio.most", 0.9, True),
    ]
