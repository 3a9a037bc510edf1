"""Known pictures and tones: a colour, a strip of bits that counts frames, a pulsed tone."""

import io
import math
import struct
import wave
from dataclasses import dataclass
from pathlib import Path

import av

WIDTH, HEIGHT, RATE, FRAMES = 320, 240, 30, 300
CELLS = 10  # the first is always white, nine bits follow, most significant first
CELL = WIDTH // CELLS
STRIP = 60  # rows at the bottom

Colour = tuple[int, int, int]
ORANGE: Colour = (224, 128, 32)
BLUE: Colour = (40, 90, 200)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one decoded picture shows: its colour, and the number of the frame it began as (None: unreadable)."""

    colour: Colour
    index: int | None


def _yuv(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = colour
    return (
        round(16 + 0.257 * red + 0.504 * green + 0.098 * blue),
        round(128 - 0.148 * red - 0.291 * green + 0.439 * blue),
        round(128 + 0.439 * red - 0.368 * green - 0.071 * blue),
    )


def write_picture(path: Path, colour: Colour) -> Path:
    """A ten-second Y4M loop: `colour` above, the frame's number in black and white below."""
    luma, cb, cr = _yuv(colour)
    chroma = b"".join(
        bytes([tint]) * (WIDTH // 2 * (HEIGHT - STRIP) // 2) + b"\x80" * (WIDTH // 2 * STRIP // 2) for tint in (cb, cr)
    )
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{RATE}:1 Ip A1:1 C420jpeg\n".encode())
        for index in range(FRAMES):
            bits = [1, *((index >> place) & 1 for place in range(8, -1, -1))]
            row = b"".join((b"\xeb" if bit else b"\x10") * CELL for bit in bits)
            file.write(b"FRAME\n" + bytes([luma]) * (WIDTH * (HEIGHT - STRIP)) + row * STRIP + chroma)
    return path


def write_tone(path: Path, hertz: int) -> Path:
    """Ten seconds of a tone, on and off five times a second: steady tones are taken for noise and removed."""
    rate = 48_000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        samples = (
            round(12_000 * math.sin(2 * math.pi * hertz * n / rate)) if (n // (rate // 10)) % 2 else 0
            for n in range(rate * 10)
        )
        file.writeframes(struct.pack(f"<{rate * 10}h", *samples))
    return path


# Runs in the page: draws a <video> small and reads colour and number. Mirrors `read_picture`.
READ_VIDEO = """
(video) => {
  if (!video || video.readyState < 2 || !video.videoWidth) return null;
  const canvas = new OffscreenCanvas(320, 240);
  const brush = canvas.getContext("2d");
  brush.drawImage(video, 0, 0, 320, 240);
  const at = (x, y) => Array.from(brush.getImageData(x, y, 1, 1).data).slice(0, 3);
  const bits = [...Array(10).keys()].map((cell) => at(cell * 32 + 16, 210)[1] > 128 ? 1 : 0);
  const index = bits[0] ? bits.slice(1).reduce((sum, bit) => sum * 2 + bit, 0) : null;
  return { colour: at(160, 60), index, width: video.videoWidth, wall: performance.timeOrigin + performance.now() };
}
"""


def read_picture(frame: av.VideoFrame) -> Seen:
    """Colour and number of one decoded frame."""
    image = frame.reformat(width=WIDTH, height=HEIGHT, format="rgb24")
    plane = image.planes[0]
    raw, stride = bytes(plane), plane.line_size

    def at(x: int, y: int) -> Colour:
        start = y * stride + x * 3
        return raw[start], raw[start + 1], raw[start + 2]

    bits = [int(at(cell * CELL + CELL // 2, 210)[1] > 128) for cell in range(CELLS)]
    index = int("".join(map(str, bits[1:])), 2) if bits[0] else None
    return Seen(at(160, 60), index)


def near(seen: Colour | list[int], wished: Colour, tolerance: int = 40) -> bool:
    """Whether a decoded colour is the painted one, give or take a codec and two conversions."""
    return all(abs(a - b) <= tolerance for a, b in zip(seen, wished, strict=True))


@dataclass(frozen=True, slots=True)
class Track:
    """One decoded track file: `pictures` as (seconds, Seen), `loudness` of each asked tone in arbitrary units."""

    pictures: list[tuple[float, Seen]]
    loudness: dict[int, float]
    audio_seconds: float


def decode(webm: bytes, tones: tuple[int, ...]) -> Track:
    """Decode a sealed track with the reference decoder. Raises av.FFmpegError where it is broken."""
    pictures: list[tuple[float, Seen]] = []
    with av.open(io.BytesIO(webm)) as container:
        for picture in container.decode(video=0):
            pictures.append((float(picture.pts * picture.time_base), read_picture(picture)))
    samples: list[float] = []
    with av.open(io.BytesIO(webm)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
        for sound in container.decode(audio=0):
            for piece in resampler.resample(sound):
                samples.extend(struct.unpack(f"<{piece.samples}h", bytes(piece.planes[0])[: piece.samples * 2]))
    return Track(pictures, {hertz: goertzel(samples, hertz, 16_000) for hertz in tones}, len(samples) / 16_000)


def goertzel(samples: list[float], hertz: int, rate: int) -> float:
    """Mean power of one tone over blocks of 50 ms."""
    block, total, count = rate // 20, 0.0, 0
    factor = 2 * math.cos(2 * math.pi * hertz / rate)
    for start in range(0, len(samples) - block, block):
        first = second = 0.0
        for sample in samples[start : start + block]:
            first, second = sample + factor * first - second, first
        total += first * first + second * second - factor * first * second
        count += 1
    return total / max(1, count)
