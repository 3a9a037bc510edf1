"""Signed notes and checkpoints of C2SP (signed-note, tlog-checkpoint) with Ed25519. Pure."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from telehealth.secret import Secret

MAX_NOTE = 16_384
_ED25519 = b"\x01"
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,255}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class NoteInvalid(ValueError):
    """Not a well-formed note, or one that the named key did not sign."""


class NoteForeign(NoteInvalid):
    """A well-formed note, signed by somebody else."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log's state: this many leaves under this root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The body of the note: three lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n"


class Signer:
    """Signs notes under a name with an Ed25519 key from a 32-byte seed."""

    __slots__ = ("_key", "name", "public_key")

    def __init__(self, name: str, seed: Secret[bytes]) -> None:
        if not _NAME.fullmatch(name):
            raise NoteInvalid("a key's name has no spaces and no plus sign")
        self.name = name
        self._key = Ed25519PrivateKey.from_private_bytes(seed.reveal())
        self.public_key: bytes = self._key.public_key().public_bytes_raw()

    def sign(self, text: str) -> bytes:
        """The whole note: text, empty line, signature line."""
        signature = key_id(self.name, self.public_key) + self._key.sign(text.encode())
        return f"{text}\n— {self.name} {base64.b64encode(signature).decode('ascii')}\n".encode()

    def sign_raw(self, content: bytes) -> bytes:
        """The bare signature, 64 bytes."""
        return self._key.sign(content)

    def checkpoint(self, size: int, root: bytes) -> bytes:
        return self.sign(Checkpoint(self.name, size, root).text())


def key_id(name: str, public_key: bytes) -> bytes:
    """The first four bytes of SHA-256(name ‖ LF ‖ 0x01 ‖ public key)."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:4]


def verifier_key(name: str, public_key: bytes) -> str:
    """The key in the one-line form that C2SP tools read: `name+keyid+base64`."""
    return f"{name}+{key_id(name, public_key).hex()}+{base64.b64encode(_ED25519 + public_key).decode('ascii')}"


def parse_verifier_key(text: str) -> tuple[str, bytes]:
    """Name and public key out of `verifier_key`'s form. Raises NoteInvalid."""
    name, _, rest = text.strip().partition("+")
    number, _, encoded = rest.partition("+")
    raw = _decode(encoded)
    if len(raw) != 33 or raw[:1] != _ED25519 or key_id(name, raw[1:]).hex() != number:
        raise NoteInvalid("not an Ed25519 verifier key")
    return name, raw[1:]


def open_note(note: bytes, name: str, public_key: bytes) -> str:
    """The text of a note that `name` signed with this key; other signatures are passed over. Raises NoteInvalid."""
    text, signatures = _take_apart(note)
    wanted = key_id(name, public_key)
    for line in signatures:
        signer, _, encoded = line.removeprefix("— ").partition(" ")
        raw = _decode(encoded)
        if not line.startswith("— ") or not _NAME.fullmatch(signer) or len(raw) < 5:
            raise NoteInvalid("a signature line that is none")
        if signer == name and raw[:4] == wanted:
            _check(public_key, raw[4:], text)
            return text
    raise NoteForeign("not signed by this key")


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in a note's text; lines after the third are extensions and passed over. Raises NoteInvalid."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]) or not _SIZE.fullmatch(lines[1]):
        raise NoteInvalid("not a checkpoint")
    root = _decode(lines[2])
    if len(root) != 32:
        raise NoteInvalid("not a SHA-256 root")
    return Checkpoint(lines[0], int(lines[1]), root)


def open_checkpoint(note: bytes, origin: str, public_key: bytes) -> Checkpoint:
    """The checkpoint that `origin` signed. Raises NoteInvalid."""
    found = parse_checkpoint(open_note(note, origin, public_key))
    if found.origin != origin:
        raise NoteInvalid("a checkpoint of another log")
    return found


def _take_apart(note: bytes) -> tuple[str, list[str]]:
    if len(note) > MAX_NOTE:
        raise NoteInvalid("too long")
    try:
        whole = note.decode("utf-8")
    except UnicodeDecodeError:
        raise NoteInvalid("not UTF-8") from None
    if any(ord(letter) < 0x20 and letter != "\n" for letter in whole):
        raise NoteInvalid("control characters")
    body, gap, signatures = whole.rpartition("\n\n")
    if not gap or not body or not signatures.endswith("\n"):
        raise NoteInvalid("no signatures")
    return body + "\n", signatures[:-1].split("\n")


def _decode(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteInvalid("not base64") from None
    if base64.b64encode(raw).decode("ascii") != text:
        raise NoteInvalid("base64 with bits left over")
    return raw


def _check(public_key: bytes, signature: bytes, text: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, text.encode())
    except InvalidSignature:
        raise NoteForeign("the signature does not fit") from None
