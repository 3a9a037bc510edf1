"""WebM (RFC 9559) with duration and Cues in front, laid out from sizes and times, then written strictly forward. Pure.

Every element has the size that its place in the layout says, so that the front is known before the first frame is
written, and a file can go to a store that only appends.
"""

import struct
from dataclasses import dataclass, field
from typing import ClassVar

from telehealth.errors import Reason, Refusal
from telehealth.frames import TrackKind

TRACK: dict[TrackKind, int] = {"audio": 1, "video": 2}
BLOCK = struct.Struct(">BIBhB")  # SimpleBlock: id, size, track, milliseconds since its cluster's, flags
BLOCK_ID, BLOCK_KEY = 0xA3, 0x80
_BLOCK_OWN = 4  # octets of a SimpleBlock's content before the frame
_SIZE4, _SIZE8 = 1 << 28, 1 << 56  # marks of element sizes in four and in eight octets (RFC 8794 §4)
_CLUSTER_HEAD = struct.Struct(">IQBBI")  # Cluster, its size, Timestamp, its size, milliseconds
_CLUSTER_OWN = 6
_LONGEST, _EARLIEST = 5_000, -30_000  # milliseconds of a frame in its cluster
_LARGEST = 4 * 1_048_576  # octets of a cluster
_APART = 500  # milliseconds between places to be sought, at least: a sender may say key frame as often as it likes
_TICK = 1_000_000  # nanoseconds: times are milliseconds
_PRE_ROLL = 80_000_000  # nanoseconds that Opus needs to converge (RFC 7845 §4.6)
_OPUS_HEAD = struct.pack(
    "<8sBBHIhB", b"OpusHead", 1, 2, 0, 48_000, 0, 0
)  # RFC 7845 §5.1: two channels, nothing skipped
_VP8_START = b"\x9d\x01\x2a"
_APP = b"telehealth"


class SealDiffered(Refusal):
    """The frames read for writing are not those that were laid out, or do not fit into a file; nothing was sealed."""

    code: ClassVar[str] = "seal_differed"
    reason = Reason.UNAVAILABLE
    message = "The recording could not be finished."


def picture_size(key_frame: bytes) -> tuple[int, int] | None:
    """Width and height in a VP8 key frame's header (RFC 6386 §9.1), None when there is none."""
    if len(key_frame) < 10 or key_frame[0] & 1 or key_frame[3:6] != _VP8_START:
        return None
    width, height = (int.from_bytes(key_frame[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return (width, height) if width and height else None


@dataclass(slots=True)
class Cluster:
    """A run of frames from number `first` on, `octets` in the file, at `moment`; `seek`: Cues point at it."""

    first: int
    moment: int
    octets: int
    seek: bool

    @property
    def head(self) -> bytes:
        """What stands before the first block."""
        size = _SIZE8 | (self.octets - _CLUSTER_HEAD.size + _CLUSTER_OWN)
        return _CLUSTER_HEAD.pack(0x1F43B675, size, 0xE7, 0x84, self.moment)


@dataclass(slots=True)
class Layout:
    """Takes the frames in the order in which they will be written; then says how the file begins and how long it is.

    A cluster begins with a key frame 500 ms or more after the last such cluster, after 5 s and after 4 MiB. Cues point
    at those key frames, or where there is sound alone at every cluster. `sought`: the moment of the latest of them.
    """

    sound: bool
    picture: tuple[int, int] | None
    clusters: list[Cluster] = field(default_factory=list)
    sought: int = -_APART

    def add(self, number: int, moment: int, octets: int, seek: bool) -> None:
        """Frame `number` of `octets`, at `moment` (milliseconds); `seek`: a key frame of a picture."""
        taken = BLOCK.size + octets
        seek = seek and moment - self.sought >= _APART
        if seek:
            self.sought = moment
        elif self.clusters:
            open_one = self.clusters[-1]
            if _EARLIEST < moment - open_one.moment < _LONGEST and open_one.octets + taken <= _LARGEST:
                open_one.octets += taken
                return
        self.clusters.append(Cluster(number, moment, _CLUSTER_HEAD.size + taken, seek or self.picture is None))

    def front(self, milliseconds: int) -> bytes:
        """Everything before the first cluster."""
        info, tracks = self._info(milliseconds), self._tracks()
        seek_head = _seek_head(0, 0, 0)  # its size does not depend on what it says
        at_info = len(seek_head)
        at_tracks = at_info + len(info)
        at_cues = at_tracks + len(tracks)
        cues = self._cues(at_cues + len(self._cues(0)))
        front = _seek_head(at_info, at_tracks, at_cues) + info + tracks + cues
        size = len(front) + sum(cluster.octets for cluster in self.clusters)
        return _EBML + struct.pack(">IQ", 0x18538067, _SIZE8 | size) + front

    def _info(self, milliseconds: int) -> bytes:
        return _master(
            0x1549A966,
            _uint(0x2AD7B1, _TICK, 4),
            _leaf(0x4489, struct.pack(">d", milliseconds)),
            _leaf(0x4D80, _APP),
            _leaf(0x5741, _APP),
        )

    def _tracks(self) -> bytes:
        entries: list[bytes] = []
        if self.sound:
            audio = _master(0xE1, _leaf(0xB5, struct.pack(">d", 48_000)), _uint(0x9F, 2))
            private = _leaf(0x63A2, _OPUS_HEAD)
            entries.append(_entry("audio", 2, b"A_OPUS", private, _uint(0x56BB, _PRE_ROLL, 4), audio))
        if self.picture:
            width, height = self.picture
            entries.append(_entry("video", 1, b"V_VP8", _master(0xE0, _uint(0xB0, width, 2), _uint(0xBA, height, 2))))
        return _master(0x1654AE6B, *entries)

    def _cues(self, at: int) -> bytes:
        """`at`: where the first cluster begins, from the beginning of the Segment's content."""
        track = TRACK["video" if self.picture else "audio"]
        points: list[bytes] = []
        for cluster in self.clusters:
            if cluster.seek:
                position = _master(0xB7, _uint(0xF7, track), _uint(0xF1, at, 8))
                points.append(_master(0xBB, _uint(0xB3, cluster.moment, 4), position))
            at += cluster.octets
        return _master(0x1C53BB6B, *points)


def block_size(octets: int) -> int:
    """The size field of a SimpleBlock with a frame of `octets`."""
    return _SIZE4 | (octets + _BLOCK_OWN)


def _entry(kind: TrackKind, sort: int, codec: bytes, *more: bytes) -> bytes:
    number = TRACK[kind]
    return _master(
        0xAE, _uint(0xD7, number), _uint(0x73C5, number), _uint(0x83, sort), _uint(0x9C, 0), _leaf(0x86, codec), *more
    )


def _seek_head(info: int, tracks: int, cues: int) -> bytes:
    places = ((0x1549A966, info), (0x1654AE6B, tracks), (0x1C53BB6B, cues))
    return _master(
        0x114D9B74, *(_master(0x4DBB, _uint(0x53AB, ident, 4), _uint(0x53AC, place, 8)) for ident, place in places)
    )


def _uint(ident: int, value: int, octets: int = 1) -> bytes:
    return _leaf(ident, value.to_bytes(octets, "big"))


def _leaf(ident: int, content: bytes) -> bytes:
    """An element of less than 127 octets."""
    return _id(ident) + bytes([0x80 | len(content)]) + content


def _master(ident: int, *parts: bytes) -> bytes:
    """Raises SealDiffered for a content whose size does not fit: all ones would mean that it is unknown."""
    content = b"".join(parts)
    if len(content) >= _SIZE4 - 1:
        raise SealDiffered
    return _id(ident) + (_SIZE4 | len(content)).to_bytes(4, "big") + content


def _id(ident: int) -> bytes:
    return ident.to_bytes((ident.bit_length() + 7) // 8, "big")


_EBML = _master(
    0x1A45DFA3,
    _uint(0x4286, 1),
    _uint(0x42F7, 1),
    _uint(0x42F2, 4),
    _uint(0x42F3, 8),
    _leaf(0x4282, b"webm"),
    _uint(0x4287, 4),
    _uint(0x4285, 2),
)
