"""Writing one sealed file: 64 KiB segments, synced, read back whole, and only then under its final name."""

import asyncio
import hashlib

from recordings.envelope import SEALED_SEGMENT, FileTruncated, SegmentForged, SegmentWriter
from recordings.opening import SegmentStream
from recordings.part import NewFile, Place
from recordings.partners import FinishedFile
from recordings.vault.store import Vault, Writer
from telehealth.secret import Secret

_CHUNK = 4 * 1_048_576


class SealedWriter:
    """One sealed file in the making; the caller adds plaintext in order, then `finish`es or lets it lie."""

    def __init__(self, place: Place, file: NewFile, writer: Writer) -> None:
        self._place = place
        self._file = file
        self._writer = writer
        self._sealer = SegmentWriter(file.dek, file.row.recording_id, file.row.file_id, place.entropy)
        self._cipher_hash = hashlib.sha256(self._sealer.header)
        self._rest = bytearray()
        self._size = 0
        self._plain_size = 0

    @classmethod
    async def begin(cls, place: Place, file: NewFile) -> "SealedWriter":
        sealed = cls(place, file, await place.vault.create(file.row.unfinished_name))
        await sealed._writer.append(sealed._sealer.header)
        sealed._size = len(sealed._sealer.header)
        return sealed

    async def add(self, plain: bytes) -> None:
        """Append plaintext; whole segments go to the vault, the rest waits."""
        await self._append(await asyncio.to_thread(self._seal, plain, False))

    async def finish(self) -> FinishedFile:
        """End, sync, verify by reading back, and publish. Raises SegmentForged when the disk gives other bytes."""
        await self._append(await asyncio.to_thread(self._seal, b"", True))
        await self._writer.sync()
        await self._writer.close()
        row = self._file.row
        finished = FinishedFile(
            row.file_id, self._size, self._plain_size, self._sealer.segments, self._cipher_hash.hexdigest()
        )
        await verify(self._place.vault, row.unfinished_name, self._file.dek, row.recording_id, finished)
        await self._place.vault.rename(row.unfinished_name, row.name)
        return finished

    async def close(self) -> None:
        await self._writer.close()

    def _seal(self, plain: bytes, last: bool) -> bytes:
        self._rest += plain
        self._plain_size += len(plain)
        out: list[bytes] = []
        while len(self._rest) > SEALED_SEGMENT:
            out.append(self._sealer.seal(bytes(self._rest[:SEALED_SEGMENT])))
            del self._rest[:SEALED_SEGMENT]
        if last:
            out.append(self._sealer.seal(bytes(self._rest), last=True))
        sealed = b"".join(out)
        self._cipher_hash.update(sealed)
        return sealed

    async def _append(self, sealed: bytes) -> None:
        if sealed:
            await self._writer.append(sealed)
            self._size += len(sealed)


async def verify(vault: Vault, name: str, dek: Secret[bytes], recording_id: str, finished: FinishedFile) -> None:
    """Read a sealed file whole: every tag, its plaintext's size, its SHA-256.

    Raises FileTruncated, SegmentForged, MalformedEnvelope, WrongKey.
    """
    stream = SegmentStream(dek, recording_id, finished.file_id)
    cipher = hashlib.sha256()
    offset = plain = 0
    while chunk := await vault.read(name, offset, _CHUNK):
        plain += await asyncio.to_thread(_check, stream, chunk, cipher)
        offset += len(chunk)
    stream.finish()
    if (offset, plain) != (finished.size, finished.plain_size):
        raise FileTruncated
    if cipher.hexdigest() != finished.sha256:
        raise SegmentForged


def _check(stream: SegmentStream, chunk: bytes, cipher: "hashlib._Hash") -> int:
    cipher.update(chunk)
    return sum(len(segment) for segment in stream.feed(chunk))
