"""A track read along the recording's timeline: the picture that is due, and the sound of the next 20 ms."""

import io
from array import array
from collections import deque
from collections.abc import Callable
from typing import Any

import av

from recordings.export.wire import PIECE, TrackJob

RATE = 48_000
BLOCK = 960  # samples: 20 ms
AHEAD = 500  # milliseconds that a track is read ahead: more than kinds are apart in a sealed file
STALE = 5000  # milliseconds after which a picture without a successor means a camera that is off
_SLIP = 1920  # samples (40 ms) that a packet may be off its place before the sound jumps there
_SILENCE = array("f", bytes(4 * BLOCK))
Ranges = Callable[[int, int], bytes]  # offset, length → octets of plaintext


class RangeFile(io.RawIOBase):
    """Octets that somebody else has, as the file that a demuxer wants; the piece read last is kept."""

    def __init__(self, size: int, ranges: Ranges) -> None:
        self._size, self._ranges = size, ranges
        self._at, self._begin, self._piece = 0, 0, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._at)
        wanted = left if size is None or size < 0 else min(size, left)
        if not wanted:
            return b""
        if not self._begin <= self._at < self._begin + len(self._piece):
            self._begin = self._at
            self._piece = self._ranges(self._at, min(PIECE, left))
        skip = self._at - self._begin
        data = self._piece[skip : skip + wanted]
        self._at += len(data)
        return data


class Intake:
    """Packets wait encoded until their time has come, so that little is decoded ahead. Times: of the recording, ms."""

    def __init__(self, job: TrackJob, ranges: Ranges) -> None:
        self.job = job
        self._container: Any = av.open(RangeFile(job.size, ranges), "r", format="webm")
        streams = self._container.streams
        self._video: Any = streams.video[0] if streams.video else None
        self._audio: Any = streams.audio[0] if streams.audio else None
        self._packets = self._container.demux([one for one in (self._video, self._audio) if one is not None])
        self._pictures: deque[tuple[int, Any]] = deque()
        self._sounds: deque[tuple[int, Any]] = deque()
        self._read_to = -(10**9)
        self._voice = _Voice()
        self.picture: Any = None  # the newest one that was due
        self._shown_at = 0

    def close(self) -> None:
        self._container.close()

    def advance(self, moment: int) -> bool:
        """Make `picture` the one that is due at `moment`; whether there is a new one."""
        self._fill(moment)
        fresh = False
        while self._pictures and self._pictures[0][0] <= moment:
            for frame in self._video.codec_context.decode(self._pictures.popleft()[1]):
                self.picture, self._shown_at, fresh = frame, moment, True
        return fresh

    def has_picture(self, moment: int) -> bool:
        """Whether there is one that is not older than a camera that is on would leave it."""
        return self.picture is not None and moment - self._shown_at <= STALE

    def sound(self, block: int) -> "array[float] | None":
        """The samples of block number `block` (20 ms each, 48 kHz, mono); None: silence."""
        first = block * BLOCK
        self._fill(block * 20)
        while self._sounds and self._sounds[0][0] <= block * 20 + 40:
            moment, packet = self._sounds.popleft()
            for frame in self._audio.codec_context.decode(packet):
                self._voice.add(moment * (RATE // 1000), frame)
        return self._voice.take(first)

    def _fill(self, moment: int) -> None:
        while self._read_to < moment + AHEAD:
            packet = next(self._packets, None)
            if packet is None or packet.pts is None:
                if packet is None:
                    self._read_to = 10**12
                continue
            at = self.job.start_ms + round(packet.pts * packet.time_base * 1000)
            self._read_to = max(self._read_to, at)
            (self._pictures if packet.stream is self._video else self._sounds).append((at, packet))


class _Voice:
    """Decoded sound laid on the timeline; small slips are smoothed over, larger ones are silence or a jump."""

    def __init__(self) -> None:
        self._resampler: Any = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        self._held: array[float] = array("f")
        self._first = 0  # the sample number of the first held one

    def add(self, first: int, frame: Any) -> None:
        frame.pts = None
        for mono in self._resampler.resample(frame):
            fresh: array[float] = array("f", bytes(mono.planes[0])[: 4 * mono.samples])
            end = self._first + len(self._held)
            if not self._held:
                self._first = first if abs(first - end) > _SLIP or end == 0 else end
            elif first - end > _SLIP:
                self._held.extend(array("f", bytes(4 * (first - end))))
            self._held.extend(fresh)
            first += len(fresh)

    def take(self, first: int) -> "array[float] | None":
        """BLOCK samples from number `first` on; what lies before them is dropped."""
        if not self._held or self._first >= first + BLOCK:
            return None
        late = first - self._first
        if late > 0:
            del self._held[:late]
            self._first = first
            if not self._held:
                return None
        lead = max(0, -late)
        taken = self._held[: BLOCK - lead]
        del self._held[: BLOCK - lead]
        self._first += len(taken)
        block = array("f", bytes(4 * lead)) + taken
        return block if len(block) == BLOCK else block + _SILENCE[len(block) :]
