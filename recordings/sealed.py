"""One sealed file opened for reading by byte range: bounded memory, and never an octet whose tag failed."""

from collections.abc import AsyncGenerator, Iterator

from recordings.envelope import HEADER_SIZE, SEALED_SEGMENT, TAG_SIZE, WORD_SIZE, FileTruncated, SegmentReader
from recordings.opening import RangePlan, open_range, plain_size, range_plan
from recordings.rows import StoredFile
from recordings.vault.reading import Reader
from recordings.vault.store import Vault
from telehealth.secret import Secret

# Segments read and handed on in one go: 256 KiB. Pieces of 512 would be mapped anew each time (telehealth.memory).
_MANY = 4
SPAN = _MANY * SEALED_SEGMENT
_FRAMED = _MANY * (SEALED_SEGMENT + WORD_SIZE + TAG_SIZE)


class FileClosed(Exception):
    """The file was closed while somebody still read it."""


class OpenFile:
    """Holds the file's key until `close`; `size` is the plaintext's, in octets."""

    def __init__(self, file: str, octets: Reader, reader: SegmentReader, size: int) -> None:
        self.id = file
        self._held: tuple[Reader, SegmentReader] | None = (octets, reader)
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
        opened, header = await vault.reader(row.name), bytearray(HEADER_SIZE)
        await opened.fill(memoryview(header), 0)
        reader = SegmentReader(dek, bytes(header), recording_id=row.recording_id, file_id=row.file_id)
        file = cls(row.file_id, opened, reader, plain_size(octets))
        if file.size:
            async for _ in file.chunks(file.size - 1, file.size):
                pass
        return file

    def close(self) -> None:
        """Let go of key and handle now, also under a reader that waits for its own client: it meets FileClosed."""
        self._held = None

    async def chunks(self, start: int, end: int) -> AsyncGenerator[memoryview, None]:
        """Octets start..end (end exclusive) in pieces of at most 256 KiB; no segment is opened twice.

        Raises FileClosed once `close` was called.
        """
        if start >= end:
            return
        framed = memoryview(bytearray(min(_FRAMED, range_plan(self.size, start, end).length)))
        for span in self._spans(start, end):
            here = framed[: span.length]
            if await self._open[0].fill(here, span.offset) != span.length:
                raise FileTruncated
            yield open_range(self._open[1], span, here)

    @property
    def _open(self) -> tuple[Reader, SegmentReader]:
        if self._held is None:
            raise FileClosed
        return self._held

    def _spans(self, start: int, end: int) -> Iterator[RangePlan]:
        while start < end:
            stop = min(end, (start // SPAN + 1) * SPAN)
            yield range_plan(self.size, start, stop)
            start = stop
