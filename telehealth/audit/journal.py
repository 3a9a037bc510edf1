"""The commit journal: one write and one sync make leaves, sealed detail and signed head durable together. Blocks.

record: u32 length of body ‖ SHA-256(body)[:16] ‖ body
body: u64 first ‖ u16 length ‖ note ‖ u32 length ‖ leaf records ‖ detail records
Records stand one behind the other from offset 0. Once files and head are synced, the next record is
written at 0 again: what an earlier round left behind it does not go on from there, so it is never taken for new.
"""

import hashlib
from dataclasses import dataclass

from telehealth.audit.files import Files
from telehealth.audit.layout import Layout, detail_records, leaf_records

ROUND = 2 << 20  # bytes after which files are synced and the journal begins anew
_HEADER = 20
Batch = list[tuple[bytes, bytes | None]]


@dataclass(frozen=True, slots=True)
class Record:
    """One commit: the leaves from index `first` on, their details, and the signed head that covers them."""

    first: int
    note: bytes
    leaves: bytes
    details: bytes

    def pack(self) -> bytes:
        body = b"".join(
            (
                self.first.to_bytes(8, "big"),
                len(self.note).to_bytes(2, "big"),
                self.note,
                len(self.leaves).to_bytes(4, "big"),
                self.leaves,
                self.details,
            )
        )
        return len(body).to_bytes(4, "big") + hashlib.sha256(body).digest()[:16] + body

    def batch(self) -> Batch:
        """The leaves, each with its sealed detail, as they were given to `append`."""
        blobs = {index: blob for index, blob, _ in detail_records(self.details)}
        leaves, _ = leaf_records(self.leaves, len(self.leaves))
        return [(leaf, blobs.get(self.first + at)) for at, leaf in enumerate(leaves)]


def _unpack(body: bytes) -> Record:
    note_end = 10 + int.from_bytes(body[8:10], "big")
    leaves_end = note_end + 4 + int.from_bytes(body[note_end : note_end + 4], "big")
    return Record(
        int.from_bytes(body[:8], "big"), body[10:note_end], body[note_end + 4 : leaves_end], body[leaves_end:]
    )


class Journal:
    """Where a commit becomes durable. Used under the log's lock alone."""

    def __init__(self, layout: Layout, files: Files) -> None:
        self._path = layout.journal
        self._files = files
        self._end = 0

    def prepare(self) -> None:
        """Write the blocks once, so that a commit changes no metadata. Raises OSError."""
        try:
            ready = self._files.size(self._path) >= ROUND
        except FileNotFoundError:
            ready = False
        if not ready:
            self._files.write_at(self._path, 0, bytes(ROUND))
            self._files.sync(self._path)

    def full_with(self, packed: bytes) -> bool:
        """Whether the files must be synced, and a new round begun, before this can be written."""
        return self._end > 0 and self._end + len(packed) > ROUND

    def write(self, packed: bytes) -> None:
        """Make a packed record durable: this is the moment at which its entries exist. Raises OSError."""
        self._files.write_synced(self._path, self._end, packed)
        self._end += len(packed)

    def restart(self) -> None:
        """Everything in it is synced elsewhere."""
        self._end = 0

    def records(self) -> list[Record]:
        """The records of the present round that go on from each other; the last may be torn and is then left out."""
        try:
            content = self._files.read(self._path)
        except FileNotFoundError:
            return []
        found: list[Record] = []
        at, size = 0, -1
        while at + _HEADER < len(content):
            body_end = at + _HEADER + int.from_bytes(content[at : at + 4], "big")
            body = content[at + _HEADER : body_end]
            if body_end > len(content) or hashlib.sha256(body).digest()[:16] != content[at + 4 : at + _HEADER]:
                break
            record = _unpack(body)
            if found and record.first != size:
                break
            found.append(record)
            size = record.first + len(record.batch())
            at = body_end
        return found
