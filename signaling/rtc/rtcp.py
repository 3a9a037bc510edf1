"""RTCP: what a receiver must understand and what it must say (RFC 3550 §6, RFC 4585, REMB)."""

from collections.abc import Iterable, Sequence
from struct import Struct, pack
from typing import NamedTuple

_HEADER = Struct("!BBH")
_SENDER_INFO = Struct("!IQIII")
SENDER_REPORT, RECEIVER_REPORT, SOURCE_DESCRIPTION, GOODBYE, RTP_FEEDBACK, PAYLOAD_FEEDBACK = (
    200,
    201,
    202,
    203,
    205,
    206,
)
_LARGEST_NACK = 64  # (PID, BLP) pairs in one message


class SenderReport(NamedTuple):
    """`ntp` (64 bit) is the moment of the RTP `timestamp` by the sender's clock."""

    ssrc: int
    ntp: int
    timestamp: int


class Bye(NamedTuple):
    """The sources that stop."""

    ssrcs: tuple[int, ...]


class ReportBlock(NamedTuple):
    """RFC 3550 §6.4.1. `fraction_lost` in 1/256, `jitter` in RTP units, `delay` since the last SR in 1/65536 s."""

    ssrc: int
    fraction_lost: int
    total_lost: int
    highest: int
    jitter: int
    last_report: int
    delay: int


def parse_rtcp(datagram: bytes) -> list[SenderReport | Bye] | None:
    """The sender reports and goodbyes of a compound packet, other kinds skipped; None if malformed anywhere."""
    found: list[SenderReport | Bye] = []
    position, end = 0, len(datagram)
    if end < 4:
        return None
    while position < end:
        if position + 4 > end:
            return None
        first, kind, words = _HEADER.unpack_from(datagram, position)
        body, position = position + 4, position + 4 + 4 * words
        if first >> 6 != 2 or position > end:
            return None
        if kind == SENDER_REPORT:
            if position - body < _SENDER_INFO.size:
                return None
            ssrc, ntp, timestamp, _, _ = _SENDER_INFO.unpack_from(datagram, body)
            found.append(SenderReport(ssrc, ntp, timestamp))
        elif kind == GOODBYE:
            if position - body < 4 * (first & 0x1F):
                return None
            found.append(Bye(tuple(_words(datagram, body, first & 0x1F))))
    return found


def _words(datagram: bytes, start: int, count: int) -> Iterable[int]:
    return (int.from_bytes(datagram[at : at + 4], "big") for at in range(start, start + 4 * count, 4))


def receiver_report(sender: int, blocks: Sequence[ReportBlock]) -> bytes:
    """RR with up to 31 blocks."""
    body = pack("!I", sender) + b"".join(_block(block) for block in blocks[:31])
    return _packet(min(len(blocks), 31), RECEIVER_REPORT, body)


def _block(block: ReportBlock) -> bytes:
    lost = max(-0x800000, min(0x7FFFFF, block.total_lost)) & 0xFFFFFF
    return pack(
        "!IIIIII",
        block.ssrc,
        block.fraction_lost << 24 | lost,
        block.highest & 0xFFFFFFFF,
        block.jitter & 0xFFFFFFFF,
        block.last_report & 0xFFFFFFFF,
        min(block.delay, 0xFFFFFFFF),
    )


def source_description(sender: int, cname: str) -> bytes:
    """SDES with a CNAME of at most 255 octets."""
    name = cname.encode("ascii")[:255]
    chunk = pack("!IBB", sender, 1, len(name)) + name + b"\0"
    return _packet(1, SOURCE_DESCRIPTION, chunk + bytes(-len(chunk) % 4))


def picture_loss(sender: int, media: int) -> bytes:
    """PLI (RFC 4585 §6.3.1)."""
    return _packet(1, PAYLOAD_FEEDBACK, pack("!II", sender, media))


def negative_acknowledgement(sender: int, media: int, missing: Sequence[int]) -> bytes:
    """Generic NACK (RFC 4585 §6.2.1) for ascending extended sequence numbers; wraps at 16 bit; empty if none."""
    pairs: list[tuple[int, int]] = []
    for number in missing:
        if pairs and 0 < number - pairs[-1][0] <= 16:
            first, mask = pairs[-1]
            pairs[-1] = (first, mask | 1 << (number - first - 1))
        elif len(pairs) < _LARGEST_NACK:
            pairs.append((number, 0))
        else:
            break
    if not pairs:
        return b""
    fields = b"".join(pack("!HH", first & 0xFFFF, mask) for first, mask in pairs)
    return _packet(1, RTP_FEEDBACK, pack("!II", sender, media) + fields)


def bandwidth_limit(sender: int, sources: Sequence[int], bits_per_second: int) -> bytes:
    """REMB (draft-alvestrand-rmcat-remb §2.2): the most that all `sources` together may send."""
    exponent = max(0, bits_per_second.bit_length() - 18)
    rate = exponent << 18 | bits_per_second >> exponent
    head = pack("!II4sI", sender, 0, b"REMB", len(sources) << 24 | rate)
    return _packet(15, PAYLOAD_FEEDBACK, head + b"".join(pack("!I", source) for source in sources))


def _packet(count: int, kind: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body
