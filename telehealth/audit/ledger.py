"""The log's files: staged, signed, put in place, and brought back after a crash. Blocks; used from threads.

Order of a commit: leaves, details and the next signed head are written and synced; renaming that head over the old one
is the moment at which the entries exist. Whoever stops before leaves a tail that nobody was promised.
"""

from collections.abc import Sequence
from pathlib import Path

from telehealth.audit.faults import LogMismatch
from telehealth.audit.files import Files
from telehealth.audit.layout import (
    LEVEL,
    SEGMENT,
    Layout,
    detail_record,
    detail_records,
    leaf_record,
    leaf_records,
    segments_in,
)
from telehealth.audit.nodes import FolderNodes
from telehealth.audit.note import Checkpoint, NoteInvalid, Signer, open_checkpoint
from telehealth.audit.tree import CompactRange, leaf_hash, range_hash

MAX_BATCH = 512
_RESTORE = "restore the folder from the newest backup and compare it with an anchored checkpoint"


class Ledger:
    """Appends batches of leaves under a signed head. One thread at a time; a lock keeps several processes apart."""

    def __init__(self, layout: Layout, files: Files, signer: Signer, at_least: Checkpoint | None = None) -> None:
        self.layout = layout
        self.files = files
        self.head = Checkpoint(signer.name, 0, b"")
        self.cut_back = 0  # entries that a crash left without a head, at the last load
        self._signer = signer
        self._at_least = at_least
        self._tree = CompactRange()
        self._note = b""
        self._leaf_end = 0
        self._detail_end = 0
        self._stale = True

    def load(self) -> None:
        """Find the head, finish a staged batch, cut back what no head covers. Raises OSError, LogMismatch."""
        for folder in (self.layout.folder, self.layout.leaves, self.layout.details):
            self.files.folder(folder)
        with self.files.locked(self.layout.lock):
            self._load()

    def refresh(self) -> None:
        """Load again if another process appended or a commit broke off. Raises OSError, LogMismatch."""
        with self.files.locked(self.layout.lock):
            self._refresh()

    def append(self, batch: Sequence[tuple[bytes, bytes | None]]) -> int:
        """Make leaves (each with its sealed detail) durable under a new head; the index of the first.

        At most MAX_BATCH go under one head; more are entered in parts. Raises OSError, LogMismatch: then it is not
        known which of them are in the log.
        """
        with self.files.locked(self.layout.lock):
            self._refresh()
            self._stale = True
            first = self._append(batch)
            self._stale = False
            return first

    def _refresh(self) -> None:
        if self._stale or self.files.read(self.layout.head) != self._note:
            self._load()

    def _append(self, batch: Sequence[tuple[bytes, bytes | None]]) -> int:
        tree, first = self._tree.copy(), self._tree.size
        leaf_end, detail_end = self._leaf_end, self._detail_end
        for start in range(0, len(batch), MAX_BATCH):
            for part in _by_segment(tree.size, batch[start : start + MAX_BATCH]):
                if tree.size % SEGMENT == 0:
                    leaf_end = detail_end = 0
                leaf_end, detail_end = self._write(tree, part, leaf_end, detail_end)
            note = self._signer.checkpoint(tree.size, tree.root())
            self.files.write_new(self.layout.stage, note)
            self.files.replace(self.layout.stage, self.layout.head)
            self._settle(tree.copy(), note, leaf_end, detail_end)
        return first

    def _write(
        self, tree: CompactRange, part: Sequence[tuple[bytes, bytes | None]], leaf_end: int, detail_end: int
    ) -> tuple[int, int]:
        """Write and sync what falls into one segment, details before the leaves that name them."""
        segment = tree.size // SEGMENT
        leaves, details = bytearray(), bytearray()
        whole: list[bytes] = []
        for leaf, blob in part:
            if blob is not None:
                details += detail_record(tree.size, blob)
            leaves += leaf_record(leaf)
            whole = tree.append(leaf_hash(leaf))
        if details:
            self._put(self.layout.details_of(segment), detail_end, details)
        self._put(self.layout.leaves_of(segment), leaf_end, leaves)
        if tree.size % SEGMENT == 0:
            self._put(self.layout.subtrees, 32 * segment, whole[LEVEL])
        return leaf_end + len(leaves), detail_end + len(details)

    def _put(self, path: Path, offset: int, content: bytes | bytearray) -> None:
        self.files.write_at(path, offset, bytes(content))
        self.files.sync(path)

    def _settle(self, tree: CompactRange, note: bytes, leaf_end: int, detail_end: int) -> None:
        self._tree, self._note = tree, note
        self._leaf_end, self._detail_end = leaf_end, detail_end
        self.head = Checkpoint(self._signer.name, tree.size, tree.root())

    def _load(self) -> None:
        note, head = self._signed_head()
        tree, leaf_end = self._tree_at(head)
        staged = self._staged(head, tree)
        if staged is not None:
            self.files.replace(self.layout.stage, self.layout.head)
            note, tree, leaf_end = staged
        self._check_grown(tree)
        self._cut_leaves(tree.size, leaf_end)
        self._settle(tree, note, leaf_end, self._cut_details(tree.size))
        self._at_least = self.head
        self._stale = False

    def _signed_head(self) -> tuple[bytes, Checkpoint]:
        try:
            note = self.files.read(self.layout.head)
        except FileNotFoundError:
            return self._begin()
        try:
            return note, open_checkpoint(note, self._signer.name, self._signer.public_key)
        except NoteInvalid as error:
            raise LogMismatch(
                "head_not_ours", f"the checkpoint was not signed by this server's key; {_RESTORE}"
            ) from error

    def _begin(self) -> tuple[bytes, Checkpoint]:
        if self.files.names(self.layout.leaves) or self._at_least:
            raise LogMismatch("head_missing", f"the signed checkpoint is gone; {_RESTORE}")
        note = self._signer.checkpoint(0, CompactRange().root())
        self.files.write_new(self.layout.stage, note)
        self.files.replace(self.layout.stage, self.layout.head)
        return note, Checkpoint(self._signer.name, 0, CompactRange().root())

    def _staged(self, head: Checkpoint, tree: CompactRange) -> tuple[bytes, CompactRange, int] | None:
        """The batch that was whole and signed but not yet put in place, if there is one."""
        try:
            note = self.files.read(self.layout.stage)
            staged = open_checkpoint(note, self._signer.name, self._signer.public_key)
        except (FileNotFoundError, NoteInvalid):
            return None
        if not head.size < staged.size <= head.size + MAX_BATCH:
            return None
        tree, leaf_end = tree.copy(), 0
        while tree.size < staged.size:
            segment = tree.size // SEGMENT
            leaves, leaf_end = self._leaves(segment, min(SEGMENT, staged.size - segment * SEGMENT))
            if len(leaves) <= tree.size % SEGMENT:
                return None  # not whole: its leaves are a tail without a head
            for leaf in leaves[tree.size % SEGMENT :]:
                tree.append(leaf_hash(leaf))
        return (note, tree, leaf_end if tree.size % SEGMENT else 0) if tree.root() == staged.root else None

    def _tree_at(self, head: Checkpoint) -> tuple[CompactRange, int]:
        """The tree under this head and where its last leaf ends. Raises LogMismatch if the leaves give another root."""
        for subtrees in (self._kept_subtrees, self._made_subtrees):
            tree = CompactRange()
            for hash_ in subtrees(head.size // SEGMENT):
                tree.append(hash_, LEVEL)
            leaves, leaf_end = self._leaves(head.size // SEGMENT, head.size % SEGMENT)
            for leaf in leaves:
                tree.append(leaf_hash(leaf))
            if tree.size == head.size and tree.root() == head.root:
                return tree, leaf_end if leaves else 0
        raise LogMismatch(
            "leaves_changed", f"the leaves do not give the signed root; run `audit verify`, then {_RESTORE}"
        )

    def _leaves(self, segment: int, count: int) -> tuple[list[bytes], int]:
        if not count:
            return [], 0
        try:
            return leaf_records(self.files.read(self.layout.leaves_of(segment)), count)
        except FileNotFoundError:
            return [], 0

    def _kept_subtrees(self, count: int) -> list[bytes]:
        try:
            kept = self.files.read(self.layout.subtrees, 0, 32 * count)
        except FileNotFoundError:
            return []
        return [kept[at : at + 32] for at in range(0, len(kept) - 31, 32)]

    def _made_subtrees(self, count: int) -> list[bytes]:
        """The subtrees worked out anew from all leaves, and kept: the file is a convenience, never the truth."""
        made: list[bytes] = []
        for segment in range(count):
            part = CompactRange()
            for leaf in self._leaves(segment, SEGMENT)[0]:
                part.append(leaf_hash(leaf))
            if part.size != SEGMENT:
                break
            made.append(part.root())
        if made:
            self._put(self.layout.subtrees, 0, b"".join(made))
        return made

    def _check_grown(self, tree: CompactRange) -> None:
        """Whether the log still begins with what was last seen of it."""
        seen = self._at_least
        if seen is None or not seen.size:
            return
        nodes = FolderNodes(self.layout, self.files, tree.size)
        if tree.size < seen.size or range_hash(0, seen.size, nodes) != seen.root:
            raise LogMismatch("log_went_back", f"entries that were signed for are gone; {_RESTORE}")

    def _cut_leaves(self, size: int, leaf_end: int) -> None:
        """Cut the tail that no head covers; more than a batch of it means that the head is an old one."""
        last, beyond, cuts = size // SEGMENT, 0, []
        for segment in segments_in(self.files.names(self.layout.leaves)):
            path = self.layout.leaves_of(segment)
            keep = leaf_end if segment == last else 0
            if segment < last or self.files.size(path) == keep:
                continue
            beyond += len(leaf_records(self.files.read(path, keep))[0])
            cuts.append((path, keep))
        if beyond > MAX_BATCH:
            raise LogMismatch("head_behind", f"the checkpoint is older than the leaves; {_RESTORE}")
        self.cut_back = beyond
        for path, keep in cuts:
            self.files.cut(path, keep)

    def _cut_details(self, size: int) -> int:
        """Cut details whose leaves are gone; where the last segment's details end."""
        last, kept_end = size // SEGMENT, 0
        for segment in segments_in(self.files.names(self.layout.details)):
            if segment < last:
                continue
            path = self.layout.details_of(segment)
            end = 0
            for index, _, stop in detail_records(self.files.read(path)):
                end = stop if index < size else end
            if self.files.size(path) != end:
                self.files.cut(path, end)
            if segment == last:
                kept_end = end
        return kept_end


def _by_segment(size: int, batch: Sequence[tuple[bytes, bytes | None]]) -> list[Sequence[tuple[bytes, bytes | None]]]:
    """The batch, split where a segment becomes full."""
    room = SEGMENT - size % SEGMENT
    return [part for part in (batch[:room], batch[room:]) if part]
