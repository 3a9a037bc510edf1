"""The log's signing keys, one after the other: each names its successor, and the newest signs the list. Pure.

Text of the signed note `keys`: `telehealth audit keys v1` LF origin LF, then for every key a line
`generation since verifier-key endorsement`: the first key that signs heads of more than `since` entries, and the
signature of the key before it over `telehealth audit next key v1` LF origin LF generation LF since LF verifier-key LF.
"""

import base64
import binascii
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from telehealth.audit.note import (
    Checkpoint,
    NoteForeign,
    NoteInvalid,
    Signer,
    open_checkpoint,
    open_note,
    parse_verifier_key,
    verifier_key,
)

_TITLE = "telehealth audit keys v1"
_NEXT = "telehealth audit next key v1"
MAX_KEYS = 64


@dataclass(frozen=True, slots=True)
class LogKey:
    """A key, the size of the log when it took over, and its predecessor's signature on that ("" for the first)."""

    since: int
    public: bytes
    endorsement: str = ""


@dataclass(frozen=True, slots=True)
class LogKeys:
    """All keys the log ever signed with, oldest first."""

    origin: str
    keys: tuple[LogKey, ...]

    @property
    def newest(self) -> bytes:
        return self.keys[-1].public

    def open(self, note: bytes) -> Checkpoint:
        """The checkpoint of a note by the key that was in force at its size. Raises NoteInvalid, NoteForeign."""
        for at in reversed(range(len(self.keys))):
            try:
                found = open_checkpoint(note, self.origin, self.keys[at].public)
            except NoteForeign:
                continue
            if at + 1 < len(self.keys) and found.size > self.keys[at + 1].since:
                raise NoteForeign("signed with a key after its successor took over")
            return found
        raise NoteForeign("not signed by a key of this log")

    def text(self) -> str:
        """For people and tools: size from which on it signs, and verifier key, one key a line."""
        return "".join(f"{key.since} {verifier_key(self.origin, key.public)}\n" for key in self.keys)

    def followed_by(self, present: Signer, new: Signer, since: int) -> "LogKeys":
        """The list with one more key, which the present one endorses. Raises ValueError if that is not its place."""
        if present.public_key != self.newest or new.public_key in [key.public for key in self.keys]:
            raise ValueError("the present key hands over to one that is new")
        if len(self.keys) >= MAX_KEYS:
            raise ValueError("too many keys")
        text = _next_text(self.origin, len(self.keys) + 1, since, new.public_key)
        endorsement = base64.b64encode(present.sign_raw(text.encode())).decode("ascii")
        return LogKeys(self.origin, (*self.keys, LogKey(since, new.public_key, endorsement)))

    def note(self, newest: Signer) -> bytes:
        """The key list file, signed by the newest key."""
        lines = [
            f"{at} {key.since} {verifier_key(self.origin, key.public)} {key.endorsement or '-'}\n"
            for at, key in enumerate(self.keys, 1)
        ]
        return newest.sign(f"{_TITLE}\n{self.origin}\n{''.join(lines)}")


def first_key(origin: str, public: bytes) -> LogKeys:
    return LogKeys(origin, (LogKey(0, public),))


def open_keys(note: bytes, origin: str, trusted: bytes) -> LogKeys:
    """The list, if it holds the trusted key and every later key was named by the one before. Raises NoteInvalid."""
    keys = _parse(note, origin)
    publics = [key.public for key in keys]
    if trusted not in publics:
        raise NoteForeign("the list does not hold the trusted key")
    open_note(note, origin, publics[-1])
    for at in range(publics.index(trusted) + 1, len(keys)):
        _check_endorsement(origin, at, keys)
    return LogKeys(origin, tuple(keys))


def _check_endorsement(origin: str, at: int, keys: list[LogKey]) -> None:
    text = _next_text(origin, at + 1, keys[at].since, keys[at].public)
    try:
        signature = base64.b64decode(keys[at].endorsement, validate=True)
        Ed25519PublicKey.from_public_bytes(keys[at - 1].public).verify(signature, text.encode())
    except (InvalidSignature, binascii.Error, ValueError):
        raise NoteForeign("a key that its predecessor did not name") from None


def _parse(note: bytes, origin: str) -> list[LogKey]:
    try:
        text = note.decode("utf-8").rpartition("\n\n")[0]
        title, named, *lines = text.split("\n")
        keys = [_key_in(line, at, origin) for at, line in enumerate(lines, 1)]
    except (UnicodeDecodeError, ValueError) as error:
        raise NoteInvalid("not a list of keys") from error
    sinces = [key.since for key in keys]
    if (title, named) != (_TITLE, origin) or not 0 < len(keys) <= MAX_KEYS or sinces != sorted(sinces) or sinces[0]:
        raise NoteInvalid("not a list of this log's keys")
    return keys


def _key_in(line: str, at: int, origin: str) -> LogKey:
    number, since, verifier, endorsement = line.split(" ")
    name, public = parse_verifier_key(verifier)
    if number != str(at) or name != origin or not since.isdecimal() or len(since) > 19:
        raise ValueError("not a line of this list")
    return LogKey(int(since), public, "" if endorsement == "-" else endorsement)


def _next_text(origin: str, generation: int, since: int, public: bytes) -> str:
    return f"{_NEXT}\n{origin}\n{generation}\n{since}\n{verifier_key(origin, public)}\n"
