"""Writing one sealed file: 64 KiB segments, synced, read back whole, and only then under its final name."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from recordings.envelope import SEALED_SEGMENT, FileTruncated, Octets, SegmentForged, SegmentWriter
from recordings.opening import SegmentStream
from recordings.part import NewFile, Place
from recordings.partners import FinishedFile
from recordings.vault.store import Writer
from telehealth.secret import Secret

_CHUNK = 1_048_576


class SealedWriter:
    """One sealed file in the making; the caller adds plaintext in order, then `finish`es or lets it lie."""

    def __init__(self, place: Place, file: NewFile, writer: Writer) -> None:
        self._place = place
        self._file = file
        self._writer = writer
        self._sealer = SegmentWriter(file.dek, file.row.recording_id, file.row.file_id, place.entropy)
        self._rest = b""
        self._size = 0
        self._plain_size = 0

    @classmethod
    async def begin(cls, place: Place, file: NewFile) -> "SealedWriter":
        sealed = cls(place, file, await place.vault.create(file.row.unfinished_name))
        await sealed._append(sealed._sealer.header)
        return sealed

    async def add(self, plain: Sequence[Octets]) -> None:
        """Append plaintext; whole segments go to the vault, the rest waits."""
        await self._append(await asyncio.to_thread(self._seal, plain, False))

    async def finish(self) -> FinishedFile:
        """End, sync, verify by reading back, and publish. Raises SegmentForged when the disk gives other bytes.

        The file's SHA-256 is taken of what was read back: every octet of it was authentic under a key that nobody
        but this writer has had.
        """
        await self._append(await asyncio.to_thread(self._seal, (), True))
        await self._writer.sync()
        await self._writer.close()
        row = self._file.row
        found = await read_whole(self._place.vault, row.unfinished_name, self._file.dek, row.recording_id, row.file_id)
        if (found.size, found.plain_size, found.segments) != (self._size, self._plain_size, self._sealer.segments):
            raise SegmentForged
        await self._place.vault.rename(row.unfinished_name, row.name)
        return FinishedFile(row.file_id, found.size, found.plain_size, found.segments, found.sha256)

    async def close(self) -> None:
        await self._writer.close()

    def _seal(self, plain: Sequence[Octets], last: bool) -> bytes:
        whole = b"".join([self._rest, *plain])
        self._plain_size += len(whole) - len(self._rest)
        view, at = memoryview(whole), 0
        out: list[bytes] = []
        while len(whole) - at > SEALED_SEGMENT:
            out += self._sealer.frame(view[at : at + SEALED_SEGMENT])
            at += SEALED_SEGMENT
        self._rest = whole[at:]
        if last:
            out += self._sealer.frame(self._rest, last=True)
        return b"".join(out)

    async def _append(self, sealed: bytes) -> None:
        if sealed:
            await self._writer.append(sealed)
            self._size += len(sealed)


class Readable(Protocol):
    """What files are read from."""

    async def read(self, name: str, offset: int, length: int) -> bytes:
        """Up to `length` octets from `offset`; fewer only at the file's end. Raises VaultMissing."""
        ...


@dataclass(frozen=True, slots=True)
class WholeFile:
    """A sealed file that was read from end to end, all of it authentic; sizes in octets, `sha256` (hex) of all."""

    size: int
    plain_size: int
    segments: int
    sha256: str


async def read_whole(vault: Readable, name: str, dek: Secret[bytes], recording_id: str, file_id: str) -> WholeFile:
    """Open every segment of a sealed file.

    Raises VaultMissing, FileTruncated, SegmentForged, MalformedEnvelope, WrongKey.
    """
    stream = SegmentStream(dek, recording_id, file_id)
    cipher = hashlib.sha256()
    size = plain = 0
    while chunk := await vault.read(name, size, _CHUNK):
        plain += await asyncio.to_thread(_check, stream, chunk, cipher)
        size += len(chunk)
    return WholeFile(size, plain, stream.finish().segments, cipher.hexdigest())


async def verify(vault: Readable, name: str, dek: Secret[bytes], recording_id: str, finished: FinishedFile) -> None:
    """Read a sealed file whole: every tag, its plaintext's size, its SHA-256.

    Raises VaultMissing, FileTruncated, SegmentForged, MalformedEnvelope, WrongKey.
    """
    found = await read_whole(vault, name, dek, recording_id, finished.file_id)
    if (found.size, found.plain_size) != (finished.size, finished.plain_size):
        raise FileTruncated
    if found.sha256 != finished.sha256:
        raise SegmentForged


def _check(stream: SegmentStream, chunk: bytes, cipher: "hashlib._Hash") -> int:
    cipher.update(chunk)
    return sum(map(len, stream.feed(chunk)))
