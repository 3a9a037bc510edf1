"""One sealed file opened for reading by byte range: bounded memory, and never an octet whose tag failed."""

from collections.abc import AsyncGenerator

from recordings.envelope import HEADER_SIZE, SEALED_SEGMENT, FileTruncated, SegmentReader
from recordings.opening import open_range, plain_size, range_plan
from recordings.rows import StoredFile
from recordings.vault.store import Vault
from telehealth.secret import Secret

PIECE = 16 * SEALED_SEGMENT  # what one step reads, opens (about 0.2 ms) and hands on


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
            await file._piece(file.size - 1, file.size)
        return file

    async def chunks(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Octets start..end (end exclusive) in pieces of at most 1 MiB; no segment is opened twice."""
        while start < end:
            stop = min(end, (start // PIECE + 1) * PIECE)
            yield await self._piece(start, stop)
            start = stop

    async def _piece(self, start: int, end: int) -> bytes:
        plan = range_plan(self.size, start, end)
        return open_range(self._reader, plan, await self._vault.read(self._name, plan.offset, plan.length))
