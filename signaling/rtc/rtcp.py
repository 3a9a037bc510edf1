"""RTCP: what senders and receivers of media tell each other (RFC 3550 §6, RFC 4585, RFC 5104 §4.3.1, REMB)."""

from collections.abc import Callable, Mapping, Sequence
from struct import Struct, pack
from typing import NamedTuple

_HEADER = Struct("!BBH")
_SENDER_INFO = Struct("!IQIII")
_BLOCK = Struct("!IIIIII")
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


class Nack(NamedTuple):
    """Sequence numbers (16 bit) of `media` to send again."""

    media: int
    numbers: tuple[int, ...]


class PictureWanted(NamedTuple):
    """PLI or FIR: those who see `media` need a key frame."""

    media: int


class Remb(NamedTuple):
    """The most bit/s that all `sources` together may have."""

    bits_per_second: int
    sources: tuple[int, ...]


Said = SenderReport | Bye | ReportBlock | Nack | PictureWanted | Remb


def parse_rtcp(datagram: bytes) -> list[Said] | None:
    """What a compound packet says, kinds we have no use for skipped; None if malformed anywhere."""
    found: list[Said] = []
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
        reader = _READERS.get(kind)
        if reader is not None and not reader(datagram[body:position], first & 0x1F, found):
            return None
    return found


def _read_sender_report(body: bytes, count: int, found: list[Said]) -> bool:
    if len(body) < _SENDER_INFO.size:
        return False
    ssrc, ntp, timestamp, _, _ = _SENDER_INFO.unpack_from(body)
    found.append(SenderReport(ssrc, ntp, timestamp))
    return _read_blocks(body, _SENDER_INFO.size, count, found)


def _read_receiver_report(body: bytes, count: int, found: list[Said]) -> bool:
    return _read_blocks(body, 4, count, found)


def _read_blocks(body: bytes, start: int, count: int, found: list[Said]) -> bool:
    if start + _BLOCK.size * count > len(body):
        return False
    for at in range(start, start + _BLOCK.size * count, _BLOCK.size):
        ssrc, losses, highest, jitter, last, delay = _BLOCK.unpack_from(body, at)
        total = (losses & 0xFFFFFF ^ 0x800000) - 0x800000
        found.append(ReportBlock(ssrc, losses >> 24, total, highest, jitter, last, delay))
    return True


def _read_goodbye(body: bytes, count: int, found: list[Said]) -> bool:
    if len(body) < 4 * count:
        return False
    found.append(Bye(_words(body, 0, count)))
    return True


def _read_rtp_feedback(body: bytes, form: int, found: list[Said]) -> bool:
    """Generic NACK alone; other formats share the type (RFC 4585 §6.2)."""
    if len(body) < 8:
        return False
    if form == 1:
        numbers = []
        for at in range(8, min(len(body) - 3, 8 + 4 * _LARGEST_NACK), 4):
            first, mask = int.from_bytes(body[at : at + 2], "big"), int.from_bytes(body[at + 2 : at + 4], "big")
            numbers.append(first)
            numbers += [first + 1 + bit & 0xFFFF for bit in range(16) if mask >> bit & 1]
        found.append(Nack(int.from_bytes(body[4:8], "big"), tuple(numbers)))
    return True


def _read_payload_feedback(body: bytes, form: int, found: list[Said]) -> bool:
    if len(body) < 8:
        return False
    if form == 1:
        found.append(PictureWanted(int.from_bytes(body[4:8], "big")))
    elif form == 4:
        entries = range(8, min(len(body) - 7, 8 + 8 * 31), 8)
        found.extend(PictureWanted(int.from_bytes(body[at : at + 4], "big")) for at in entries)
    elif form == 15 and body[8:12] == b"REMB":
        if len(body) < 16 or len(body) < 16 + 4 * body[12]:
            return False
        rate = int.from_bytes(body[13:16], "big")
        found.append(Remb((rate & 0x3FFFF) << (rate >> 18), _words(body, 16, body[12])))
    return True


def _words(body: bytes, start: int, count: int) -> tuple[int, ...]:
    return tuple(int.from_bytes(body[at : at + 4], "big") for at in range(start, start + 4 * count, 4))


_READERS: dict[int, Callable[[bytes, int, list[Said]], bool]] = {
    SENDER_REPORT: _read_sender_report,
    RECEIVER_REPORT: _read_receiver_report,
    GOODBYE: _read_goodbye,
    RTP_FEEDBACK: _read_rtp_feedback,
    PAYLOAD_FEEDBACK: _read_payload_feedback,
}


def sender_report(report: SenderReport, packets: int, octets: int) -> bytes:
    """SR without blocks: they go into a receiver report of their own."""
    body = _SENDER_INFO.pack(report.ssrc, report.ntp, report.timestamp, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
    return _packet(0, SENDER_REPORT, body)


def goodbye(sources: Sequence[int]) -> bytes:
    """BYE of up to 31 sources (RFC 3550 §6.6)."""
    return _packet(len(sources[:31]), GOODBYE, b"".join(pack("!I", source) for source in sources[:31]))


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


def source_description(names: Mapping[int, str]) -> bytes:
    """SDES: the CNAME, at most 255 octets, of up to 31 sources."""
    chunks = []
    for sender, cname in list(names.items())[:31]:
        name = cname.encode("ascii")[:255]
        chunk = pack("!IBB", sender, 1, len(name)) + name + b"\0"
        chunks.append(chunk + bytes(-len(chunk) % 4))
    return _packet(len(chunks), SOURCE_DESCRIPTION, b"".join(chunks))


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
