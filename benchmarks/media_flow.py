"""What flows over a peer: sources that send a clip at its pace, and what the far side receives of them."""

import random
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.clips import FPS, Clip
from benchmarks.media_peer import AUDIO_TYPE, LEVEL_ID, MID_ID, SENT_ID, VIDEO_TYPE, Crypt, Peer

VIDEO_PACKETS = 121  # a second
_RING = 4096  # packets whose sending is remembered
_CHECKED = 64  # one in so many packets is opened and compared
_SPACING = 0.004  # seconds between the packets of a picture, as a browser's pacer lets them go
_HEADER = struct.Struct("!BBHII")
_NTP_EPOCH = 2_208_988_800


@dataclass(frozen=True, slots=True)
class Chunk:
    """One payload. `wait` in seconds until the next, `step` what the timestamp rises by before it."""

    payload: bytes
    marker: bool
    key: bool
    wait: float
    step: int


def sound(clip: Clip) -> tuple[Chunk, ...]:
    """50 Opus packets a second."""
    return tuple(Chunk(payload, False, False, 0.02, 960) for payload in clip.audio)


def picture(clip: Clip) -> tuple[Chunk, ...]:
    """VP8 in RTP (RFC 7741), about 121 packets a second by the choice of the packet size."""
    aim = VIDEO_PACKETS * len(clip.video) / FPS
    size = min(range(400, 1180, 4), key=lambda size: abs(_packets(clip, size) - aim))
    chunks: list[Chunk] = []
    for data, key in clip.video:
        parts = [data[at : at + size] for at in range(0, len(data), size)]
        space = min(_SPACING, 1 / FPS / len(parts))
        rest = 1 / FPS - space * (len(parts) - 1)
        for number, part in enumerate(parts):
            last, descriptor = number == len(parts) - 1, b"\x10" if number == 0 else b"\x00"
            begins = key and number == 0
            chunks.append(
                Chunk(descriptor + part, last, begins, rest if last else space, 90_000 // FPS if number == 0 else 0)
            )
    return tuple(chunks)


def _packets(clip: Clip, size: int) -> int:
    return sum(-(-len(data) // size) for data, _ in clip.video)


class Source:
    """One published track: RTP made and sealed in place, sending remembered for those who receive it."""

    def __init__(
        self, peer: Peer, kind: str, mid: str, ssrc: int, chunks: Sequence[Chunk], dice: random.Random
    ) -> None:
        self.kind, self.ssrc, self.peer = kind, ssrc, peer
        self.sent = self.octets = 0
        self.due = time.monotonic() + dice.random() / FPS
        self.sequence, self.timestamp = dice.randrange(1 << 16), dice.randrange(1 << 32)
        self.first = (self.sequence + 1) & 0xFFFF  # number of the window's first packet
        self.sent_at = [0] * _RING  # nanoseconds of the wall clock
        self.chosen = [0] * _RING
        self.key_wanted = False
        self.failures = 0
        self._chunks = chunks
        self._at = 0
        self._type = AUDIO_TYPE if kind == "audio" else VIDEO_TYPE
        self._extension = _extension(kind, mid)
        self._keys = [number for number, chunk in enumerate(chunks) if chunk.key]

    def send(self) -> None:
        """The next packet, now; `due` moves on."""
        crypt = self.peer.outgoing
        assert crypt is not None
        chunks, at = self._chunks, self._at
        if self.key_wanted and chunks[at - 1].marker:
            at = next((number for number in self._keys if number >= at), self._keys[0])
            self.key_wanted = False
        chunk = chunks[at]
        self._at = (at + 1) % len(chunks)
        self.sequence = sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + chunk.step) & 0xFFFFFFFF
        now = time.time_ns()
        size = self._pack(crypt.view, chunk, now)
        self.sent_at[sequence % _RING] = now
        self.chosen[sequence % _RING] = at
        try:
            self.peer.socket.send(crypt.seal(size))
        except OSError:
            self.failures += 1
        self.sent += 1
        self.octets += size
        self.due += chunk.wait

    def begin(self) -> None:
        """A new window."""
        self.sent, self.first = 0, (self.sequence + 1) & 0xFFFF

    def payload(self, sequence: int) -> bytes:
        """What was sent under that number lately."""
        return self._chunks[self.chosen[sequence % _RING]].payload

    def numbers(self, payload: bytes) -> list[int]:
        """The numbers, newest first, under which this payload was sent lately."""
        near = range(self.sequence, self.sequence - min(self.sent, 1024), -1)
        return [number & 0xFFFF for number in near if self.payload(number & 0xFFFF) == payload]

    def _pack(self, view: memoryview, chunk: Chunk, now: int) -> int:
        marker = 0x80 if chunk.marker else 0
        _HEADER.pack_into(view, 0, 0x90, self._type | marker, self.sequence, self.timestamp, self.ssrc)
        extension = self._extension
        body = 12 + len(extension)
        view[12:body] = extension
        seconds = now * 262_144 // 1_000_000_000 & 0xFFFFFF  # 6.18 fixed point
        view[17:20] = seconds.to_bytes(3, "big")
        size = body + len(chunk.payload)
        view[body:size] = chunk.payload
        return size

    def report(self) -> bytes:
        """A sender report (RFC 3550 §6.4.1) of this moment."""
        now = time.time_ns()
        ntp = ((now // 1_000_000_000 + _NTP_EPOCH) << 32) + (now % 1_000_000_000 << 32) // 1_000_000_000
        return struct.pack(
            "!BBHIQIII", 0x80, 200, 6, self.ssrc, ntp, self.timestamp, self.sent & 0xFFFFFFFF, self.octets & 0xFFFFFFFF
        )


def _extension(kind: str, mid: str) -> bytes:
    """One-octet header extensions (RFC 8285): abs-send-time first, mid, and for sound the level."""
    elements = bytes([SENT_ID << 4 | 2, 0, 0, 0, MID_ID << 4 | len(mid) - 1]) + mid.encode()
    if kind == "audio":
        elements += bytes([LEVEL_ID << 4, 0x80 | 40])
    elements += bytes(-len(elements) % 4)
    return struct.pack("!HH", 0xBEDE, len(elements) // 4) + elements


@dataclass(slots=True)
class Heard:
    """One stream as it arrives at a peer. `offset`: received minus sent sequence number, None until one was opened."""

    source: Source | None = None
    offset: int | None = None
    numbers: set[int] = field(default_factory=set)
    highest: int = 0
    copies: int = 0
    late: list[int] = field(default_factory=list)  # nanoseconds from sending to the receiver's kernel
    checked: int = 0
    wrong: int = 0

    def begin(self) -> None:
        """A new window."""
        self.numbers, self.late = set(), []
        self.copies = self.checked = self.wrong = 0

    def delivered(self) -> int:
        """How many packets that were sent in this window came, each counted once."""
        if self.source is None or self.offset is None:
            return 0
        shift = self.offset + self.source.first
        return sum((number - shift) & 0xFFFF < self.source.sent for number in self.numbers)

    def take(self, datagram: memoryview, crypt: Crypt, sources: list[Source], at: int) -> None:
        """One SRTP packet that came at nanosecond `at`."""
        number = datagram[2] << 8 | datagram[3]
        if number in self.numbers:
            self.copies += 1
            return
        self.numbers.add(number)
        self.highest = number
        if self.source is None or self.offset is None:
            self._tie(datagram, crypt, sources, number)
            return
        sent = (number - self.offset) & 0xFFFF
        self.late.append(at - self.source.sent_at[sent % _RING])
        if number % _CHECKED == 0:
            self._check(datagram, crypt, sent)

    def _tie(self, datagram: memoryview, crypt: Crypt, sources: list[Source], number: int) -> None:
        """Find out which source this is, and how its numbers were rewritten, by what the packet holds."""
        payload = body(crypt.open(datagram))
        for source in sources:
            found = source.numbers(payload) if payload else []
            if len(found) == 1:
                self.source, self.offset = source, (number - found[0]) & 0xFFFF

    def _check(self, datagram: memoryview, crypt: Crypt, sent: int) -> None:
        assert self.source is not None
        self.checked += 1
        payload = body(crypt.open(datagram))
        if payload is None or payload != self.source.payload(sent):
            self.wrong += 1
            self.offset = None  # numbers moved on: tie anew


def body(packet: bytes | None) -> bytes | None:
    """The payload of a plain RTP packet."""
    if packet is None:
        return None
    at = 12 + 4 * (packet[0] & 15)
    if packet[0] & 16:
        at += 4 + 4 * int.from_bytes(packet[at + 2 : at + 4], "big")
    return packet[at : len(packet) - packet[-1]] if packet[0] & 32 else packet[at:]
