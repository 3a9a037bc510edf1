"""The hashes of full segments: kept in a file for speed, made anew from the leaves when it is doubted. Blocks."""

from telehealth.audit.files import Files
from telehealth.audit.layout import SEGMENT, Layout, leaf_records
from telehealth.audit.tree import CompactRange, leaf_hash


class Subtrees:
    """The file is a convenience, never the truth. Raises OSError."""

    def __init__(self, layout: Layout, files: Files) -> None:
        self._layout = layout
        self._files = files

    def kept(self, count: int) -> list[bytes]:
        """The first `count` hashes as they were kept, as far as there are any."""
        try:
            kept = self._files.read(self._layout.subtrees, 0, 32 * count)
        except FileNotFoundError:
            return []
        return [kept[at : at + 32] for at in range(0, len(kept) - 31, 32)]

    def made(self, count: int) -> list[bytes]:
        """The first `count` hashes worked out from all leaves, and kept."""
        made: list[bytes] = []
        for segment in range(count):
            part = CompactRange()
            for leaf in self.leaves(segment, SEGMENT)[0]:
                part.append(leaf_hash(leaf))
            if part.size != SEGMENT:
                break
            made.append(part.root())
        if made:
            self._files.write_at(self._layout.subtrees, 0, b"".join(made))
            self._files.sync(self._layout.subtrees)
        return made

    def leaves(self, segment: int, count: int) -> tuple[list[bytes], int]:
        """At most `count` leaves of a segment, and where they end."""
        if not count:
            return [], 0
        try:
            return leaf_records(self._files.read(self._layout.leaves_of(segment)), count)
        except FileNotFoundError:
            return [], 0
