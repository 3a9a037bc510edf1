"""Where the log's bytes stand in its folder, and how records are told apart. See docs/formats-audit.md."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

LEVEL = 12
SEGMENT = 1 << LEVEL  # entries in a segment file, a whole subtree of the tree
MAX_RECORD = 0xFFFF
_SEGMENT_NAME = re.compile(r"([0-9]{12})\.(leaves|details)")


class Layout:
    """Names in the log's folder."""

    __slots__ = (
        "details",
        "folder",
        "head",
        "index",
        "journal",
        "keys",
        "leaves",
        "lock",
        "spool",
        "spool_lock",
        "stage",
        "subtrees",
        "tiles",
    )

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.leaves = folder / "leaves"
        self.details = folder / "details"
        self.head = folder / "checkpoint"
        self.stage = folder / "checkpoint.next"
        self.subtrees = folder / "subtrees"
        self.journal = folder / "journal"
        self.index = folder / "index"
        self.keys = folder / "keys"
        self.tiles = folder / "tiles"
        self.lock = folder / "lock"
        self.spool = folder / "spool"
        self.spool_lock = folder / "spool.lock"

    def leaves_of(self, segment: int) -> Path:
        return self.leaves / f"{segment * SEGMENT:012d}.leaves"

    def details_of(self, segment: int) -> Path:
        return self.details / f"{segment * SEGMENT:012d}.details"


def segments_in(names: Iterable[str]) -> list[int]:
    """The numbers of the segments among these names, ascending; other names are passed over."""
    found = [int(match[1]) for match in map(_SEGMENT_NAME.fullmatch, names) if match]
    return sorted(first // SEGMENT for first in found)


def leaf_record(leaf: bytes) -> bytes:
    """u16 length ‖ leaf, as in C2SP entry bundles."""
    if not 0 < len(leaf) <= MAX_RECORD:
        raise ValueError("a leaf has 1 to 65535 bytes")
    return len(leaf).to_bytes(2, "big") + leaf


def leaf_records(content: bytes, most: int = SEGMENT) -> tuple[list[bytes], int]:
    """The whole leaves at the front of a segment, at most that many, and where they end."""
    found: list[bytes] = []
    at, end = 0, len(content)
    while at + 2 <= end and len(found) < most:
        stop = at + 2 + (content[at] << 8 | content[at + 1])
        if stop > end or stop == at + 2:
            break
        found.append(content[at + 2 : stop])
        at = stop
    return found, at


def leaf_starts(content: bytes, most: int = SEGMENT) -> list[int]:
    """Where each whole leaf begins, and at last where one more would: a leaf ends two octets before the next."""
    starts, at, end = [2], 0, len(content)
    while at + 2 <= end and len(starts) <= most:
        at += 2 + (content[at] << 8 | content[at + 1])
        if at > end or at == starts[-1]:
            break
        starts.append(at + 2)
    return starts


def detail_record(index: int, blob: bytes) -> bytes:
    """u64 index ‖ u16 length ‖ blob."""
    if not 0 < len(blob) <= MAX_RECORD:
        raise ValueError("sealed detail has 1 to 65535 bytes")
    return index.to_bytes(8, "big") + len(blob).to_bytes(2, "big") + blob


def detail_records(content: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Index, blob and end of every whole record; stops at the first that is torn or does not ascend."""
    at, before = 0, -1
    while at + 10 <= len(content):
        index = int.from_bytes(content[at : at + 8], "big")
        stop = at + 10 + int.from_bytes(content[at + 8 : at + 10], "big")
        if stop > len(content) or stop == at + 10 or index <= before:
            return
        yield index, content[at + 10 : stop], stop
        at, before = stop, index
