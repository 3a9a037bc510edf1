"""Files encrypted to age recipients (age-encryption.org/v1), in one pass and in bounded memory. Blocks."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyrage
from pydantic import BaseModel, ConfigDict

from telehealth.backup.refusals import BackupTampered, IdentityWrong

PIECE = 1_048_576
sync = os.fsync
Recipient = Any  # pyrage.x25519.Recipient
Identity = Any  # pyrage.x25519.Identity


class Sealed(BaseModel):
    """An encrypted file and what is in it: octets and SHA-256 (hex) of both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    sha256: str
    plain_size: int
    plain_sha256: str


class Stopped(Exception):
    """Whoever asked for it does not want it any more."""


class _Measured:
    """Counts and hashes what passes."""

    def __init__(self) -> None:
        self.size = 0
        self._digest = hashlib.sha256()

    def take(self, data: bytes) -> None:
        self.size += len(data)
        self._digest.update(data)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class _Source(_Measured):
    """What the cipher reads: pieces from an iterator, as many octets as asked for at most."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = memoryview(b"")
        self.fault: BaseException | None = None

    def read(self, most: int = -1) -> bytes:
        try:
            while not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    return b""
                self.take(piece)
                self._rest = memoryview(piece)
        except BaseException as fault:
            self.fault = fault  # the cipher would make a text of it
            raise
        end = len(self._rest) if most < 0 else most
        given, self._rest = self._rest[:end], self._rest[end:]
        return bytes(given)


class _Sink(_Measured):
    def __init__(self, write: Callable[[bytes], object]) -> None:
        super().__init__()
        self._write = write
        self.fault: BaseException | None = None

    def write(self, data: bytes) -> int:
        try:
            self._write(data)
        except BaseException as fault:
            self.fault = fault
            raise
        self.take(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back here."""


def encrypt(pieces: Iterable[bytes], path: Path, recipients: Iterable[Recipient]) -> Sealed:
    """A new file with all pieces, durable but for its name. Raises what `pieces` raise, OSError."""
    source = _Source(iter(pieces))
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb", buffering=PIECE) as file:
        sink = _Sink(file.write)
        try:
            pyrage.encrypt_io(source, sink, list(recipients))
        except (pyrage.EncryptError, OSError) as error:
            raise (source.fault or sink.fault or error) from error
        file.flush()
        sync(file.fileno())
    return Sealed(size=sink.size, sha256=sink.sha256, plain_size=source.size, plain_sha256=source.sha256)


def decrypt(path: Path, sealed: Sealed, identities: list[Identity], write: Callable[[bytes], object]) -> None:
    """Give what is in the file to `write`, piece by piece; believe none of it before this returns.

    Raises BackupTampered, IdentityWrong, OSError and what `write` raises.
    """
    try:
        file = path.open("rb", buffering=PIECE)
    except FileNotFoundError:
        raise BackupTampered(path.name) from None
    with file:
        source, sink = _Source(pieces_of(file)), _Sink(write)
        try:
            pyrage.decrypt_io(source, sink, identities)
        except (pyrage.DecryptError, OSError, ValueError) as error:
            fault = source.fault or sink.fault
            if fault is not None:
                raise fault from error
            is_whole = digest_of(path) == (sealed.sha256, sealed.size)
            if is_whole and "No matching" in str(error):
                raise IdentityWrong(path.name) from None
            raise BackupTampered(path.name) from None
        while source.read():
            pass  # what stands behind the end counts too
    found = Sealed(size=source.size, sha256=source.sha256, plain_size=sink.size, plain_sha256=sink.sha256)
    if found != sealed:
        raise BackupTampered(path.name)


def pieces_of(file: BinaryIO, size: int | None = None) -> Iterator[bytes]:
    """The file's octets from where it stands, at most `size`."""
    while size is None or size > 0:
        piece = file.read(PIECE if size is None else min(PIECE, size))
        if not piece:
            return
        size = None if size is None else size - len(piece)
        yield piece


def digest_of(path: Path) -> tuple[str, int]:
    """SHA-256 (hex) and size. Raises OSError."""
    measured = _Measured()
    with path.open("rb") as file:
        for piece in pieces_of(file):
            measured.take(piece)
    return measured.sha256, measured.size


def identities_in(path: Path) -> list[Identity]:
    """The secret keys of an identity file as `age-keygen` writes it. Raises IdentityWrong, OSError."""
    lines = (line.strip() for line in path.read_text("utf-8", "replace").splitlines())
    try:
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except pyrage.IdentityError:
        raise IdentityWrong(path.name) from None
    if not found:
        raise IdentityWrong(path.name)
    return found


def recipients_of(keys: Iterable[str]) -> list[Recipient]:
    """Public keys as the cipher takes them. Raises ValueError."""
    try:
        return [pyrage.x25519.Recipient.from_str(key) for key in keys]
    except pyrage.RecipientError:
        raise ValueError("not an age public key") from None
