"""Leaving encrypted: the age format (C2SP age v1), written as a stream of any length.

To a recipient by pyrage. To a passphrase by this file, because pyrage takes a passphrase only for a file that is whole
in memory, which an export of hours is not. Checked against the age program and pyrage in the tests.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import pyrage
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from recordings.export.wire import PIECE
from telehealth.errors import Reason, Refusal
from telehealth.ids import Entropy

CHUNK = 65_536  # octets of plaintext in a payload's chunk
WORK = 18  # log2 of scrypt's N: what age itself takes, about a second and 256 MiB
_LABEL = b"age-encryption.org/v1/scrypt"
SHORTEST = 12  # characters of a passphrase


class RecipientUnfit(Refusal):
    """Not an X25519 recipient of age."""

    code: ClassVar[str] = "export_recipient_unfit"
    reason = Reason.INVALID
    message = "This is not an age recipient (age1…)."


class PassphraseUnfit(Refusal):
    code: ClassVar[str] = "export_passphrase_unfit"
    reason = Reason.INVALID
    message = "The passphrase needs at least 12 characters."


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


Write = Callable[[bytes], None]


def checked_recipient(text: str) -> str:
    """The recipient as it is written. Raises RecipientUnfit."""
    try:
        return str(pyrage.x25519.Recipient.from_str(text.strip()))
    except pyrage.RecipientError:
        raise RecipientUnfit from None


def checked_passphrase(text: str) -> str:
    """Raises PassphraseUnfit for one that is too short, or longer than 1024 characters."""
    if not SHORTEST <= len(text) <= 1024 or "\n" in text:
        raise PassphraseUnfit
    return text


class _Sink:
    """What pyrage writes to."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        self._write(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""


def to_recipient(source: Readable, write: Write, recipient: str) -> None:
    """All of `source`, encrypted to one X25519 recipient. Raises RecipientUnfit."""
    known: Any = pyrage.x25519.Recipient.from_str(checked_recipient(recipient))
    pyrage.encrypt_io(source, _Sink(write), [known])


def to_passphrase(source: Readable, write: Write, passphrase: str, entropy: Entropy) -> None:
    """All of `source`, encrypted to a passphrase (scrypt stanza)."""
    file_key, salt, nonce = entropy(16), entropy(16), entropy(16)
    write(_header(file_key, salt, passphrase.encode()))
    write(nonce)
    cipher = ChaCha20Poly1305(_hkdf(file_key, salt=nonce, info=b"payload"))
    counter, held = 0, source.read(CHUNK)
    while True:
        held = _filled(source, held)
        following = source.read(CHUNK) if len(held) == CHUNK else b""
        is_last = not following
        write(cipher.encrypt(counter.to_bytes(11, "big") + bytes([is_last]), held, None))
        if is_last:
            return
        counter, held = counter + 1, following


def plain(source: Readable, write: Write) -> None:
    """All of `source`, as it is: the envelope around it is all that protects it here."""
    while piece := source.read(PIECE):
        write(piece)


def _filled(source: Readable, held: bytes) -> bytes:
    """A whole chunk, unless the source ends before."""
    while len(held) < CHUNK and (more := source.read(CHUNK - len(held))):
        held += more
    return held


def _header(file_key: bytes, salt: bytes, passphrase: bytes) -> bytes:
    """Version line, one scrypt stanza, MAC. C2SP age, sections "scrypt recipient stanza" and "Header MAC"."""
    key = hashlib.scrypt(passphrase, salt=_LABEL + salt, n=1 << WORK, r=8, p=1, maxmem=512 * 1_048_576, dklen=32)
    body = ChaCha20Poly1305(key).encrypt(bytes(12), file_key, None)
    stanza = b"-> scrypt " + _base64(salt) + b" " + str(WORK).encode() + b"\n" + _base64(body) + b"\n"
    signed = b"age-encryption.org/v1\n" + stanza + b"---"
    mac = hmac.digest(_hkdf(file_key, salt=b"", info=b"header"), signed, "sha256")
    return signed + b" " + _base64(mac) + b"\n"


def _hkdf(key: bytes, *, salt: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)


def _base64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")
