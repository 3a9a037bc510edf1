"""A room of raw peers who send film that really plays, recorded, on whatever kind of port."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from signaling.rtc import Leg, MediaPort, Slot
from signaling.workers import MediaPool, RemoteLeg
from telehealth.frames import FrameSink
from tests.signaling.rtc.media_parts import AUDIO_SSRC, AUDIO_TYPE, VIDEO_SSRC, VIDEO_TYPE, RawBrowser, rtp

PAIR = (("audio", "recvonly"), ("video", "recvonly"))
_FRAGMENT = 1_100  # octets


@dataclass
class Speaker:
    """One participant: a browser that goes on where it was, on whichever leg it has now."""

    name: str
    video: Sequence[tuple[bytes, bool]]
    audio: Sequence[bytes]
    told: list[tuple[Slot, ...]] = field(default_factory=list)
    raw: RawBrowser | None = None
    leg: Leg | RemoteLeg | None = None
    legs: int = 0
    sent: int = 0  # twentieths of a second
    sequence: int = 0
    more: Sequence[tuple[str, str]] = PAIR

    async def come(self, port: MediaPort | MediaPool, sink: FrameSink | None = None, room: str = "room") -> None:
        """A new leg, as after the first was lost. Raises what `open_leg` raises."""
        self.hang_up()
        self.legs += 1
        self.raw = RawBrowser(port.port, more=self.more)
        name = f"leg_{self.name}_{self.legs}"
        named = {"room": room, "publisher": self.name, "heard": self.told.append}
        self.leg, answer = await port.open_leg(name, self.raw.offer, sink, **named)
        self.raw.server = ("127.0.0.1", int(answer.split("a=candidate:")[1].split()[5]))
        await self.raw.connect(answer)
        async with asyncio.timeout(20):
            assert await self.leg.wait_connected()

    def speak(self) -> None:
        """A twentieth of a second: one picture and so much sound; every second begins with a key frame."""
        assert self.raw is not None
        number, self.sent = self.sent, self.sent + 1
        data, _ = self.video[number % len(self.video)]
        pieces = [data[at : at + _FRAGMENT] for at in range(0, len(data), _FRAGMENT)]
        for at, piece in enumerate(pieces):
            self.sequence += 1
            head = b"\x10" if at == 0 else b"\x00"
            last = at == len(pieces) - 1
            self.raw.send_rtp(rtp(VIDEO_TYPE, self.sequence, 4_500 * number, VIDEO_SSRC, head + piece, marker=last))
        for part in (0, 1):
            at = 2 * number + part
            sound = self.audio[at % len(self.audio)]
            self.raw.send_rtp(rtp(AUDIO_TYPE, at, 960 * at, AUDIO_SSRC, sound))

    async def hears(self) -> None:
        """Somebody else's media arrives."""
        assert self.raw is not None
        await self.raw.hear_rtp()

    def hang_up(self) -> None:
        if self.raw is not None:
            self.raw.close()
            self.raw = None


async def talk(*speakers: Speaker, twentieths: int) -> None:
    """All speak for that long, five times as fast as people do."""
    for _ in range(twentieths):
        for speaker in speakers:
            speaker.speak()
        await asyncio.sleep(0.01)
