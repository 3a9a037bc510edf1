"""RTP header extensions (RFC 8285): reading those that come, writing those that go."""

from struct import Struct

from signaling.rtc.sdp import LEVEL, MID, SEND_TIME, Section

_FIRST = 0x90  # version 2, header extension, nothing else
_LEVEL_AND_TIME = 6  # octets
_ONE_BYTE, _TWO_BYTE = 0xBEDE, 0x1000
_LONGEST_ONE_BYTE = 16
_HIGHEST_ONE_BYTE = 14


def find_extension(view: memoryview, size: int, wanted: int) -> bytes | None:
    """The value of extension number `wanted` in the RTP packet `view[:size]`; None if it is not there or malformed."""
    at = 12 + 4 * (view[0] & 0x0F)
    if not view[0] & 0x10 or at + 4 > size:
        return None
    profile = view[at] << 8 | view[at + 1]
    end = at + 4 + 4 * (view[at + 2] << 8 | view[at + 3])
    at += 4
    if end > size or (profile != _ONE_BYTE and profile & 0xFFF0 != _TWO_BYTE):
        return None
    while at < end:
        number, length = view[at] >> 4, (view[at] & 0x0F) + 1
        if view[at] == 0:
            at += 1
            continue
        if profile != _ONE_BYTE:
            if at + 1 >= end:
                return None
            number, length = view[at], view[at + 1]
            at += 1
        elif number > _HIGHEST_ONE_BYTE:
            return None
        if at + 1 + length > end:
            return None
        if number == wanted:
            return bytes(view[at + 1 : at + 1 + length])
        at += 1 + length
    return None


class Head:
    """Writes the head of what we send in one section: RTP header and extensions, always of the same size.

    An extension that was not agreed leaves zeros, which are padding (RFC 8285 §4.1.1).
    """

    __slots__ = ("_pack", "level", "prefix", "size", "time")

    def __init__(self, section: Section) -> None:
        mid, number = section.mid.encode("ascii"), _small(section.extension(MID))
        named = b""
        if number is not None and len(mid) <= _LONGEST_ONE_BYTE:
            named = bytes([number << 4 | len(mid) - 1]) + mid
        level = _small(section.extension(LEVEL)) if section.kind == "audio" else None
        self.level = 0 if level is None else level << 12
        time = _small(section.extension(SEND_TIME))
        self.time = 0 if time is None else time << 28 | 2 << 24
        words = (len(named) + _LEVEL_AND_TIME + 3) // 4
        padding = 4 * words - len(named) - _LEVEL_AND_TIME
        self.prefix = _ONE_BYTE.to_bytes(2, "big") + words.to_bytes(2, "big") + named
        layout = Struct(f"!BBHII{len(self.prefix)}sHI{padding}x")
        self._pack = layout.pack_into
        self.size = layout.size

    def write(
        self, view: memoryview, second: int, sequence: int, timestamp: int, ssrc: int, level: int, now: float
    ) -> None:
        """Into `view`: `second` is marker and payload type, `level` the sound's (RFC 6464), `now` steady seconds."""
        self._pack(
            view,
            0,
            _FIRST,
            second,
            sequence,
            timestamp,
            ssrc,
            self.prefix,
            self.level and self.level | level,
            self.time and self.time | int(now * 262_144) & 0xFFFFFF,
        )


def _small(number: int | None) -> int | None:
    return number if number is not None and number <= _HIGHEST_ONE_BYTE else None
