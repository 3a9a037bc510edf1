"""The Merkle tree of RFC 6962 §2.1: hashes, incremental append, proofs and their verification. Pure."""

import hashlib
from collections.abc import Callable, Iterator, Sequence

Hash = bytes
Nodes = Callable[[int, int], Hash]
"""`nodes(level, index)`: the hash over leaves `index << level` up to `(index + 1) << level`."""

EMPTY_ROOT: Hash = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> Hash:
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: Hash, right: Hash) -> Hash:
    return hashlib.sha256(b"\x01" + left + right).digest()


def rows_above(leaves: Sequence[Hash]) -> list[list[Hash]]:
    """The hashes of all whole nodes over these leaves, level by level, the leaves first."""
    sha256 = hashlib.sha256
    rows = [list(leaves)]
    while len(rows[-1]) > 1:
        row = rows[-1]
        rows.append([sha256(b"\x01" + row[at] + row[at + 1]).digest() for at in range(0, len(row) - 1, 2)])
    return rows


class CompactRange:
    """The tree's right edge: enough to append and to know the root, O(log n) large."""

    __slots__ = ("_peaks", "size")

    def __init__(self, size: int = 0, peaks: Sequence[Hash] = ()) -> None:
        if len(peaks) != size.bit_count():
            raise ValueError("one peak for every bit of the size")
        self.size = size
        self._peaks = list(peaks)

    def append(self, leaf: Hash, level: int = 0) -> list[Hash]:
        """Append a leaf's hash, or that of 2^level leaves; gives the subtrees that became whole, from `level` up."""
        if self.size & ((1 << level) - 1):
            raise ValueError("a subtree begins at a multiple of its size")
        whole = [leaf]
        rest = self.size >> level
        while rest & 1:
            whole.append(node_hash(self._peaks.pop(), whole[-1]))
            rest >>= 1
        self._peaks.append(whole[-1])
        self.size += 1 << level
        return whole

    def root(self) -> Hash:
        return _fold(self._peaks)

    def copy(self) -> "CompactRange":
        return CompactRange(self.size, self._peaks)


def _fold(peaks: Sequence[Hash]) -> Hash:
    if not peaks:
        return EMPTY_ROOT
    found = peaks[-1]
    for peak in reversed(peaks[:-1]):
        found = node_hash(peak, found)
    return found


def _split(count: int) -> int:
    """The largest power of two below `count` (≥ 2)."""
    return 1 << ((count - 1).bit_length() - 1)


def _whole_parts(begin: int, end: int) -> Iterator[tuple[int, int]]:
    while begin < end:
        level = (end - begin).bit_length() - 1
        yield level, begin >> level
        begin += 1 << level


def range_hash(begin: int, end: int, nodes: Nodes) -> Hash:
    """MTH(D[begin:end]) for a range that the tree splits into; `range_hash(0, n)` is the root of n leaves."""
    return _fold([nodes(level, index) for level, index in _whole_parts(begin, end)])


def inclusion_proof(index: int, size: int, nodes: Nodes) -> list[Hash]:
    """PATH(index, D[size]) of RFC 6962 §2.1.1. Raises ValueError unless 0 ≤ index < size."""
    if not 0 <= index < size:
        raise ValueError("no such leaf in a tree of this size")
    begin, end = 0, size
    beside: list[tuple[int, int]] = []
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            beside.append((middle, end))
            end = middle
        else:
            beside.append((begin, middle))
            begin = middle
    return [range_hash(left, right, nodes) for left, right in reversed(beside)]


def consistency_proof(old: int, new: int, nodes: Nodes) -> list[Hash]:
    """PROOF(old, D[new]) of RFC 6962 §2.1.2; empty when old is 0 or new. Raises ValueError unless old ≤ new."""
    if not 0 <= old <= new:
        raise ValueError("the older size is the smaller one")
    if old in (0, new):
        return []
    begin, end, known = 0, new, True
    needed: list[tuple[int, int]] = []
    while end != old:
        middle = begin + _split(end - begin)
        if old <= middle:
            needed.append((middle, end))
            end = middle
        else:
            needed.append((begin, middle))
            begin, known = middle, False
    if not known:
        needed.append((begin, end))
    return [range_hash(left, right, nodes) for left, right in reversed(needed)]


def root_from_inclusion(leaf: Hash, index: int, size: int, proof: Sequence[Hash]) -> Hash:
    """The root that the proof leads to from `leaf` (RFC 9162 §2.1.3.2). Raises ValueError if its length is wrong."""
    place, last, found = index, size - 1, leaf
    for step in proof:
        if last == 0:
            raise ValueError("a proof that is too long")
        if place & 1 or place == last:
            found = node_hash(step, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, step)
        place, last = place >> 1, last >> 1
    if last:
        raise ValueError("a proof that is too short")
    return found


def verify_inclusion(leaf: Hash, index: int, size: int, proof: Sequence[Hash], root: Hash) -> bool:
    """Whether the proof shows that `leaf` stands at `index` under `root`."""
    if not 0 <= index < size:
        return False
    try:
        return root_from_inclusion(leaf, index, size, proof) == root
    except ValueError:
        return False


def verify_consistency(old: int, new: int, proof: Sequence[Hash], old_root: Hash, new_root: Hash) -> bool:
    """Whether the proof shows that the tree of `new` leaves begins with the tree of `old` (RFC 9162 §2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    return bool(path) and _climb(old - 1, new - 1, path) == (old_root, new_root)


def _climb(place: int, last: int, path: Sequence[Hash]) -> tuple[Hash, Hash] | None:
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = path[0]
    for step in path[1:]:
        if last == 0:
            return None
        if place & 1 or place == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            after = node_hash(after, step)
        place, last = place >> 1, last >> 1
    return (before, after) if last == 0 else None
