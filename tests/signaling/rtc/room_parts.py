"""People of a room as raw browsers, and packets with what browsers put into their heads."""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Sequence

from media_parts import (
    AUDIO_SSRC,
    AUDIO_TYPE,
    LEVEL_ID,
    MID_ID,
    TIME_ID,
    VIDEO_TYPE,
    KeepingSink,
    RawBrowser,
    RtpPacket,
    parse_rtp,
)

from signaling.rtc import Leg, MediaPort, Slot

Come = Callable[..., Awaitable["Person"]]
PAIR = (("audio", "recvonly"), ("video", "recvonly"))
SCREEN_SSRC = 0x7777


class Person:
    """A raw browser in a room and what it was told of its sections."""

    def __init__(self, port: MediaPort, name: str, more: Sequence[tuple[str, str]] = PAIR) -> None:
        self.raw = RawBrowser(port.port, more=more)
        self.raw.ufrag = name[:4].ljust(4, "x")
        self.name = name
        self.told: list[tuple[Slot, ...]] = []
        self.port = port
        self.leg: Leg

    async def open(self, room: str = "room", sink: KeepingSink | None = None) -> None:
        """Offer, without connecting yet."""
        self.leg, self.raw.answer = await self.port.open_leg(
            f"leg_{self.name}_{id(self)}", self.raw.offer, sink, room=room, publisher=self.name, heard=self.told.append
        )

    async def connect(self) -> None:
        await self.raw.connect(self.raw.answer)
        assert await self.leg.wait_connected()

    def sources(self, mid: str) -> list[int]:
        """The SSRCs that the answer names for a section."""
        section = self.raw.answer[self.raw.answer.index(f"a=mid:{mid}\r\n") :].split("\r\nm=")[0]
        return [int(line.split()[0][7:]) for line in section.splitlines() if line.startswith("a=ssrc:")]

    async def hear(self) -> RtpPacket:
        """The next media packet."""
        return parse_rtp(await self.raw.hear_rtp())

    async def hear_many(self, count: int) -> list[RtpPacket]:
        return [await self.hear() for _ in range(count)]


def headed(packet: bytes, *, mid: str | None = None, level: int | None = None, sent: int | None = None) -> bytes:
    """The packet with header extensions, as a browser numbers them."""
    block = b""
    if mid is not None:
        block += bytes([MID_ID << 4 | len(mid) - 1]) + mid.encode()
    if level is not None:
        block += bytes([LEVEL_ID << 4, level])
    if sent is not None:
        block += bytes([TIME_ID << 4 | 2]) + sent.to_bytes(3, "big")
    block += bytes(-len(block) % 4)
    head = struct.pack("!HH", 0xBEDE, len(block) // 4)
    return bytes([packet[0] | 0x10]) + packet[1:12] + head + block + packet[12:]


def extensions(packet: bytes) -> dict[int, bytes]:
    """The header extensions of a plain packet, by number."""
    found, at = {}, 16
    end = 16 + 4 * int.from_bytes(packet[14:16], "big")
    while at < end:
        if not packet[at]:
            at += 1
            continue
        size = (packet[at] & 0x0F) + 1
        found[packet[at] >> 4] = packet[at + 1 : at + 1 + size]
        at += 1 + size
    return found


def screen(sequence: int, timestamp: int, *, key: bool) -> bytes:
    """A picture of the screen: the camera's payload type, another source, told by MID alone."""
    payload = b"\x10" + bytes([0x10 if key else 0x11]) + b"screen"
    head = struct.pack("!BBHII", 0x80, VIDEO_TYPE | 0x80, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, SCREEN_SSRC)
    return headed(head + payload, mid="4")


def sender_report(ssrc: int, ntp: int, timestamp: int) -> bytes:
    return struct.pack("!BBHIQIII", 0x80, 200, 6, ssrc, ntp, timestamp, 1, 1)


def receiver_report(ssrc: int, *, lost: int = 0, highest: int = 0, last: int = 0, delay: int = 0) -> bytes:
    """RR of one block; `lost` in 1/256."""
    return struct.pack("!BBHIIIIIII", 0x81, 201, 7, 9, ssrc, lost << 24, highest, 0, last, delay)


def sound(sequence: int, timestamp: int, body: bytes = b"\xfcsound") -> bytes:
    return struct.pack("!BBHII", 0x80, AUDIO_TYPE, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, AUDIO_SSRC) + body


async def turn() -> None:
    """Let the port take what was sent to it."""
    await asyncio.sleep(0.005)
