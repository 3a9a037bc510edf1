"""The log's files: journalled, signed, put in place, and brought back after a crash. Blocks; used from threads.

Order of a commit: one record with leaves, details and the signed head goes into the journal and is synced: that is the
moment at which the entries exist. Then files and head are written for readers, and synced once a round of the journal
is full. Whatever a crash keeps from the files, the journal holds since the last sync and replays.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from telehealth.audit.edge import Batch, Edge, Writes, edge_of, laid_out
from telehealth.audit.faults import LogMismatch
from telehealth.audit.files import Files
from telehealth.audit.journal import Journal, Record
from telehealth.audit.layout import (
    Layout,
    detail_record,
    leaf_record,
)
from telehealth.audit.logkeys import first_key, open_keys
from telehealth.audit.nodes import FolderNodes
from telehealth.audit.note import Checkpoint, NoteForeign, NoteInvalid, Signer
from telehealth.audit.subtrees import Subtrees
from telehealth.audit.tails import TailTooLong, cut_details, cut_leaves
from telehealth.audit.tree import CompactRange, range_hash

MAX_BATCH = 512
_SECTOR = 512  # bytes that a disk writes as one
_RESTORE = "restore the folder from the newest backup and compare it with an anchored checkpoint"


class Signed(NamedTuple):
    """A head and the signed note that carries it."""

    head: Checkpoint
    note: bytes


class Ledger:
    """Appends batches of leaves under a signed head. One thread at a time; a lock keeps several processes apart."""

    def __init__(self, layout: Layout, files: Files, signer: Signer, at_least: Checkpoint | None = None) -> None:
        self.layout = layout
        self.files = files
        self.signed = Signed(Checkpoint(signer.name, 0, b""), b"")  # replaced as one, by the thread that appends
        self.keys = first_key(signer.name, signer.public_key)
        self.repaired = False  # whether files were not what the journal holds, at the last load
        self.cut_back = 0  # entries that a crash left without a head, at the last load
        self._signer = signer
        self._at_least = at_least
        self._journal = Journal(layout, files)
        self._subtrees = Subtrees(layout, files)
        self._edge = Edge(CompactRange(), 0, 0)
        self._dirty: set[Path] = set()  # written since the last sync
        self._stale = True

    @property
    def head(self) -> Checkpoint:
        return self.signed.head

    def load(self) -> None:
        """Find the head, replay the journal, cut back what no head covers. Raises OSError, LogMismatch."""
        for folder in (self.layout.folder, self.layout.leaves, self.layout.details):
            self.files.folder(folder)
        with self.files.locked(self.layout.lock):
            self._load()

    def refresh(self) -> None:
        """Load again if another process appended or a commit broke off. Raises OSError, LogMismatch."""
        with self.files.locked(self.layout.lock):
            self._refresh()

    def append(self, batch: Batch) -> int:
        """Make leaves (each with its sealed detail) durable under a new head; the index of the first.

        At most MAX_BATCH go under one head; more are entered in parts. Raises OSError, LogMismatch: then it is not
        known which of them are in the log.
        """
        with self.files.locked(self.layout.lock):
            self._refresh()
            self._stale = True
            first = self._edge.tree.size
            for start in range(0, len(batch), MAX_BATCH):
                self._commit(batch[start : start + MAX_BATCH])
            self._stale = False
            return first

    def settle(self) -> None:
        """Sync the files, so that they alone hold the whole log. Raises OSError, LogMismatch."""
        with self.files.locked(self.layout.lock):
            self._refresh()
            self._settle()

    def rotate(self, new: Signer) -> None:
        """Hand over to a new key: the list of keys first, then a head signed with it. Raises OSError, ValueError."""
        with self.files.locked(self.layout.lock):
            self._refresh()
            keys = self.keys.followed_by(self._signer, new, self._edge.tree.size)
            self._stale = True
            self._replace(self.layout.keys, keys.note(new))
            self.keys, self._signer = keys, new
            head = Checkpoint(new.name, self._edge.tree.size, self._edge.tree.root())
            self._show(self._edge, Signed(head, new.sign(head.text())))
            self._settle()
            self._stale = False

    def _refresh(self) -> None:
        if self._stale or self.files.read(self.layout.head) != self.signed.note:
            self._load()

    def _commit(self, batch: Batch) -> None:
        edge = self._edge._replace(tree=self._edge.tree.copy())
        writes: Writes = []
        edge = laid_out(self.layout, edge, batch, writes)
        leaves = b"".join(leaf_record(leaf) for leaf, _ in batch)
        first = self._edge.tree.size
        details = b"".join(detail_record(first + at, blob) for at, (_, blob) in enumerate(batch) if blob is not None)
        head = Checkpoint(self._signer.name, edge.tree.size, edge.tree.root())
        note = self._signer.sign(head.text())
        packed = Record(first, note, leaves, details).pack()
        if self._journal.full_with(packed):
            self._settle()
        self._journal.write(packed)
        self._put(writes)
        self._show(edge, Signed(head, note))

    def _mend(self, writes: Writes) -> None:
        """Write what the journal holds over what is there, and remember whether that was anything else."""
        for path, offset, content in writes:
            try:
                self.repaired |= self.files.read(path, offset, len(content)) != content
            except FileNotFoundError:
                self.repaired = True
        self._put(writes)

    def _put(self, writes: Writes) -> None:
        for path, offset, content in writes:
            self._dirty.add(path)
            self.files.write_at(path, offset, content)

    def _show(self, edge: Edge, signed: Signed) -> None:
        if len(self.signed.note) <= len(signed.note) <= _SECTOR:
            self.files.publish(self.layout.head, signed.note)
        else:
            self._replace(self.layout.head, signed.note)
        self._dirty.add(self.layout.head)
        self._edge, self.signed = edge, signed

    def _settle(self) -> None:
        for path in sorted(self._dirty - {self.layout.head}):
            self.files.sync(path)
        if self.layout.head in self._dirty:
            self._replace(self.layout.head, self.signed.note)
        self._dirty.clear()
        self._journal.restart()

    def _replace(self, path: Path, content: bytes) -> None:
        self.files.write_new(self.layout.stage, content)
        self.files.replace(self.layout.stage, path)

    def _load(self) -> None:
        self._load_keys()
        note, head = self._signed_head()
        chain = self._journalled()
        last = self.keys.open(chain[-1].note) if chain else None
        self._dirty.clear()
        self.repaired = False
        seen = self.head if self.signed.note else self._at_least  # what this process signed is the newest it saw
        if last is not None and (head is None or last.size >= head.size):
            self._check_size(last.size, seen)
            edge, note = self._replayed(chain, last), note if head == last else chain[-1].note
        elif head is None:
            raise LogMismatch("head_not_ours", f"the checkpoint is no signed note; {_RESTORE}")
        else:
            edge = self._edge_at(head)
        size = edge.tree.size
        self._check_grown(size, seen)
        if head is not None and last is not None and head.size <= last.size:
            self._check_grown(size, head)
        detail_end = self._cut_tail(size, edge.leaf_end)
        self._dirty.add(self.layout.head)
        self._edge = Edge(edge.tree, edge.leaf_end, detail_end)
        self.signed = Signed(Checkpoint(self._signer.name, size, edge.tree.root()), note)
        self._settle()
        self._journal.prepare()
        self._at_least = self.head
        self._stale = False

    def _load_keys(self) -> None:
        try:
            note = self.files.read(self.layout.keys)
        except FileNotFoundError:
            self.keys = first_key(self._signer.name, self._signer.public_key)
            return
        try:
            self.keys = open_keys(note, self._signer.name, self._signer.public_key)
        except NoteInvalid as error:
            raise LogMismatch("keys_not_ours", f"the list of keys is not this log's; {_RESTORE}") from error
        if self.keys.newest != self._signer.public_key:
            raise LogMismatch("key_retired", "this signing key was replaced by a newer one; start with that one")

    def _signed_head(self) -> tuple[bytes, Checkpoint | None]:
        """The head as it stands; None if a power cut left it torn. Raises LogMismatch if another signed it."""
        try:
            note = self.files.read(self.layout.head)
        except FileNotFoundError:
            return self._begin()
        try:
            return note, self.keys.open(note)
        except NoteForeign as error:
            raise LogMismatch(
                "head_not_ours", f"the checkpoint was not signed by this server's key; {_RESTORE}"
            ) from error
        except NoteInvalid:
            return note, None

    def _begin(self) -> tuple[bytes, Checkpoint]:
        if self.files.names(self.layout.leaves) or self._at_least:
            raise LogMismatch("head_missing", f"the signed checkpoint is gone; {_RESTORE}")
        note = self._signer.checkpoint(0, CompactRange().root())
        self._replace(self.layout.head, note)
        return note, Checkpoint(self._signer.name, 0, CompactRange().root())

    def _journalled(self) -> list[Record]:
        """The journal's records up to the last with a head of ours."""
        chain = self._journal.records()
        while chain:
            try:
                self.keys.open(chain[-1].note)
            except NoteInvalid:
                chain.pop()
            else:
                break
        return chain

    def _replayed(self, chain: Sequence[Record], last: Checkpoint) -> Edge:
        """Write once more what the journal holds; nothing is written unless it gives the root of its last head."""
        for subtrees in self._subtrees.kept, self._subtrees.made:
            edge = edge_of(self.layout, self.files, chain[0].first, subtrees)
            writes: Writes = []
            if edge.tree.size != chain[0].first:
                continue
            for record in chain:
                edge = laid_out(self.layout, edge, record.batch(), writes)
            if edge.tree.size == last.size and edge.tree.root() == last.root:
                self._mend(writes)
                return edge
        raise self._changed()

    def _edge_at(self, head: Checkpoint) -> Edge:
        """The edge under this head. Raises LogMismatch if the leaves give another root."""
        for subtrees in self._subtrees.kept, self._subtrees.made:
            edge = edge_of(self.layout, self.files, head.size, subtrees)
            if edge.tree.size == head.size and edge.tree.root() == head.root:
                return edge
        raise self._changed()

    @staticmethod
    def _changed() -> LogMismatch:
        return LogMismatch(
            "leaves_changed", f"the leaves do not give the signed root; run `audit verify`, then {_RESTORE}"
        )

    def _cut_tail(self, size: int, leaf_end: int) -> int:
        """Cut what no head covers; more than a batch of it means that the head is an old one."""
        try:
            self.cut_back = cut_leaves(self.layout, self.files, size, leaf_end, MAX_BATCH)
        except TailTooLong:
            raise LogMismatch("head_behind", f"the checkpoint is older than the leaves; {_RESTORE}") from None
        return cut_details(self.layout, self.files, size)

    def _check_grown(self, size: int, seen: Checkpoint | None) -> None:
        """Whether the log still begins with what was last seen of it."""
        self._check_size(size, seen)
        if seen is None or not seen.size:
            return
        try:
            is_same = range_hash(0, seen.size, FolderNodes(self.layout, self.files, size)) == seen.root
        except ValueError:  # files that do not hold the nodes
            raise self._changed() from None
        if not is_same:
            raise self._gone()

    def _check_size(self, size: int, seen: Checkpoint | None) -> None:
        if seen is not None and size < seen.size:
            raise self._gone()

    @staticmethod
    def _gone() -> LogMismatch:
        return LogMismatch("log_went_back", f"entries that were signed for are gone; {_RESTORE}")
