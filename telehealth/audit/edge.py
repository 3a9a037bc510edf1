"""The right edge of the log: the tree as far as it goes, and where the last segment's files end."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from telehealth.audit.files import Files
from telehealth.audit.layout import LEVEL, SEGMENT, Layout, detail_record, leaf_record
from telehealth.audit.subtrees import Subtrees
from telehealth.audit.tails import details_below
from telehealth.audit.tree import CompactRange, leaf_hash

Batch = Sequence[tuple[bytes, bytes | None]]
Writes = list[tuple[Path, int, bytes]]  # file, offset, content


class Edge(NamedTuple):
    """`leaf_end`, `detail_end`: octets in the files of the segment that is being filled."""

    tree: CompactRange
    leaf_end: int
    detail_end: int


def edge_of(layout: Layout, files: Files, size: int, subtrees: Callable[[int], list[bytes]]) -> Edge:
    """The edge of a log of `size` as the files give it; its tree is shorter where leaves are missing. Blocks."""
    tree = CompactRange()
    for hash_ in subtrees(size // SEGMENT):
        tree.append(hash_, LEVEL)
    leaves, leaf_end = Subtrees(layout, files).leaves(size // SEGMENT, size % SEGMENT)
    for leaf in leaves:
        tree.append(leaf_hash(leaf))
    return Edge(tree, leaf_end if leaves else 0, details_below(layout, files, size))


def laid_out(layout: Layout, edge: Edge, batch: Batch, writes: Writes) -> Edge:
    """Add to `writes` what the batch puts into which file; the edge behind it. Changes the tree of `edge`."""
    room = SEGMENT - edge.tree.size % SEGMENT
    for part in (batch[:room], batch[room:]):
        if part:
            edge = _in_segment(layout, edge, part, writes)
    return edge


def _in_segment(layout: Layout, edge: Edge, part: Batch, writes: Writes) -> Edge:
    """What one segment's files get, details before the leaves that name them."""
    tree, leaf_end, detail_end = edge
    if tree.size % SEGMENT == 0:
        leaf_end = detail_end = 0
    segment = tree.size // SEGMENT
    leaves, details = bytearray(), bytearray()
    whole: list[bytes] = []
    for leaf, blob in part:
        if blob is not None:
            details += detail_record(tree.size, blob)
        leaves += leaf_record(leaf)
        whole = tree.append(leaf_hash(leaf))
    if details:
        writes.append((layout.details_of(segment), detail_end, bytes(details)))
    writes.append((layout.leaves_of(segment), leaf_end, bytes(leaves)))
    if tree.size % SEGMENT == 0:
        writes.append((layout.subtrees, 32 * segment, whole[LEVEL]))
    return Edge(tree, leaf_end + len(leaves), detail_end + len(details))
