"""WebM by codec copy, with duration and Cues in front, written strictly forward and never whole in memory.

The muxer wants to go back and fill in the front at the end. So it runs twice over the same packets: once to learn
the front (everything else is only summed), once to write, front first. Both runs must agree to the byte.
"""

import zlib
from fractions import Fraction
from typing import Any, ClassVar

import av

from telehealth.errors import Reason, Refusal
from telehealth.frames import TrackKind

_MILLISECOND = Fraction(1, 1000)
_ROOM = 65_536  # EBML header, SeekHead, Info, Tracks, Tags: about 1 KiB
_CUE = 40
_VP8_START = b"\x9d\x01\x2a"


class SealDiffered(Refusal):
    """Two runs over the same packets gave different bytes; nothing was sealed."""

    code: ClassVar[str] = "seal_differed"
    reason = Reason.UNAVAILABLE
    message = "The recording could not be finished."


def picture_size(key_frame: bytes) -> tuple[int, int] | None:
    """Width and height in a VP8 key frame's header (RFC 6386 §9.1), None when there is none."""
    if len(key_frame) < 10 or key_frame[0] & 1 or key_frame[3:6] != _VP8_START:
        return None
    width, height = (int.from_bytes(key_frame[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return (width, height) if width and height else None


class FrontSink:
    """Keeps the first `size` octets as they end up; sums up what follows (CRC-32, against faults, not forgers).

    Raises SealDiffered when the muxer goes back beyond the front.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.front = bytearray()
        self._rest = 0
        self._end = 0
        self._at = 0

    @property
    def rest_sum(self) -> int:
        return self._rest

    @property
    def length(self) -> int:
        return self._end

    def write(self, data: bytes) -> int:
        data = bytes(data)
        at, end = self._at, self._at + len(data)
        if at > self._end or (at < self._end and end > min(self._size, self._end)):
            raise SealDiffered
        self.front[at : min(end, self._size)] = data[: max(0, self._size - at)]
        if end > self._end:
            self._rest = zlib.crc32(data[max(0, self._size - at) :], self._rest)
            self._end = end
        self._at = end
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._end)[whence]
        return self._at

    def tell(self) -> int:
        return self._at


class ForwardSink(FrontSink):
    """Gives the finished bytes in order: the known front, then everything after it as the muxer writes it."""

    def __init__(self, front: bytes) -> None:
        super().__init__(len(front))
        self._ready = bytearray(front)

    def write(self, data: bytes) -> int:
        at, is_new = self._at, self._at + len(data) > self._end
        written = super().write(data)
        if is_new:
            self._ready += bytes(data)[max(0, self._size - at) :]
        return written

    def take(self) -> bytes:
        """What was finished since the last call."""
        ready = bytes(self._ready)
        self._ready.clear()
        return ready


class WebmMuxer:
    """Packets in, one WebM file out of `sink`. Times are whole milliseconds, per kind never going back."""

    def __init__(self, sink: FrontSink, *, sound: bool, picture: tuple[int, int] | None, cues: int) -> None:
        options = {"fflags": "+bitexact", "reserve_index_space": str(front_size(cues) - _ROOM)}
        self._container: Any = av.open(sink, "w", format="webm", options=options)
        self._streams: dict[TrackKind, Any] = {}
        self._last: dict[TrackKind, int] = {"audio": -1, "video": -1}
        if sound:
            self._streams["audio"] = self._container.add_stream("libopus", rate=48_000, layout="stereo")
        if picture:
            self._streams["video"] = self._container.add_mux_stream("vp8", width=picture[0], height=picture[1])

    def add(self, kind: TrackKind, data: bytes, moment: int, key: bool) -> None:
        moment = max(moment, self._last[kind] + 1)
        self._last[kind] = moment
        packet = av.Packet(data)
        packet.pts = packet.dts = moment
        packet.time_base = _MILLISECOND
        packet.is_keyframe = key
        packet.stream = self._streams[kind]
        self._container.mux_one(packet)

    def close(self) -> None:
        self._container.close()


def front_size(cues: int) -> int:
    """How many octets at the front the muxer may come back to, for so many seek points."""
    return _ROOM + 1024 + _CUE * cues
