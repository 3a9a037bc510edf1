"""One unambiguous encoding for what a ciphertext is bound to."""


def bind(label: str, *parts: str | bytes) -> bytes:
    """Length-prefixed (u32, big-endian) label and parts: two different lists never give the same bytes."""
    out = bytearray()
    for part in (label, *parts):
        octets = part.encode() if isinstance(part, str) else part
        out += len(octets).to_bytes(4, "big") + octets
    return bytes(out)
