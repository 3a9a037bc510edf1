"""From packets in order to whole VP8 frames (RFC 7741), without decoding."""

from enum import Enum, auto
from typing import NamedTuple

LARGEST_FRAME = 1 << 20  # octets


class Descriptor(NamedTuple):
    """`size` octets of payload descriptor; `first` if a frame starts here (S = 1, PID = 0)."""

    size: int
    first: bool


class Vp8Frame(NamedTuple):
    """One whole frame with its 32-bit RTP timestamp."""

    data: bytes
    timestamp: int
    key: bool


class Broken(Enum):
    """The stream cannot be followed without a new key frame."""

    BROKEN = auto()


def read_descriptor(payload: bytes) -> Descriptor | None:
    """RFC 7741 §4.2; None if it is cut short or carries no VP8 data."""
    end = len(payload)
    if end < 2:
        return None
    size, first = 1, payload[0] & 0x1F == 0x10
    if payload[0] & 0x80:
        flags = payload[1]
        size = 2
        if flags & 0x80:
            if size >= end:
                return None
            size += 2 if payload[size] & 0x80 else 1
        size += (flags >> 6 & 1) + (1 if flags & 0x30 else 0)
    return Descriptor(size, first) if size < end else None


def starts_key_frame(payload: bytes) -> bool:
    """Whether a key frame begins in this packet (RFC 7741 §4.3, P = 0); the bit stays clear under frame keys."""
    if len(payload) < 2 or payload[0] & 0x1F != 0x10:
        return False
    descriptor = read_descriptor(payload)
    return descriptor is not None and not payload[descriptor.size] & 0x01


_PLAIN = Descriptor(1, False)


class Vp8Assembler:
    """Takes packets without gaps, gives whole frames, the first one a key frame after every `lose()`."""

    def __init__(self) -> None:
        self.needs_key = True
        self._parts: list[bytes] = []
        self._size = 0
        self._timestamp = 0
        self._key = False

    @property
    def receiving(self) -> bool:
        """Whether a frame has begun to arrive."""
        return bool(self._parts)

    @property
    def receiving_key(self) -> bool:
        """Whether the key frame that is needed has begun to arrive."""
        return self._key and self.receiving

    def lose(self) -> None:
        """Packets are missing: drop what was begun and wait for a key frame."""
        self._clear()
        self.needs_key = True

    def push(self, marker: bool, timestamp: int, payload: bytes) -> Vp8Frame | Broken | None:
        """The frame that a packet completes, BROKEN if the sender broke the format, else None."""
        if not payload:
            return None
        plain = self._parts and len(payload) > 1 and not payload[0] & 0x90  # on with a frame, nothing optional
        descriptor = _PLAIN if plain else read_descriptor(payload)
        if descriptor is None:
            return self._give_up()
        size, first = descriptor
        if first:
            if self._parts:
                return self._give_up()
            self._key = not payload[size] & 0x01
            self._timestamp = timestamp
        elif not self._parts:
            return None if self.needs_key else self._give_up()
        if timestamp != self._timestamp or self._size > LARGEST_FRAME:
            return self._give_up()
        self._parts.append(payload[size:])
        self._size += len(payload) - size
        return self._finish() if marker else None

    def _finish(self) -> Vp8Frame | None:
        frame = Vp8Frame(b"".join(self._parts), self._timestamp, self._key)
        self._clear()
        if self.needs_key and not frame.key:
            return None
        self.needs_key = False
        return frame

    def _give_up(self) -> Broken:
        self.lose()
        return Broken.BROKEN

    def _clear(self) -> None:
        self._parts.clear()
        self._size = 0
        self._key = False
