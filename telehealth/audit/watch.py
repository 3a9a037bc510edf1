"""Looks after the files of a running log: what was changed behind the server's back is found within a minute. Blocks.

A whole look costs one `stat` a file; only files whose stamp changed are read. The stamp holds the change time, which a
writer to the file cannot set back without the machine's clock.
"""

import hashlib
import os
from pathlib import Path

from telehealth.audit.layout import LEVEL, SEGMENT, Layout, detail_records, leaf_records
from telehealth.audit.leaf import sealed_hash_in
from telehealth.audit.ledger import Signed
from telehealth.audit.tree import CompactRange, leaf_hash, rows_above
from telehealth.audit.verify import Problem

Stamp = tuple[int, int, int]  # inode, size, change time in ns


class Watch:
    """Remembers 32 bytes and two stamps for every 4096 entries. One thread at a time."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._stamps: dict[Path, Stamp | None] = {}
        self._subtrees: list[bytes] = []

    def look(self, signed: Signed) -> list[Problem]:
        """What is not as the head says, of all that changed since the last look. Raises OSError."""
        full, problems = signed.head.size // SEGMENT, list[Problem]()
        for segment in range(full):
            problems += self._look_at(segment)
        tree = CompactRange()
        for subtree in self._subtrees[:full]:
            tree.append(subtree, LEVEL)
        leaves = self._leaves(full)[: signed.head.size % SEGMENT]
        for leaf in leaves:
            tree.append(leaf_hash(leaf))
        if tree.size != signed.head.size or tree.root() != signed.head.root:
            problems.append(Problem(min(tree.size, full * SEGMENT), "root"))
        return problems + self._details(full, leaves)

    def _look_at(self, segment: int) -> list[Problem]:
        """A full segment: read when it is new to us, or its files were touched."""
        paths = (self._layout.leaves_of(segment), self._layout.details_of(segment))
        stamps = [_stamp(path) for path in paths]
        known = segment < len(self._subtrees)
        if known and stamps == [self._stamps.get(path) for path in paths]:
            return []
        leaves = self._leaves(segment)
        subtree = rows_above([leaf_hash(leaf) for leaf in leaves])[-1][0] if len(leaves) == SEGMENT else b""
        if not known:
            self._subtrees.append(subtree)
        elif subtree != self._subtrees[segment]:
            return [Problem(segment * SEGMENT, "segment_changed")]
        problems = self._details(segment, leaves)
        if not problems:
            self._stamps.update(zip(paths, stamps, strict=True))
        return problems

    def _leaves(self, segment: int) -> list[bytes]:
        try:
            return leaf_records(self._layout.leaves_of(segment).read_bytes())[0]
        except FileNotFoundError:
            return []

    def _details(self, segment: int, leaves: list[bytes]) -> list[Problem]:
        try:
            content = self._layout.details_of(segment).read_bytes()
        except FileNotFoundError:
            content = b""
        blobs = {index: hashlib.sha256(blob).hexdigest().encode() for index, blob, _ in detail_records(content)}
        first = segment * SEGMENT
        for at, leaf in enumerate(leaves):
            digest = sealed_hash_in(leaf)
            if digest is not None and blobs.get(first + at) != digest:
                return [Problem(first + at, "detail_changed" if first + at in blobs else "detail_missing")]
        return []


def _stamp(path: Path) -> Stamp | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_ctime_ns
