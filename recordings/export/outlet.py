"""The composed file in the making: encoders, muxer, and a place for its octets that keeps only the beginning open."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import av

from recordings.export.wire import Format
from telehealth.errors import Reason, Refusal

FPS = 25
RATE = 48_000
_HEAD = 65_536  # octets at the beginning that a muxer may write again (sizes, times), besides the index
_MOST_INDEX = 512 * 1024  # octets of them kept free for Cues, at most
_INDEX = 16  # octets of Cues that a second takes


class FormatUnavailable(Refusal):
    """This server's codecs cannot make that format."""

    code: ClassVar[str] = "export_format_unavailable"
    reason = Reason.CONFLICT
    message = "This server cannot make MP4 files. WebM works."


@dataclass(frozen=True, slots=True)
class Codecs:
    """What a format is made of."""

    muxer: str
    video: str
    video_options: dict[str, str]
    audio: str
    audio_rate: int  # bits per second


_VP8 = {"deadline": "realtime", "cpu-used": "8", "crf": "18", "qmax": "50", "static-thresh": "1", "auto-alt-ref": "0"}
CODECS: dict[Format, Codecs] = {
    "webm": Codecs("webm", "libvpx", _VP8, "libopus", 48_000),
    "mp4": Codecs("mp4", "libx264", {"preset": "superfast", "crf": "24", "profile": "main"}, "aac", 96_000),
}


def available(wanted: Format) -> bool:
    """Whether this build of the codecs has both encoders."""
    codecs = CODECS[wanted]
    return codecs.video in av.codecs_available and codecs.audio in av.codecs_available and _encodes(codecs)


def _encodes(codecs: Codecs) -> bool:
    try:
        return all(av.codec.Codec(name, "w").is_encoder for name in (codecs.video, codecs.audio))
    except ValueError:  # known as a decoder only
        return False


def _index(milliseconds: int) -> int:
    """Octets kept free for the index of a film of this length; one that does not fit stands at the end."""
    return min(_MOST_INDEX, 4096 + milliseconds // 1000 * _INDEX)


def head_of(milliseconds: int) -> int:
    """How many octets at the beginning of a film of this length stay open until its end."""
    return _HEAD + _index(milliseconds)


class HeadHeld(io.RawIOBase):
    """What a muxer writes: the first `limit` octets stay open here, everything after them goes away in order."""

    def __init__(self, aside: Callable[[bytes], None], limit: int) -> None:
        self._aside = aside
        self._limit = limit
        self.head = bytearray()
        self.size = 0
        self._at = 0

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence] + offset
        return self._at

    def write(self, data: Any) -> int:
        """Raises ValueError for a change of what has gone."""
        octets = bytes(data)
        if self._at < self._limit:
            first = octets[: self._limit - self._at]
            if self._at > len(self.head):
                raise ValueError("a hole in the head")
            self.head[self._at : self._at + len(first)] = first
            rest = octets[len(first) :]
        else:
            rest = octets
        if rest:
            if max(self._at, self._limit) != max(self.size, self._limit):
                raise ValueError("only the head can be written again")
            self._aside(rest)
        self._at += len(octets)
        self.size = max(self.size, self._at)
        return len(octets)


class Outlet:
    """Pictures and sounds in, a file out. Times in milliseconds from the recording's beginning."""

    def __init__(
        self, target: HeadHeld, wanted: Format, size: tuple[int, int], *, milliseconds: int, threads: int
    ) -> None:
        codecs, (width, height) = CODECS[wanted], size
        options = {"reserve_index_space": str(_index(milliseconds))} if wanted == "webm" else {}
        self._container: Any = av.open(target, "w", format=codecs.muxer, container_options=options, buffer_size=262_144)
        self._video: Any = self._container.add_stream(codecs.video, rate=FPS, options=dict(codecs.video_options))
        self._video.width, self._video.height, self._video.pix_fmt = width, height, "yuv420p"
        self._video.codec_context.time_base = Fraction(1, 1000)
        self._video.codec_context.gop_size = FPS * 5
        self._video.codec_context.thread_count = threads
        if wanted == "webm":
            self._video.codec_context.bit_rate = 3 * width * height
        self._audio: Any = self._container.add_stream(codecs.audio, rate=RATE, layout="mono")
        self._audio.codec_context.bit_rate = codecs.audio_rate

    def picture(self, frame: Any, moment: int) -> None:
        frame.pts, frame.time_base = moment, Fraction(1, 1000)
        self._container.mux(self._video.encode(frame))

    def sound(self, samples: Any, first: int) -> None:
        """`samples`: an array of floats, from sample number `first` on."""
        frame: Any = av.AudioFrame("flt", "mono", len(samples))
        frame.planes[0].update(samples.tobytes())
        frame.sample_rate, frame.pts, frame.time_base = RATE, first, Fraction(1, RATE)
        self._container.mux(self._audio.encode(frame))

    def finish(self) -> None:
        """Drain the encoders and write what stands at the end and in the head."""
        self._container.mux(self._video.encode(None))
        self._container.mux(self._audio.encode(None))
        self._container.close()
