"""The encrypted file: a header and authenticated segments, exact to the byte (docs/formats.md). Pure: no disk.

A file is opened in order, segment by segment; no byte leaves whose tag failed; what lacks its last segment is
refused unless the caller says that it was interrupted.
"""

import hashlib
import os
import struct
from dataclasses import dataclass
from typing import ClassVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from telehealth.errors import Reason, Refusal
from telehealth.ids import Entropy, Kind, is_id
from telehealth.secret import Secret

MAGIC = b"\x89TELREC\n"
VERSION = 1
SUITE_AES256GCM_HKDFSHA512 = 1
TAG_SIZE = 16
WORD_SIZE = 4
SEALED_SEGMENT = 65_536
MAX_SEGMENT = 4_194_304
MAX_SEGMENTS = 2**32
Octets = bytes | memoryview

_OPEN = struct.Struct(">8sHH30s30s32s")
_WORD = struct.Struct(">I")
HEADER_SIZE = _OPEN.size + 32


class MalformedEnvelope(Refusal):
    """The bytes are not an envelope of this version, or not the one that was asked for."""

    code: ClassVar[str] = "malformed_envelope"
    reason = Reason.INVALID
    message = "The file is not a recording file of this system."


class WrongKey(Refusal):
    """The key does not belong to this header: the commitment differs."""

    code: ClassVar[str] = "wrong_key"
    reason = Reason.CONFLICT
    message = "The key does not open this file."


class SegmentForged(Refusal):
    """A segment's tag failed: changed, moved, torn or from elsewhere."""

    code: ClassVar[str] = "segment_forged"
    reason = Reason.CONFLICT
    message = "The file was changed or is damaged."


class FileTruncated(Refusal):
    """The file ends before its last segment."""

    code: ClassVar[str] = "file_truncated"
    reason = Reason.CONFLICT
    message = "The file is not whole."


@dataclass(frozen=True, slots=True)
class Header:
    """The clear first bytes of a file. `salt` and `commitment` are 32 bytes each."""

    recording_id: str
    file_id: str
    salt: bytes
    commitment: bytes

    def encode(self) -> bytes:
        return _open_part(self.recording_id, self.file_id, self.salt) + self.commitment

    @classmethod
    def parse(cls, data: bytes) -> "Header":
        """Raises FileTruncated when too short, MalformedEnvelope when not ours."""
        if len(data) < HEADER_SIZE:
            raise FileTruncated
        magic, version, suite, recording, file, salt = _OPEN.unpack_from(data)
        if (magic, version, suite) != (MAGIC, VERSION, SUITE_AES256GCM_HKDFSHA512):
            raise MalformedEnvelope
        try:
            recording_id, file_id = recording.decode("ascii"), file.decode("ascii")
        except UnicodeDecodeError:
            raise MalformedEnvelope from None
        if not (is_id(Kind.RECORDING, recording_id) and is_id(Kind.FILE, file_id)):
            raise MalformedEnvelope
        return cls(recording_id, file_id, salt, data[_OPEN.size : HEADER_SIZE])


@dataclass(frozen=True, slots=True)
class Opened:
    """One segment's plaintext, and whether the file ends with it."""

    plain: bytes
    last: bool


class SegmentWriter:
    """Seals one file's segments in order under a key of its own; never restarted, so no nonce comes twice."""

    def __init__(self, dek: Secret[bytes], recording_id: str, file_id: str, entropy: Entropy = os.urandom) -> None:
        if not (is_id(Kind.RECORDING, recording_id) and is_id(Kind.FILE, file_id)):
            raise MalformedEnvelope
        opening = _open_part(recording_id, file_id, entropy(32))
        self._keys = _FileKeys.derive(dek, opening)
        self.header = opening + self._keys.commitment
        self._header_hash = hashlib.sha256(self.header).digest()
        self._counter = 0
        self._ended = False

    @property
    def segments(self) -> int:
        """How many segments were sealed."""
        return self._counter

    def seal(self, plaintext: Octets, last: bool = False) -> bytes:
        """The framed segment. Raises ValueError after the last, for an empty inner one, or beyond the limits."""
        return b"".join(self.frame(plaintext, last))

    def frame(self, plaintext: Octets, last: bool = False) -> tuple[bytes, bytes]:
        """As `seal`, in two pieces: length word, then ciphertext and tag."""
        if self._ended or len(plaintext) > MAX_SEGMENT or self._counter >= MAX_SEGMENTS or not (plaintext or last):
            raise ValueError("this segment cannot be written here")
        word = _WORD.pack(len(plaintext) << 1 | last)
        nonce = self._keys.nonce(self._counter, last)
        self._counter += 1
        self._ended = last
        return word, self._keys.cipher.encrypt(nonce, plaintext, self._header_hash + word)


class SegmentReader:
    """Opens single segments of one file whose header and key were checked against each other."""

    def __init__(self, dek: Secret[bytes], header: bytes, *, recording_id: str, file_id: str) -> None:
        """Raises MalformedEnvelope for another file's header, WrongKey when the commitment differs."""
        parsed = Header.parse(header)
        if (parsed.recording_id, parsed.file_id) != (recording_id, file_id):
            raise MalformedEnvelope
        self._keys = _FileKeys.derive(dek, header[: _OPEN.size])
        if Secret(self._keys.commitment) != Secret(parsed.commitment):
            raise WrongKey
        self._header_hash = hashlib.sha256(header[:HEADER_SIZE]).digest()

    def open(self, counter: int, framed: Octets) -> Opened:
        """The plaintext of the segment at position `counter`, of exactly these framed bytes."""
        _, last = self._checked(counter, framed)
        try:
            plain = self._keys.cipher.decrypt(self._keys.nonce(counter, last), framed[WORD_SIZE:], self._bound(framed))
        except InvalidTag:
            raise SegmentForged from None
        return Opened(plain, last)

    def open_into(self, counter: int, framed: Octets, buffer: memoryview) -> tuple[int, bool]:
        """As `open`, into the buffer's first octets: how many they are, and whether the file ends with them.

        Raises MalformedEnvelope for a segment larger than the buffer. What a refused one left there is wiped.
        """
        length, last = self._checked(counter, framed)
        if length > len(buffer):
            raise MalformedEnvelope
        nonce, plain = self._keys.nonce(counter, last), buffer[:length]
        try:
            self._keys.cipher.decrypt_into(nonce, framed[WORD_SIZE:], self._bound(framed), plain)
        except InvalidTag:
            plain[:] = bytes(length)
            raise SegmentForged from None
        return length, last

    def _bound(self, framed: Octets) -> bytes:
        return self._header_hash + framed[:WORD_SIZE]

    def _checked(self, counter: int, framed: Octets) -> tuple[int, bool]:
        if not 0 <= counter < MAX_SEGMENTS or len(framed) < WORD_SIZE + TAG_SIZE:
            raise MalformedEnvelope
        length, last = split_word(framed)
        if len(framed) != WORD_SIZE + length + TAG_SIZE:
            raise MalformedEnvelope
        return length, last


def split_word(framed: Octets, at: int = 0) -> tuple[int, bool]:
    """Plaintext length and last flag of the length word at `at`. Raises MalformedEnvelope beyond the limits."""
    (value,) = _WORD.unpack_from(framed, at)
    length, last = value >> 1, bool(value & 1)
    if length > MAX_SEGMENT or (length == 0 and not last):
        raise MalformedEnvelope
    return length, last


@dataclass(frozen=True, slots=True)
class _FileKeys:
    cipher: AESGCM
    base_nonce: bytes
    commitment: bytes

    @classmethod
    def derive(cls, dek: Secret[bytes], opening: bytes) -> "_FileKeys":
        """HKDF-SHA512(salt, DEK, info = header without the commitment): key 32, base nonce 7, commitment 32."""
        salt = opening[-32:]
        okm = HKDF(algorithm=SHA512(), length=71, salt=salt, info=opening).derive(dek.reveal())
        return cls(AESGCM(okm[:32]), okm[32:39], okm[39:])

    def nonce(self, counter: int, last: bool) -> bytes:
        return self.base_nonce + counter.to_bytes(4, "big") + (b"\x01" if last else b"\x00")


def _open_part(recording_id: str, file_id: str, salt: bytes) -> bytes:
    return _OPEN.pack(
        MAGIC, VERSION, SUITE_AES256GCM_HKDFSHA512, recording_id.encode("ascii"), file_id.encode("ascii"), salt
    )
