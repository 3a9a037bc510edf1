"""Known pictures and tones, encoded as browsers do, and a look into what came out."""

import array
import functools
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av

from telehealth.frames import EncodedFrame, FrameSink, TrackKind

RED, GREEN, BLACK, WHITE = (81, 90, 240), (145, 54, 34), (16, 128, 128), (235, 128, 128)
FPS = 30
SIZE = (160, 120)
Colour = tuple[int, int, int]


@functools.cache
def pictures(colours: tuple[tuple[Colour, int], ...], size: tuple[int, int] = SIZE) -> tuple[tuple[bytes, bool], ...]:
    """VP8 at 30 frames a second: each colour for so many frames."""
    codec: Any = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height = size
    codec.pix_fmt, codec.time_base, codec.bit_rate = "yuv420p", Fraction(1, FPS), 300_000
    codec.options = {"deadline": "realtime", "cpu-used": "8", "g": "60", "lag-in-frames": "0"}
    packets: list[tuple[bytes, bool]] = []
    number = 0
    for colour, count in colours:
        for _ in range(count):
            frame: Any = av.VideoFrame(*size, "yuv420p")
            for plane, value in zip(frame.planes, colour, strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            packets += [(bytes(packet), packet.is_keyframe) for packet in codec.encode(frame)]
            number += 1
    return tuple(packets)


@functools.cache
def tone(hertz: int, packets: int, silent: int = 0) -> tuple[bytes, ...]:
    """Opus, 20 ms each; the first `silent` packets hold silence."""
    codec: Any = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format, codec.time_base = 48_000, "mono", "s16", Fraction(1, 48_000)
    codec.bit_rate = 32_000
    encoded: list[bytes] = []
    for number in range(packets):
        frame: Any = av.AudioFrame("s16", "mono", 960)
        frame.sample_rate, frame.pts, frame.time_base = 48_000, number * 960, Fraction(1, 48_000)
        loud = 0 if number < silent else 9000
        samples = (loud * math.sin(2 * math.pi * hertz * (number * 960 + k) / 48_000) for k in range(960))
        frame.planes[0].update(array.array("h", map(int, samples)).tobytes())
        encoded += [bytes(packet) for packet in codec.encode(frame)]
    return tuple(encoded)


@dataclass(frozen=True)
class Sender:
    """A browser: its RTP bases, the error of its wall clock, and how late its frames come (seconds)."""

    audio_base: int = 1000
    video_base: int = 5_000_000
    clock_error: float = 0.0
    audio_delay: float = 0.02
    video_delay: float = 0.02
    reports: bool = True


@dataclass(frozen=True)
class Event:
    """Something a leg delivers at a steady moment."""

    moment: float
    frame: EncodedFrame | None = None
    report: tuple[TrackKind, int, int] | None = None

    def deliver(self, sink: FrameSink) -> None:
        if self.frame:
            sink.frame(self.frame)
        if self.report:
            sink.sender_report(*self.report)


def leg(
    sender: Sender,
    start: float,
    *,
    video: tuple[tuple[bytes, bool], ...] = (),
    audio: tuple[bytes, ...] = (),
) -> list[Event]:
    """What one leg delivers, in order of arrival; both kinds were captured from steady `start` on."""
    events: list[Event] = []
    for number, (data, key) in enumerate(video):
        arrived = start + number / FPS + sender.video_delay
        stamp = sender.video_base + number * 3000
        events.append(Event(arrived, EncodedFrame("video", data, stamp, key, arrived)))
    for number, data in enumerate(audio):
        arrived = start + number * 0.02 + sender.audio_delay
        events.append(Event(arrived, EncodedFrame("audio", data, sender.audio_base + number * 960, False, arrived)))
    if sender.reports:
        events += _reports(sender, start, "video", bool(video)) + _reports(sender, start, "audio", bool(audio))
    return sorted(events, key=lambda event: event.moment)


def _reports(sender: Sender, start: float, kind: TrackKind, present: bool) -> list[Event]:
    base, rate = (sender.audio_base, 48_000) if kind == "audio" else (sender.video_base, 90_000)
    wall = 3_900_000_000 + sender.clock_error + start
    return [
        Event(start + t + 0.01, report=(kind, base + round(t * rate), int((wall + t) * 2**32)))
        for t in (0.3, 1.3, 2.3)
        if present
    ]


@dataclass(frozen=True)
class Watched:
    """A decoded WebM: seconds and mean Y, U, V of each picture, seconds and loudness of each sound frame."""

    pictures: list[tuple[float, Colour]]
    sounds: list[tuple[float, int]]
    duration: float

    def flash(self) -> float:
        """When the picture first turned bright."""
        return next(moment for moment, colour in self.pictures if colour[0] > 150)

    def onset(self) -> float:
        """When the sound first became loud."""
        return next(moment for moment, loudness in self.sounds if loudness > 2000)


def watch(webm: bytes) -> Watched:
    container: Any = av.open(io.BytesIO(webm), "r", format="webm")
    shown: list[tuple[float, Colour]] = []
    heard: list[tuple[float, int]] = []
    with container:
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                middle = [_middle(plane) for plane in frame.planes]
                shown.append((float(frame.time or 0), (middle[0], middle[1], middle[2])))
            else:
                heard.append((float(frame.time or 0), _loudness(frame)))
        duration = (container.duration or 0) / 1_000_000
    return Watched(shown, heard, duration)


def _middle(plane: Any) -> int:
    return bytes(plane)[plane.line_size * (plane.height // 2) + plane.width // 2]


def _loudness(frame: Any) -> int:
    samples = array.array("f", bytes(frame.planes[0])[: 4 * frame.samples])
    return round(32767 * max(map(abs, samples), default=0))


def elements(webm: bytes) -> Iterator[tuple[int, int]]:
    """The ids and offsets of the elements of the Segment, in order (RFC 8794)."""
    at = 0
    while at < len(webm):
        ident, at_size = _vint(webm, at, keep=True)
        size, body = _vint(webm, at_size, keep=False)
        if ident == 0x18538067:
            at = body
            continue
        yield ident, at
        at = body + size


def _vint(data: bytes, at: int, *, keep: bool) -> tuple[int, int]:
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big")
    return (value if keep else value & ((1 << (7 * length)) - 1)), at + length
