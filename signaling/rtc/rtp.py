"""RTP headers (RFC 3550 §5.1), read in place; every length is checked before it is used."""

from struct import Struct
from typing import NamedTuple

_FIXED = Struct("!BBHII")
_EXTENSION = Struct("!HH")
LARGEST_PACKET = 1500  # octets; a browser keeps below 1250


class RtpPacket(NamedTuple):
    """One decrypted packet. `payload` has neither header nor padding and is empty in a padding-only probe."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def is_rtcp(datagram: bytes) -> bool:
    """Whether a datagram of the RTP range is RTCP (RFC 5761 §4)."""
    return len(datagram) > 1 and 192 <= datagram[1] <= 223


def parse_rtp(datagram: bytes) -> RtpPacket | None:
    """The packet, or None if any length in it points outside the datagram."""
    end = len(datagram)
    if end < _FIXED.size:
        return None
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(datagram)
    if first >> 6 != 2:
        return None
    start = _FIXED.size + 4 * (first & 0x0F)
    if first & 0x10:
        if start + 4 > end:
            return None
        start += 4 + 4 * _EXTENSION.unpack_from(datagram, start)[1]
    if start > end:
        return None
    if first & 0x20:
        padding = datagram[-1]
        if padding == 0 or start + padding > end:
            return None
        end -= padding
    return RtpPacket(second & 0x7F, second >= 0x80, sequence, timestamp, ssrc, datagram[start:end])


def restore_retransmission(packet: RtpPacket, payload_type: int, ssrc: int) -> RtpPacket | None:
    """The packet that an RTX packet repeats (RFC 4588 §4), or None for a probe that repeats nothing."""
    if len(packet.payload) < 2:
        return None
    sequence = int.from_bytes(packet.payload[:2], "big")
    return packet._replace(payload_type=payload_type, ssrc=ssrc, sequence=sequence, payload=packet.payload[2:])
