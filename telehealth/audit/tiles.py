"""The log as C2SP tiles (tlog-tiles): hashes in tiles of 256, leaves in bundles of 256, each at its own path. Blocks.

Tiles are worked out from the log and stand in a folder of their own, which any file server may serve. A checkpoint
appears there only when all its tiles are durable; whoever stops before goes on from the last one.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from telehealth.audit.faults import LogMismatch
from telehealth.audit.files import Files
from telehealth.audit.layout import LEVEL, SEGMENT, Layout, leaf_record, leaf_records
from telehealth.audit.logkeys import LogKeys
from telehealth.audit.nodes import FolderNodes
from telehealth.audit.note import Checkpoint, NoteInvalid
from telehealth.audit.tree import Hash, leaf_hash, range_hash, rows_above

HEIGHT = 8
WIDTH = 1 << HEIGHT
_LEVELS = 8  # of tiles: enough for 2^63 leaves
_PATH = re.compile(r"tile/(entries|[0-5])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True)
class TileName:
    """Which tile: `level` None = a bundle of entries; `width` 256 = whole."""

    level: int | None
    index: int
    width: int

    @property
    def path(self) -> str:
        level = "entries" if self.level is None else str(self.level)
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{_number(self.index)}{partial}"

    @property
    def end(self) -> int:
        """How many leaves a log must have for this tile."""
        return (self.index * WIDTH + self.width) << (HEIGHT * (self.level or 0))


def _number(index: int) -> str:
    """Groups of three digits, all but the last with an `x` in front."""
    digits = str(index)
    digits = digits.rjust(-(-len(digits) // 3) * 3, "0")
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])


def parse_tile(path: str) -> TileName:
    """The tile a path names. Raises ValueError unless it is written in the one right way."""
    match = _PATH.fullmatch(path)
    if match is None or len(path) > 64:
        raise ValueError("not the path of a tile")
    name = TileName(
        None if match[1] == "entries" else int(match[1]),
        int(match[2].replace("x", "").replace("/", "")),
        int(match[3] or WIDTH),
    )
    if name.path != path:
        raise ValueError("not the path of a tile")
    return name


class Tiling:
    """The right edge of every level of tiles; gives tiles in the order in which they become known."""

    def __init__(self, start: int = 0, nodes: Callable[[int, int], Hash] | None = None) -> None:
        """Begin at `start`, a multiple of 256; `nodes` tells what stands before it."""
        self._counts = [start >> (HEIGHT * level) for level in range(_LEVELS)]
        self._edges: list[list[Hash]] = [[] for _ in range(_LEVELS)]
        self._records: list[bytes] = []
        if start and nodes is not None:
            for level, count in enumerate(self._counts):
                first = count - count % WIDTH
                self._edges[level] = [nodes(HEIGHT * level, at) for at in range(first, count)]

    @property
    def size(self) -> int:
        return self._counts[0]

    def node(self, level: int, index: int) -> Hash:
        """A hash of the edge, by its level in the tree; those of whole tiles are forgotten."""
        return self._edges[level // HEIGHT][index % WIDTH]

    def add(self, leaf: bytes) -> Iterator[tuple[TileName, bytes]]:
        """The tiles that this leaf makes whole."""
        self._records.append(leaf_record(leaf))
        yield from self._grow(0, leaf_hash(leaf))
        if len(self._records) == WIDTH:
            yield TileName(None, self._counts[0] // WIDTH - 1, WIDTH), b"".join(self._records)
            self._records.clear()

    def _grow(self, level: int, hash_: Hash) -> Iterator[tuple[TileName, bytes]]:
        edge = self._edges[level]
        edge.append(hash_)
        self._counts[level] += 1
        if len(edge) == WIDTH:
            yield TileName(level, self._counts[level] // WIDTH - 1, WIDTH), b"".join(edge)
            root = rows_above(edge)[HEIGHT][0]
            edge.clear()
            yield from self._grow(level + 1, root)

    def partial(self) -> Iterator[tuple[TileName, bytes]]:
        """The tiles at the right edge, as far as they go."""
        if self._records:
            yield TileName(None, self.size // WIDTH, len(self._records)), b"".join(self._records)
        for level, edge in enumerate(self._edges):
            if edge:
                yield TileName(level, self._counts[level] // WIDTH, len(edge)), b"".join(edge)


def edge_of(size: int) -> list[TileName]:
    """The partial tiles of a log of this size."""
    names = [
        TileName(level, (size >> HEIGHT * level) // WIDTH, (size >> HEIGHT * level) % WIDTH) for level in range(_LEVELS)
    ]
    return [name for name in [replace(names[0], level=None), *names] if name.width]


class TileFolder:
    """Owns the folder of tiles; one thread at a time."""

    def __init__(self, layout: Layout, files: Files) -> None:
        self._layout = layout
        self._files = files
        self._tiling: Tiling | None = None
        self._whole: list[Path] = []  # made whole since the last checkpoint
        self._before = 0  # the size published before the last: its edge may still be read
        self.checkpoint = layout.tiles / "checkpoint"

    def load(self, head: Checkpoint, keys: LogKeys) -> int:
        """Go on from the last published checkpoint; its size.

        Raises OSError, LogMismatch if it is of another log or the log's files do not hold what their head says.
        """
        self._files.folder(self._layout.tiles)
        try:
            return self._load(head, keys)
        except ValueError as error:
            raise LogMismatch("leaves_changed", "the log's files are damaged; run `audit verify`") from error

    def _load(self, head: Checkpoint, keys: LogKeys) -> int:
        seen = self._published(keys)
        if seen is not None and seen.size:
            nodes = FolderNodes(self._layout, self._files, head.size)
            if seen.size > head.size or range_hash(0, seen.size, nodes) != seen.root:
                raise LogMismatch(
                    "tiles_disagree",
                    "the published tiles are of another history than the log; keep both folders and compare them with "
                    "an anchored checkpoint; if the log is the right one, move the folder of tiles away",
                )
        size = seen.size if seen else 0
        start = size - size % WIDTH
        self._tiling = Tiling(start, FolderNodes(self._layout, self._files, head.size))
        for leaf in leaves_from(self._layout, self._files, start, size):
            for _ in self._tiling.add(leaf):
                pass  # fewer than a tile's worth
        return size

    def publish(self, note: bytes, head: Checkpoint) -> int:
        """Write what is new up to `head`, then its checkpoint; how many tiles. Raises OSError, LogMismatch."""
        tiling = self._tiling
        if tiling is None:
            raise ValueError("load first")
        self._tiling = None  # a fault leaves an edge that nobody knows: load again
        written, done = 0, tiling.size - tiling.size % WIDTH
        fresh = Tiling(done, tiling.node)
        for leaf in leaves_from(self._layout, self._files, done, head.size):
            for name, content in fresh.add(leaf):
                written += self._put(name, content)
        if fresh.size != head.size:
            raise LogMismatch("leaves_changed", "leaves under the signed head are missing; run `audit verify`")
        for name, content in fresh.partial():
            written += self._put(name, content)
        self._replace(self.checkpoint, note)
        for name in set(edge_of(self._before)) - set(edge_of(tiling.size)) - set(edge_of(head.size)):
            self._files.prune(self._layout.tiles / name.path)
        while self._whole:
            self._drop_parts(self._whole.pop())
        self._before, self._tiling = tiling.size, fresh
        return written

    def _published(self, keys: LogKeys) -> Checkpoint | None:
        try:
            return keys.open(self._files.read(self.checkpoint))
        except (FileNotFoundError, NoteInvalid):
            return None  # all tiles are written anew

    def _put(self, name: TileName, content: bytes) -> bool:
        path = self._layout.tiles / name.path
        try:
            if self._files.read(path) == content:
                return False
        except FileNotFoundError:
            self._files.folder(path.parent)
        self._replace(path, content)
        if name.width == WIDTH:
            self._whole.append(path)
        return True

    def _drop_parts(self, whole: Path) -> None:
        """A whole tile makes its parts needless."""
        parts = whole.with_name(f"{whole.name}.p")
        try:
            names = self._files.names(parts)
        except FileNotFoundError:
            return
        for name in names:
            self._files.prune(parts / name)

    def _replace(self, path: Path, content: bytes) -> None:
        stage = self._layout.tiles / "stage"
        self._files.write_new(stage, content)
        self._files.replace(stage, path)


def leaves_from(layout: Layout, files: Files, begin: int, end: int) -> Iterator[bytes]:
    """The leaves from `begin` up to `end`, one segment in memory at a time; stops where one is missing."""
    for segment in range(begin // SEGMENT, -(-end >> LEVEL) if end else 0):
        first = segment * SEGMENT
        try:
            content = files.read(layout.leaves_of(segment))
        except FileNotFoundError:
            return
        leaves, _ = leaf_records(content, min(SEGMENT, end - first))
        yield from leaves[max(0, begin - first) :]
        if len(leaves) < min(SEGMENT, end - first):
            return


def verify_tiles(layout: Layout, files: Files, size: int) -> Iterator[tuple[int, str]]:
    """The first entry and a code for every published tile that is not what the log's first `size` leaves give."""
    tiling = Tiling()
    for leaf in leaves_from(layout, files, 0, size):
        yield from _compared(layout, files, tiling.add(leaf))
    yield from _compared(layout, files, tiling.partial())


def _compared(layout: Layout, files: Files, made: Iterator[tuple[TileName, bytes]]) -> Iterator[tuple[int, str]]:
    for name, content in made:
        found = _read(files, layout.tiles / name.path)
        if found is None and name.width < WIDTH:  # a whole tile takes the place of its parts
            found = _read(files, layout.tiles / replace(name, width=WIDTH).path)
            found = found[: len(content)] if found is not None else None
        if found == content:
            continue
        code = "tile_missing" if found is None else "tile_changed"
        yield (name.index * WIDTH) << (HEIGHT * (name.level or 0)), code


def _read(files: Files, path: Path) -> bytes | None:
    try:
        return files.read(path)
    except FileNotFoundError:
        return None
