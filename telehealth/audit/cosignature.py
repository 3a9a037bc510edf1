"""Cosignatures of witnesses (C2SP tlog-cosignature, Ed25519 with a time). Pure."""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from telehealth.audit.note import NoteForeign, NoteInvalid

COSIGNATURE = b"\x04"


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """A witness's name and its raw Ed25519 key."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + COSIGNATURE + self.public).digest()[:4]

    @property
    def line(self) -> str:
        """`name+id+base64`, as C2SP tools read it."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(COSIGNATURE + self.public).decode('ascii')}"


def parse_witness_key(line: str) -> WitnessKey:
    """Raises NoteInvalid for anything but a witness's verifier key."""
    name, _, rest = line.strip().partition("+")
    number, _, encoded = rest.partition("+")
    raw = _decoded(encoded)
    key = WitnessKey(name, raw[1:])
    if not name or len(raw) != 33 or raw[:1] != COSIGNATURE or key.id.hex() != number:
        raise NoteInvalid("not a witness's verifier key")
    return key


def signed_text(seconds: int, text: str) -> bytes:
    """What a witness signs at a time (Unix seconds) for a checkpoint's text."""
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def check_cosignature(line: str, text: str, key: WitnessKey) -> int:
    """When the witness signed this checkpoint's text, in Unix seconds. Raises NoteInvalid, NoteForeign."""
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    raw = _decoded(encoded)
    if dash != "—" or name != key.name or raw[:4] != key.id or len(raw) != 76:
        raise NoteForeign("not this witness's cosignature")
    seconds = int.from_bytes(raw[4:12], "big")
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(raw[12:], signed_text(seconds, text))
    except InvalidSignature:
        raise NoteForeign("the cosignature does not fit") from None
    return seconds


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise NoteInvalid("not base64") from None
