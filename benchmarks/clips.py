"""Six seconds of camera and microphone, encoded once as browsers do; the same seed gives the same pictures."""

import array
import math
import random
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av

WIDTH, HEIGHT, FPS = 640, 480, 30
SECONDS = 6
BITS_PER_SECOND = 1_000_000
_BLOCK = 8  # pixels
_KEY_EVERY = 60  # frames


@dataclass(frozen=True, slots=True)
class Clip:
    """VP8 frames (octets, whether a key frame) at 30 a second, Opus packets of 20 ms."""

    video: tuple[tuple[bytes, bool], ...]
    audio: tuple[bytes, ...]

    @property
    def video_rate(self) -> float:
        """Bits per second."""
        return sum(len(data) for data, _ in self.video) * 8 * FPS / len(self.video)


def encode(seed: int) -> Clip:
    """A textured scene that drifts under a noisy sensor, and a babble of tones."""
    chance = random.Random(seed)
    return Clip(_pictures(chance), _sounds(chance))


def _pictures(chance: random.Random) -> tuple[tuple[bytes, bool], ...]:
    codec: Any = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    codec.time_base, codec.bit_rate = Fraction(1, FPS), BITS_PER_SECOND
    rate = str(BITS_PER_SECOND)
    codec.options = {
        "deadline": "realtime",
        "cpu-used": "16",
        "lag-in-frames": "0",
        "g": str(_KEY_EVERY),
        "minrate": rate,
        "maxrate": rate,
        "bufsize": rate,
        "error-resilient": "1",
    }
    scene = _Scene(chance)
    found: list[tuple[bytes, bool]] = []
    for number in range(SECONDS * FPS):
        frame: Any = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane, data in zip(frame.planes, scene.planes(number), strict=True):
            plane.update(data)
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        found += [(bytes(packet), packet.is_keyframe) for packet in codec.encode(frame)]
    return tuple(found)


class _Scene:
    """Blocks of random brightness, larger than the picture, that drift; a tenth of the rows is fresh noise."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        wide = (2 * WIDTH) // _BLOCK
        self._rows = [
            b"".join(bytes([chance.randrange(60, 200)]) * _BLOCK for _ in range(wide))
            for _ in range(2 * HEIGHT // _BLOCK)
        ]
        self._chroma = bytes([110]) * (WIDTH * HEIGHT // 4), bytes([150]) * (WIDTH * HEIGHT // 4)

    def planes(self, number: int) -> tuple[bytes, bytes, bytes]:
        turn = 2 * math.pi * number / (SECONDS * FPS)
        right = round(WIDTH / 2 * (1 + math.sin(turn)))
        down = round(HEIGHT / 2 * (1 - math.cos(turn)))
        rows = []
        for line in range(HEIGHT):
            row = self._rows[(line + down) // _BLOCK % len(self._rows)][right : right + WIDTH]
            rows.append(self._noisy(row) if self._chance.random() < 0.1 else row)
        return b"".join(rows), *self._chroma

    def _noisy(self, row: bytes) -> bytes:
        at = self._chance.randrange(0, WIDTH - 64)
        return row[:at] + bytes(max(16, value - 12) for value in row[at : at + 64]) + row[at + 64 :]


def _sounds(chance: random.Random) -> tuple[bytes, ...]:
    codec: Any = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format, codec.time_base = 48_000, "mono", "s16", Fraction(1, 48_000)
    codec.bit_rate = 32_000
    found: list[bytes] = []
    phase = 0.0
    for number in range(SECONDS * 50):
        frame: Any = av.AudioFrame("s16", "mono", 960)
        frame.sample_rate, frame.pts, frame.time_base = 48_000, number * 960, Fraction(1, 48_000)
        step = 2 * math.pi * chance.randrange(120, 900) / 48_000
        wave = array.array("h", (int(9000 * math.sin(phase + step * k)) for k in range(960)))
        phase += step * 960
        frame.planes[0].update(wave.tobytes())
        found += [bytes(packet) for packet in codec.encode(frame)]
    return tuple(found)
