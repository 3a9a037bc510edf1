"""A taped visit, and a look at what was exported of it."""

import asyncio
import io
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import av
import pyrage
from recording_clips import GREEN, RED, Event, Sender, leg, pictures, tone
from recordings_house import House

from recordings.export.ledger import ExportRow
from recordings.export.views import ExportView
from recordings.export.wish import Wish
from telehealth.access import Caller
from telehealth.secret import Secret
from telehealth.sections import Export

PATIENT_TONE, DOCTOR_TONE = 440, 880
PLAIN = Export(allow_plain=True)


@dataclass
class Taped:
    """Patient: red, 440 Hz, from 0 to 4 s. Clinician: green, 880 Hz, from 1 to 5 s. Paused from 2 to 3 s."""

    house: House
    recording: str

    @classmethod
    async def of(cls, house: House) -> "Taped":
        recording = await house.begin()
        begun = house.clock.steady()
        patient, doctor = (house.service.sink(recording, one.participant) for one in house.parties)
        first, second, third, fourth = Sender(), Sender(audio_base=900_000, video_base=77_000_000), None, None
        red = [pictures(((RED, 60),)), pictures(((RED, 30),))]
        green = [pictures(((GREEN, 30),)), pictures(((GREEN, 60),))]
        third = Sender(first.audio_base + 3 * 48_000, first.video_base + 3 * 90_000, reports=False)
        fourth = Sender(second.audio_base + 2 * 48_000, second.video_base + 2 * 90_000, reports=False)
        before = [
            *((event, patient) for event in leg(first, begun, video=red[0], audio=tone(PATIENT_TONE, 100))),
            *((event, doctor) for event in leg(second, begun + 1, video=green[0], audio=tone(DOCTOR_TONE, 50))),
        ]
        after = [
            *((event, patient) for event in leg(third, begun + 3, video=red[1], audio=tone(PATIENT_TONE, 50))),
            *((event, doctor) for event in leg(fourth, begun + 3, video=green[1], audio=tone(DOCTOR_TONE, 100))),
        ]
        await cls._play(house, [one for one in before if one[0].moment < begun + 2])
        house.clock.move(seconds=begun + 2 - house.clock.steady())
        await house.service.pause(recording, "asked")
        house.clock.move(seconds=begun + 3 - house.clock.steady())
        await house.service.resume(recording)
        await cls._play(house, after)
        await house.service.stop(recording, "clinician")
        await house.service.settle()
        return cls(house, recording)

    @staticmethod
    async def _play(house: House, events: Sequence[tuple[Event, Any]]) -> None:
        for event, sink in sorted(events, key=lambda one: one[0].moment):
            house.clock.move(seconds=max(0.0, event.moment - house.clock.steady()))
            event.deliver(sink)
        await asyncio.sleep(0)

    async def export(self, wish: Wish, caller: Caller | None = None) -> ExportView:
        """Asked for and made."""
        exports = self.house.service.exports
        asked = await exports.ask(caller or self.house.admin, self.recording, wish)
        await exports.settle()
        return await exports.show(caller or self.house.admin, asked.id)

    async def octets(self, export: ExportView, start: int = 0, end: int = 2**40) -> bytes:
        """What a download gives."""
        downloads = self.house.service.exports.downloads
        pieces = downloads.pieces(self.house.admin.actor(), export.id, start, end)
        return b"".join([piece async for piece in pieces])

    async def row(self, export: ExportView) -> ExportRow:
        return await self.house.service.exports.ledger.get(export.id)


OWNER = pyrage.x25519.Identity.generate()


def passphrase(text: str = "correct horse battery") -> Wish:
    return Wish("legal", protection="passphrase", secret=Secret(text))


def sealed() -> Wish:
    """To a recipient; quick, since no passphrase is stretched."""
    return Wish("legal", secret=Secret(str(OWNER.to_public())))


def plain(**more: Any) -> Wish:
    return Wish("legal", protection="plain", reason="asked by the court", **more)


@dataclass
class Seen:
    """A decoded file: of each picture its second and the middle of each half; of each second how loud two tones are."""

    width: int = 0
    height: int = 0
    seconds: float = 0.0
    pictures: list[tuple[float, list[tuple[int, int, int]], int]] = field(default_factory=list)
    sound: "array[float]" = field(default_factory=lambda: array("f"))
    sound_from: float | None = None

    def at(self, second: float) -> tuple[list[tuple[int, int, int]], int]:
        """The middles of the tiles, and the brightest brightness of the picture shown at that second."""
        shown = [one for one in self.pictures if one[0] <= second][-1]
        return shown[1], shown[2]

    def loudness(self, hertz: int, second: float, length: float = 0.2) -> float:
        """Strength of a tone (Goertzel), 0 to about 1."""
        first = round((second - (self.sound_from or 0.0)) * 48_000)
        part = self.sound[max(0, first) : first + round(length * 48_000)]
        turn = 2 * math.cos(2 * math.pi * hertz / 48_000)
        a = b = 0.0
        for sample in part:
            a, b = sample + turn * a - b, a
        return math.sqrt(max(0.0, a * a + b * b - turn * a * b)) * 2 / max(1, len(part))


def looked_at(data: bytes, tiles: int = 2) -> Seen:
    """Decode the whole file."""
    seen = Seen()
    container: Any = av.open(io.BytesIO(data))
    resampler: Any = av.AudioResampler(format="flt", layout="mono", rate=48_000)
    with container:
        seen.seconds = (container.duration or 0) / 1_000_000
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                seen.width, seen.height = frame.width, frame.height
                seen.pictures.append((float(frame.time or 0), _middles(frame, tiles), _brightest(frame)))
            else:
                seen.sound_from = float(frame.time or 0) if seen.sound_from is None else seen.sound_from
                frame.pts = None
                for mono in resampler.resample(frame):
                    seen.sound.extend(array("f", bytes(mono.planes[0])[: 4 * mono.samples]))
    return seen


def _middles(frame: Any, tiles: int) -> list[tuple[int, int, int]]:
    planes = [(bytes(plane), plane.line_size, plane.width, plane.height) for plane in frame.planes]
    return [
        tuple(
            data[stride * (tall // 4) + wide * (2 * number + 1) // (2 * tiles)] for data, stride, wide, tall in planes
        )
        for number in range(tiles)
    ]  # type: ignore[misc]


def _brightest(frame: Any) -> int:
    """Of the left half: words on a card are bright, black is not."""
    plane = frame.planes[0]
    data, stride = bytes(plane), plane.line_size
    return max(max(data[row * stride : row * stride + plane.width // 2]) for row in range(0, plane.height, 2))


def near(colour: Sequence[int], wanted: Sequence[int], by: int = 25) -> bool:
    return all(abs(a - b) <= by for a, b in zip(colour, wanted, strict=True))
