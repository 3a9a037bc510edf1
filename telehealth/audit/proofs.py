"""What the log can prove to whoever may ask: its checkpoint, inclusion, consistency and tiles. Coded refusals."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from telehealth.audit.faults import (
    CheckpointForged,
    CheckpointStale,
    IndexOutOfRange,
    SizeFromFuture,
    SizesReversed,
    TileBroken,
    TileUnknown,
    WrongOrigin,
)
from telehealth.audit.files import Files
from telehealth.audit.layout import Layout, leaf_record
from telehealth.audit.log import AuditLog
from telehealth.audit.logkeys import LogKeys
from telehealth.audit.nodes import FolderNodes
from telehealth.audit.note import Checkpoint, NoteForeign, NoteInvalid, parse_checkpoint
from telehealth.audit.tilednodes import TiledNodes
from telehealth.audit.tiles import HEIGHT, WIDTH, TileName, leaves_from, parse_tile
from telehealth.audit.tree import Hash, consistency_proof, inclusion_proof, leaf_hash, range_hash, root_from_inclusion


@dataclass(frozen=True, slots=True)
class Inclusion:
    """The leaf at `index`, and the hashes that lead from it to the root of the first `size` entries."""

    index: int
    size: int
    leaf: bytes
    proof: tuple[Hash, ...]
    root: Hash


@dataclass(frozen=True, slots=True)
class Consistency:
    """The hashes that show that the log of `new` entries begins with that of `old`."""

    old: int
    new: int
    proof: tuple[Hash, ...]
    old_root: Hash
    new_root: Hash


class Proofs:
    """Reads the log's files in threads; memory does not grow with the log."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    def checkpoint(self) -> bytes:
        """The newest signed head, as a C2SP checkpoint."""
        return self._log.signed().note

    async def inclusion(self, index: int, size: int | None = None) -> Inclusion:
        """Raises IndexOutOfRange, SizeFromFuture, TileBroken. `size` None: of the newest head."""
        size = self._reached(size)
        if not 0 <= index < size:
            raise IndexOutOfRange
        return await asyncio.to_thread(inclusion_at, *self._log.place, index, size)

    async def consistency(self, old: int, new: int | None = None) -> Consistency:
        """Raises SizesReversed, SizeFromFuture, TileBroken. `new` None: the newest head."""
        new = self._reached(new)
        if not 0 <= old <= new:
            raise SizesReversed
        return await asyncio.to_thread(consistency_at, *self._log.place, old, new)

    def tile_name(self, path: str) -> TileName:
        """The tile of the path `tile/…`. Raises TileUnknown, also for one that the log has not filled."""
        try:
            name = parse_tile(path)
        except ValueError:
            raise TileUnknown from None
        if name.end > self._log.head().size:
            raise TileUnknown
        return name

    async def tile(self, name: TileName) -> bytes:
        """The octets of a tile. Raises TileBroken."""
        return await asyncio.to_thread(tile_at, *self._log.place, name, self._log.head().size)

    async def check(self, note: bytes, known: Checkpoint | None = None) -> Checkpoint:
        """A checkpoint from outside, if this log signed it and still begins with it.

        `known`: one that it must not be older than. Raises WrongOrigin, CheckpointForged, CheckpointStale,
        SizeFromFuture.
        """
        found = opened(note, self._log.keys)
        if known is not None and found.size < known.size:
            raise CheckpointStale
        self._reached(found.size)
        layout, files = self._log.place
        if await asyncio.to_thread(root_at, layout, files, found.size) != found.root:
            raise CheckpointForged
        return found

    def _reached(self, size: int | None) -> int:
        newest = self._log.head().size
        if size is None:
            return newest
        if not 0 <= size <= newest:
            raise SizeFromFuture
        return size


def opened(note: bytes, keys: LogKeys) -> Checkpoint:
    """The checkpoint in a note from outside. Raises WrongOrigin, CheckpointForged."""
    try:
        return keys.open(note)
    except NoteForeign:
        raise (WrongOrigin if _origin(note) not in ("", keys.origin) else CheckpointForged) from None
    except NoteInvalid:
        raise CheckpointForged from None


def _origin(note: bytes) -> str:
    try:
        return parse_checkpoint(note.decode("utf-8").rpartition("\n\n")[0] + "\n").origin
    except ValueError:
        return ""


def root_at(layout: Layout, files: Files, size: int) -> Hash:
    """The root of the first `size` entries. Raises TileBroken, OSError. Blocks."""
    try:
        return range_hash(0, size, FolderNodes(layout, files, size))
    except ValueError:
        raise TileBroken from None


def inclusion_at(layout: Layout, files: Files, index: int, size: int) -> Inclusion:
    """Blocks. Raises TileBroken, OSError."""
    nodes = TiledNodes(layout, files, size)
    try:
        proof = tuple(inclusion_proof(index, size, nodes))
        leaf = nodes.leaf(index)
        return Inclusion(index, size, leaf, proof, root_from_inclusion(leaf_hash(leaf), index, size, proof))
    except ValueError:
        raise TileBroken from None


def consistency_at(layout: Layout, files: Files, old: int, new: int) -> Consistency:
    """Blocks. Raises TileBroken, OSError."""
    nodes = FolderNodes(layout, files, new)
    try:
        proof = tuple(consistency_proof(old, new, nodes))
        return Consistency(old, new, proof, range_hash(0, old, nodes), range_hash(0, new, nodes))
    except ValueError:
        raise TileBroken from None


def tile_at(layout: Layout, files: Files, name: TileName, size: int) -> bytes:
    """A published tile if it is there in full, else worked out from the log. Blocks. Raises TileBroken, OSError."""
    kept = _kept(files, layout.tiles / name.path)
    if name.level is not None and kept is not None and len(kept) == 32 * name.width:
        return kept
    first = name.index * WIDTH
    if name.level is None:
        leaves = list(leaves_from(layout, files, first, first + name.width))
        if len(leaves) != name.width:
            raise TileBroken
        return b"".join(map(leaf_record, leaves))
    nodes = FolderNodes(layout, files, size)
    try:
        return b"".join(nodes(HEIGHT * name.level, at) for at in range(first, first + name.width))
    except ValueError:
        raise TileBroken from None


def _kept(files: Files, path: Path) -> bytes | None:
    try:
        return files.read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
