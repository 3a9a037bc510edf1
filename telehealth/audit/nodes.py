"""Hashes of the tree's inner nodes, worked out from the files on demand: memory does not grow with the log."""

from functools import lru_cache
from pathlib import Path

from telehealth.audit.files import Files
from telehealth.audit.layout import LEVEL, SEGMENT, Layout, leaf_records
from telehealth.audit.tree import Hash, leaf_hash, rows_above


class FolderNodes:
    """`nodes(level, index)` for a log of `size` leaves; reads each segment once. Blocks; made for one proof at a time.

    Raises ValueError where the files do not hold the node.
    """

    def __init__(self, layout: Layout, files: Files, size: int) -> None:
        self._layout = layout
        self._files = files
        self._size = size
        self._segments = lru_cache(maxsize=4)(self._read_segment)

    def __call__(self, level: int, index: int) -> Hash:
        if (index + 1) << level > self._size:
            raise ValueError("beyond the log")
        if level >= LEVEL:
            return self._above(level, index)
        segment = (index << level) >> LEVEL
        _, levels = self._segments(segment)
        place = index - (segment << (LEVEL - level))
        if level >= len(levels) or place >= len(levels[level]):
            raise ValueError("leaves are missing")
        return levels[level][place]

    def leaf(self, index: int) -> bytes:
        """The leaf itself. Raises ValueError."""
        leaves, _ = self._segments(index // SEGMENT)
        if index >= self._size or len(leaves) <= index % SEGMENT:
            raise ValueError("leaves are missing")
        return leaves[index % SEGMENT]

    def _above(self, level: int, index: int) -> Hash:
        count = 1 << (level - LEVEL)
        kept = _read(self._files, self._layout.subtrees, 32 * index * count, 32 * count)
        if len(kept) != 32 * count:
            raise ValueError("subtrees are missing")
        return rows_above([kept[at : at + 32] for at in range(0, len(kept), 32)])[-1][0]

    def _read_segment(self, segment: int) -> tuple[list[bytes], list[list[Hash]]]:
        """A segment's leaves, and all whole nodes within it, from the leaves up."""
        count = min(SEGMENT, self._size - segment * SEGMENT)
        leaves, _ = leaf_records(_read(self._files, self._layout.leaves_of(segment)), count)
        return leaves, rows_above([leaf_hash(leaf) for leaf in leaves])


def _read(files: Files, path: Path, offset: int = 0, length: int = -1) -> bytes:
    try:
        return files.read(path, offset, length)
    except FileNotFoundError:
        raise ValueError("a file of the log is missing") from None
