"""RTP heads (RFC 3550 §5.1), read in place; every length is checked before it is used."""

LARGEST_PACKET = 1500  # octets; a browser keeps below 1250
USUAL = 0x90  # version 2, header extension, nothing else


def is_rtcp(datagram: bytes) -> bool:
    """Whether a datagram of the RTP range is RTCP (RFC 5761 §4)."""
    return len(datagram) > 1 and 192 <= datagram[1] <= 223


def payload_bounds(view: memoryview, size: int, first: int) -> tuple[int, int] | None:
    """Where the payload of the packet in `view[:size]` begins and ends; None if a length points outside.

    `size` is at least 12 octets, `first` the first of them. A packet of nothing but padding has an empty payload.
    """
    if first == USUAL and size >= 16:
        start = 16 + 4 * (view[14] << 8 | view[15])
        return (start, size) if start <= size else None
    start, end = 12 + 4 * (first & 0x0F), size
    if first & 0x10:
        if start + 4 > size:
            return None
        start += 4 + 4 * (view[start + 2] << 8 | view[start + 3])
    if first & 0x20:
        if view[size - 1] == 0:
            return None
        end -= view[size - 1]
    return (start, end) if start <= end else None
