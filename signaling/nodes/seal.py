"""What goes through Redis between two nodes, sealed: whoever holds Redis can neither read, invent, repeat nor move it.

    magic "THN" | version u8 = 1 | stream u8 | sender 30 | sequence u64 big-endian | AES-256-GCM(JSON)

The key is HKDF-SHA-256(secret of the house, info "telehealth/nodes/1" ‖ stream ‖ sender ‖ receiver) (RFC 5869).
Sender and receiver are single lives of processes, so a key is used by one process towards one other, and the nonce is
the sequence number, which only rises. AAD is everything before the ciphertext. Inside stands when it was sealed, by
the clock that nodes share; what is older than `OLDEST` seconds, or from later, is refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from telehealth.ids import Kind, is_id
from telehealth.secret import Secret

OLDEST: Final = 3.0  # seconds
LARGEST: Final = 256 * 1024  # octets of one packet; SDP is at most 48 KiB, a view of eight people far less
ORDERED: Final = 0  # every one counts
HELLO: Final = 1  # signs of life; one lost is nothing lost
_MAGIC: Final = b"THN\x01"
_SENDER: Final = 30
_HEADER: Final = len(_MAGIC) + 1 + _SENDER + 8


class NotSealed(Exception):
    """Not a packet of a node to this one: forged, damaged, misdirected or stale."""


@dataclass(frozen=True, slots=True)
class Header:
    """What stands in clear; true only once the packet is opened."""

    stream: int
    sender: str
    sequence: int


def header_of(packet: bytes) -> Header:
    """Raises NotSealed."""
    if not _HEADER + 16 <= len(packet) <= LARGEST or packet[:4] != _MAGIC:
        raise NotSealed
    sender = packet[5 : 5 + _SENDER].decode("ascii", "replace")
    if packet[4] not in (ORDERED, HELLO) or not is_id(Kind.NODE, sender):
        raise NotSealed
    return Header(packet[4], sender, int.from_bytes(packet[5 + _SENDER : _HEADER], "big"))


class Seal:
    """One direction between two lives, one stream."""

    def __init__(self, secret: Secret[bytes], sender: str, receiver: str, stream: int) -> None:
        info = b"\0".join((b"telehealth/nodes/1", bytes([stream]), sender.encode(), receiver.encode()))
        key = HKDF(hashes.SHA256(), 32, salt=None, info=info).derive(secret.reveal())
        self._cipher = AESGCM(key)
        self._before = _MAGIC + bytes([stream]) + sender.encode("ascii")
        self._last = 0

    def close(self, sequence: int, at: float, message: Mapping[str, Any]) -> bytes:
        """A packet. Raises ValueError for one too large, or a sequence number that does not rise."""
        if sequence <= self._last:
            raise ValueError("a nonce is used once")
        text = json.dumps({"at": at, **message}, separators=(",", ":")).encode()
        if len(text) > LARGEST - _HEADER - 16:
            raise ValueError("too large for a packet")
        self._last = sequence
        header, nonce = self._framed(sequence)
        return header + self._cipher.encrypt(nonce, text, header)

    def open(self, packet: bytes, sequence: int, now: float) -> dict[str, Any]:
        """What was said. Raises NotSealed."""
        header, nonce = self._framed(sequence)
        try:
            message: dict[str, Any] = json.loads(self._cipher.decrypt(nonce, packet[_HEADER:], header))
        except InvalidTag:
            raise NotSealed from None
        if abs(now - message["at"]) > OLDEST:
            raise NotSealed
        return message

    def _framed(self, sequence: int) -> tuple[bytes, bytes]:
        number = sequence.to_bytes(8, "big")
        return self._before + number, bytes(4) + number
