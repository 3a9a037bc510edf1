"""Several datagrams, payloads or frames as one input."""

from collections.abc import Iterator

MOST_PIECES = 40


def joined(*pieces: bytes) -> bytes:
    """Several datagrams as one input: each after its length in two octets."""
    return b"".join(len(piece).to_bytes(2, "big") + piece for piece in pieces)


def apart(octets: bytes) -> Iterator[bytes]:
    """The datagrams of an input, whatever its lengths say, at most forty."""
    at = 0
    for _ in range(MOST_PIECES):
        if at + 2 > len(octets):
            return
        size = int.from_bytes(octets[at : at + 2], "big") % 1500
        yield octets[at + 2 : at + 2 + size]
        at += 2 + size
