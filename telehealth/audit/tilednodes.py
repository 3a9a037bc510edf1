"""Hashes of the tree's inner nodes, out of whole published tiles where there are any: few hashes, not thousands.

A tile counts only where it leads to the hash that the log itself keeps of its segment; else the leaves are asked.
"""

from functools import lru_cache
from pathlib import Path

from telehealth.audit.files import Files
from telehealth.audit.layout import LEVEL, SEGMENT, Layout, leaf_records
from telehealth.audit.nodes import FolderNodes
from telehealth.audit.tiles import HEIGHT, WIDTH, TileName
from telehealth.audit.tree import Hash, leaf_hash, rows_above

_HEADS = SEGMENT // WIDTH  # whole tiles in a segment
_Rows = list[list[Hash]]


class TiledNodes(FolderNodes):
    """As `FolderNodes`, to the octet; made for one proof at a time."""

    def __init__(self, layout: Layout, files: Files, size: int) -> None:
        super().__init__(layout, files, size)
        self._heads = lru_cache(maxsize=4)(self._read_heads)
        self._tiles = lru_cache(maxsize=4)(self._read_tile)

    def __call__(self, level: int, index: int) -> Hash:
        if level < LEVEL and (index + 1) << level <= self._size:
            first = index << level
            rows = self._heads(first >> LEVEL) if level >= HEIGHT else self._tiles(first >> HEIGHT)
            if rows is not None:
                at = level % HEIGHT
                return rows[at][index % len(rows[at])]
        return super().__call__(level, index)

    def leaf(self, index: int) -> bytes:
        """The leaf itself. Raises ValueError."""
        rows = self._tiles(index >> HEIGHT) if index < self._size else None
        if rows is not None:
            content = self._read(TileName(None, index >> HEIGHT, WIDTH)) or b""
            leaves, _ = leaf_records(content, WIDTH)
            if len(leaves) == WIDTH and leaf_hash(leaves[index % WIDTH]) == rows[0][index % WIDTH]:
                return leaves[index % WIDTH]
        return super().leaf(index)

    def _read_heads(self, segment: int) -> _Rows | None:
        """The hashes over the tiles of a whole segment, and what stands above them."""
        if (segment + 1) * SEGMENT > self._size:
            return None
        at = segment * _HEADS
        kept = self._read(TileName(1, at // WIDTH, WIDTH), 32 * (at % WIDTH), 32 * _HEADS)
        return _checked(kept, _HEADS, super().__call__(LEVEL, segment))

    def _read_tile(self, tile: int) -> _Rows | None:
        """The leaves' hashes of a tile, and what stands above them."""
        heads = self._heads(tile // _HEADS)
        return None if heads is None else _checked(self._read(TileName(0, tile, WIDTH)), WIDTH, heads[0][tile % _HEADS])

    def _read(self, name: TileName, offset: int = 0, length: int = -1) -> bytes | None:
        path: Path = self._layout.tiles / name.path
        try:
            return self._files.read(path, offset, length)
        except (FileNotFoundError, NotADirectoryError):
            return None


def _checked(kept: bytes | None, count: int, above: Hash) -> _Rows | None:
    """The rows over `count` hashes, if they lead to the one above."""
    if kept is None or len(kept) != 32 * count:
        return None
    rows = rows_above([kept[at : at + 32] for at in range(0, len(kept), 32)])
    return rows if rows[-1][0] == above else None
