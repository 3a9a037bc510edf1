"""One sealed file opened for reading by byte range: bounded memory, and never an octet whose tag failed."""

from collections.abc import AsyncGenerator, Iterator
from itertools import islice

from recordings.envelope import HEADER_SIZE, SEALED_SEGMENT, FileTruncated, SegmentReader
from recordings.opening import RangePlan, open_range, plain_size, range_plan
from recordings.rows import StoredFile
from recordings.vault.store import Vault
from telehealth.secret import Secret

SPAN = 9 * SEALED_SEGMENT  # what is read in one go, the most ciphertext a reader holds
PIECE = 3  # segments that are opened and handed on together


class OpenFile:
    """Holds the file's key; `size` is the plaintext's, in octets."""

    def __init__(self, vault: Vault, file: str, name: str, reader: SegmentReader, size: int) -> None:
        self.id = file
        self._vault = vault
        self._name = name
        self._reader = reader
        self.size = size

    @classmethod
    async def open(cls, vault: Vault, stored: StoredFile, dek: Secret[bytes]) -> "OpenFile":
        """Check the header against the key, the size against the catalogue, and that the last segment is the last.

        Raises VaultMissing, FileTruncated, WrongKey, MalformedEnvelope, SegmentForged.
        """
        row = stored.row
        octets = await vault.size(row.name)
        if octets != stored.size:
            raise FileTruncated
        header = await vault.read(row.name, 0, HEADER_SIZE)
        reader = SegmentReader(dek, header, recording_id=row.recording_id, file_id=row.file_id)
        file = cls(vault, row.file_id, row.name, reader, plain_size(octets))
        if file.size:
            async for _ in file.chunks(file.size - 1, file.size):
                pass
        return file

    async def chunks(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Octets start..end (end exclusive) in pieces of at most 192 KiB; no segment is opened twice."""
        for plan in self._spans(start, end):
            framed = await self._vault.read(self._name, plan.offset, plan.length)
            plains = open_range(self._reader, plan, framed)
            while piece := b"".join(islice(plains, PIECE)):
                yield piece
            del framed, plains  # before the next span is read

    def _spans(self, start: int, end: int) -> Iterator[RangePlan]:
        while start < end:
            stop = min(end, (start // SPAN + 1) * SPAN)
            yield range_plan(self.size, start, stop)
            start = stop
