"""Checking a log's folder against its signed head, as a reader who trusts nobody but the public key."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from telehealth.audit.files import Disk, Files
from telehealth.audit.layout import LEVEL, SEGMENT, Layout, detail_records, leaf_records, segments_in
from telehealth.audit.leaf import sealed_hash_in
from telehealth.audit.logkeys import LogKeys, first_key, open_keys
from telehealth.audit.nodes import FolderNodes
from telehealth.audit.note import Checkpoint, NoteInvalid
from telehealth.audit.tiles import verify_tiles
from telehealth.audit.tree import CompactRange, leaf_hash, range_hash, rows_above

MAX_PROBLEMS = 1000
_LOOKS = 40
_HEAD_LOOKS = 5
_LOOK_PAUSE = 0.05  # seconds: a running server signs what it wrote long before 40 of them


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """`index`: the first entry it may touch. `code`: see docs/formats-audit.md."""

    index: int
    code: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`size` and `root` (hex) of the signed head; sound if there is no problem. At most 1000 problems are listed."""

    size: int
    root: str
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


@dataclass(slots=True)
class _Walk:
    layout: Layout
    files: Files
    tree: CompactRange = field(default_factory=CompactRange)
    problems: list[Problem] = field(default_factory=list)
    extra: int = 0  # whole leaves beyond the head

    def note(self, index: int, code: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(index, code))


def verify_folder(
    folder: Path,
    public_key: bytes,
    origin: str,
    *,
    at_least: Checkpoint | None = None,
    kept: Sequence[bytes] = (),
    tiles: bool = False,
    files: Files | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Verdict:
    """Find every edit, insertion, deletion, swap and cut against the last signed head, of a running or a copied log.

    `public_key`: any key the log ever signed with. `at_least`: a head kept elsewhere that the log must contain; `kept`:
    such heads as signed notes. `tiles`: check the published tiles too. Reads only, a segment at a time. Raises OSError.
    """
    layout, files = Layout(folder), files or Disk()
    head = _head(layout, files, public_key, origin)
    if isinstance(head, Problem):
        return Verdict(0, "", (head,))
    walk = _Walk(layout, files)
    _walk_leaves(walk, head.size)
    if walk.tree.size < head.size:
        walk.note(walk.tree.size, "cut")
    elif walk.tree.root() != head.root:
        walk.note(0, "root")
    if walk.extra and not _signed_soon(walk, public_key, origin, head.size + walk.extra, pause):
        walk.note(head.size, "unsigned_tail")
    if at_least is not None:
        _compare(walk, head, at_least)
    for note in kept:
        _compare_note(walk, head, note, public_key, origin)
    if tiles:
        _compare_tiles(walk, head, public_key, origin)
    return Verdict(head.size, head.root.hex(), tuple(sorted(set(walk.problems))))


def _head(layout: Layout, files: Files, public_key: bytes, origin: str) -> Checkpoint | Problem:
    """The signed head, by any of the log's keys; looked at again if a running server is writing it just now."""
    problem = Problem(0, "head_not_ours")
    for _ in range(_HEAD_LOOKS):
        try:
            return folder_keys(layout, files, public_key, origin).open(files.read(layout.head))
        except FileNotFoundError:
            return Problem(0, "head_missing")
        except NoteInvalid:
            continue
    return problem


def folder_keys(layout: Layout, files: Files, public_key: bytes, origin: str) -> LogKeys:
    """All keys of the log in this folder, on the word of one of them. Raises NoteInvalid."""
    try:
        return open_keys(files.read(layout.keys), origin, public_key)
    except FileNotFoundError:
        return first_key(origin, public_key)


def _walk_leaves(walk: _Walk, size: int) -> None:
    segments = segments_in(_names(walk.files, walk.layout.leaves))
    wanted = -(-size // SEGMENT)
    for segment in range(wanted):
        if walk.tree.size != segment * SEGMENT:
            return  # a leaf is missing: what follows stands elsewhere
        if segment not in segments:
            walk.note(segment * SEGMENT, "segment_missing")
            return
        _walk_segment(walk, segment, min(SEGMENT, size - segment * SEGMENT))
    for segment in segments:
        if segment >= wanted:
            walk.extra += len(leaf_records(walk.files.read(walk.layout.leaves_of(segment)))[0])
    for segment in segments_in(_names(walk.files, walk.layout.details)):
        if segment >= wanted and not walk.extra and walk.files.size(walk.layout.details_of(segment)):
            walk.extra = 1  # written before its leaf


def _walk_segment(walk: _Walk, segment: int, count: int) -> None:
    """Hash the leaves that the head covers, compare their details, and count what stands behind them."""
    content = walk.files.read(walk.layout.leaves_of(segment))
    leaves, end = leaf_records(content, count)
    before = walk.tree.size
    hashes = [leaf_hash(leaf) for leaf in leaves]
    if len(leaves) == SEGMENT:
        subtree = rows_above(hashes)[LEVEL][0]
        walk.tree.append(subtree, LEVEL)
        _compare_subtree(walk, segment, subtree)
    else:
        for hash_ in hashes:
            walk.tree.append(hash_)
    if len(leaves) < count:
        walk.note(before + len(leaves), "segment_torn")
        return
    if end != len(content):
        if count == SEGMENT:
            walk.note(before + count, "segment_too_long")
        else:
            walk.extra += max(1, len(leaf_records(content[end:])[0]))
    _compare_details(walk, segment, leaves)


def _compare_subtree(walk: _Walk, segment: int, found: bytes) -> None:
    """Tell in which segment a change is; the root alone would say only that there is one."""
    try:
        kept = walk.files.read(walk.layout.subtrees, 32 * segment, 32)
    except FileNotFoundError:
        kept = b""
    if kept != found:
        walk.note(segment * SEGMENT, "segment_changed")


def _compare_details(walk: _Walk, segment: int, leaves: list[bytes]) -> None:
    first = segment * SEGMENT
    wanted = {first + at: digest for at, leaf in enumerate(leaves) if (digest := sealed_hash_in(leaf)) is not None}
    try:
        content = walk.files.read(walk.layout.details_of(segment))
    except FileNotFoundError:
        content = b""
    end = 0
    for index, blob, stop in detail_records(content):
        if index >= first + len(leaves) and len(leaves) < SEGMENT:
            return _note_missing(walk, wanted)  # of entries beyond the head
        digest = wanted.pop(index, None)
        if digest is None:
            walk.note(index, "detail_without_leaf")
        elif hashlib.sha256(blob).hexdigest().encode("ascii") != digest:
            walk.note(index, "detail_changed")
        end = stop
    if end != len(content) and len(leaves) == SEGMENT:
        walk.note(first, "details_torn")
    return _note_missing(walk, wanted)


def _note_missing(walk: _Walk, wanted: dict[int, bytes]) -> None:
    for index in wanted:
        walk.note(index, "detail_missing")


def _signed_soon(walk: _Walk, public_key: bytes, origin: str, size: int, pause: Callable[[float], None]) -> bool:
    """Whether the tail is a running server's: a head that covers it appears."""
    for _ in range(_LOOKS):
        head = _head(walk.layout, walk.files, public_key, origin)
        if isinstance(head, Checkpoint) and head.size >= size:
            return True
        pause(_LOOK_PAUSE)
    return False


def _compare(walk: _Walk, head: Checkpoint, seen: Checkpoint) -> None:
    nodes = FolderNodes(walk.layout, walk.files, head.size)
    if seen.size > head.size:
        walk.note(head.size, "behind_anchor")
    elif not walk.problems and range_hash(0, seen.size, nodes) != seen.root:
        walk.note(0, "not_the_anchored_log")


def _compare_note(walk: _Walk, head: Checkpoint, note: bytes, public_key: bytes, origin: str) -> None:
    try:
        _compare(walk, head, folder_keys(walk.layout, walk.files, public_key, origin).open(note))
    except NoteInvalid:
        walk.note(0, "kept_not_ours")


def _compare_tiles(walk: _Walk, head: Checkpoint, public_key: bytes, origin: str, looks: int = _HEAD_LOOKS) -> None:
    try:
        note = walk.files.read(walk.layout.tiles / "checkpoint")
    except FileNotFoundError:
        return None  # nothing was published
    try:
        seen = folder_keys(walk.layout, walk.files, public_key, origin).open(note)
    except NoteInvalid:
        walk.note(0, "tiles_head_not_ours")
        return None
    if seen.size > head.size:
        return None  # a running server's, of a newer head
    _compare(walk, head, seen)
    found = list(islice(verify_tiles(walk.layout, walk.files, seen.size), MAX_PROBLEMS))
    if found and looks and walk.files.read(walk.layout.tiles / "checkpoint") != note:
        return _compare_tiles(walk, head, public_key, origin, looks - 1)  # published anew meanwhile
    for index, code in found:
        walk.note(index, code)
    return None


def _names(files: Files, folder: Path) -> list[str]:
    try:
        return files.names(folder)
    except FileNotFoundError:
        return []
