"""Reading envelopes: as a stream, whole, as the valid prefix of an interrupted file, or by byte range. Pure."""

from dataclasses import dataclass

from recordings.envelope import (
    HEADER_SIZE,
    SEALED_SEGMENT,
    TAG_SIZE,
    WORD_SIZE,
    FileTruncated,
    MalformedEnvelope,
    Octets,
    SegmentForged,
    SegmentReader,
    split_word,
)
from telehealth.secret import Secret

_STRIDE = WORD_SIZE + SEALED_SEGMENT + TAG_SIZE


@dataclass(frozen=True, slots=True)
class Prefix:
    """How far a file could be opened.

    `segments` that opened, `octets` of the file they and the header take, `discarded` octets after them,
    `complete`: the last segment was there and nothing followed.
    """

    segments: int
    octets: int
    discarded: int
    complete: bool


class SegmentStream:
    """Takes a file's bytes as they come and gives its segments' plaintexts in order.

    Strict: the first fault raises. Interrupted: reading stops at the first fault and `prefix` says where;
    only a header that is not the file's own still raises.
    """

    def __init__(self, dek: Secret[bytes], recording_id: str, file_id: str, *, interrupted: bool = False) -> None:
        self._dek, self._recording_id, self._file_id = dek, recording_id, file_id
        self._interrupted = interrupted
        self._reader: SegmentReader | None = None
        self._rest = b""
        self._given = 0
        self._octets = 0
        self._opened = 0
        self._ended = False
        self._stopped = False

    def feed(self, data: bytes) -> list[bytes]:
        """The plaintexts of the segments that `data` completes."""
        self._given += len(data)
        if self._stopped:
            return []
        data = self._rest + data if self._rest else data
        plains: list[bytes] = []
        try:
            self._rest = data[self._advance(data, plains) :]
        except (MalformedEnvelope, SegmentForged):
            if not self._interrupted or self._reader is None:
                raise
            self._stopped, self._rest = True, b""
        return plains

    def finish(self) -> Prefix:
        """What was read. Strict: raises FileTruncated without a last segment."""
        discarded = self._given - self._octets
        if not self._interrupted and not (self._ended and not discarded):
            raise FileTruncated
        self._stopped, self._rest = True, b""
        return Prefix(self._opened, self._octets, discarded, self._ended and not discarded)

    def _advance(self, data: bytes, plains: list[bytes]) -> int:
        """Open what `data` holds whole, and say where the rest begins."""
        at, view = 0, memoryview(data)
        if self._reader is None:
            if len(data) < HEADER_SIZE:
                return 0
            names = {"recording_id": self._recording_id, "file_id": self._file_id}
            self._reader = SegmentReader(self._dek, data[:HEADER_SIZE], **names)
            self._octets = at = HEADER_SIZE
        while len(data) - at >= WORD_SIZE or (self._ended and at < len(data)):
            if self._ended:
                raise MalformedEnvelope  # bytes after the last segment
            framed = WORD_SIZE + split_word(data, at)[0] + TAG_SIZE
            if len(data) - at < framed:
                break
            opened = self._reader.open(self._opened, view[at : at + framed])
            at += framed
            self._octets += framed
            self._opened += 1
            self._ended = opened.last
            plains.append(opened.plain)
        return at


def read_all(data: bytes, dek: Secret[bytes], *, recording_id: str, file_id: str) -> bytes:
    """The whole plaintext of a whole file; any fault refuses all of it."""
    stream = SegmentStream(dek, recording_id, file_id)
    plain = b"".join(stream.feed(data))
    stream.finish()
    return plain


def read_prefix(data: bytes, dek: Secret[bytes], *, recording_id: str, file_id: str) -> tuple[bytes, Prefix]:
    """What opens of an interrupted file, and how far that reached."""
    stream = SegmentStream(dek, recording_id, file_id, interrupted=True)
    plain = b"".join(stream.feed(data))
    return plain, stream.finish()


def plain_size(file_size: int) -> int:
    """The plaintext size of a sealed file (64 KiB segments) from its size. Raises FileTruncated for impossible ones."""
    body = file_size - HEADER_SIZE
    count, rest = divmod(body, _STRIDE)
    if body < WORD_SIZE + TAG_SIZE or 0 < rest < WORD_SIZE + TAG_SIZE + (count > 0):
        raise FileTruncated
    return body - (WORD_SIZE + TAG_SIZE) * (count + (rest > 0))


@dataclass(frozen=True, slots=True)
class RangePlan:
    """Which framed segments hold the plaintext octets asked for, of a sealed file.

    Read `length` octets of the file at `offset`; they are `count` segments from number `first`;
    the plaintext asked for is `take` octets after `skip`. `total` is the file's segment count.
    """

    first: int
    count: int
    offset: int
    length: int
    skip: int
    take: int
    total: int


def range_plan(size: int, start: int, end: int) -> RangePlan:
    """Plan for plaintext octets start..end (end exclusive) of a sealed file whose plaintext has `size` octets."""
    if not 0 <= start < end <= size:
        raise ValueError("outside the file")
    total = -(-size // SEALED_SEGMENT)
    first, last = start // SEALED_SEGMENT, (end - 1) // SEALED_SEGMENT
    count = last - first + 1
    in_last = min(SEALED_SEGMENT, size - last * SEALED_SEGMENT)
    length = (count - 1) * _STRIDE + WORD_SIZE + in_last + TAG_SIZE
    return RangePlan(first, count, HEADER_SIZE + first * _STRIDE, length, start % SEALED_SEGMENT, end - start, total)


def open_range(reader: SegmentReader, plan: RangePlan, framed: Octets) -> memoryview:
    """The plaintext a plan asked for, all of it or none; each segment is checked for its place, size and last flag."""
    if len(framed) != plan.length:
        raise FileTruncated
    view, plain = memoryview(framed), memoryview(bytearray(plan.count * SEALED_SEGMENT))
    for index in range(plan.count):
        number = plan.first + index
        room = plain[index * SEALED_SEGMENT : (index + 1) * SEALED_SEGMENT]
        length, last = reader.open_into(number, view[index * _STRIDE : (index + 1) * _STRIDE], room)
        is_final = number == plan.total - 1
        if last != is_final or (not is_final and length != SEALED_SEGMENT):
            raise MalformedEnvelope
    return plain[plan.skip : plan.skip + plan.take]
