"""The frames of one participant in the order in which they were stored: a few octets each. Pure."""

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from telehealth.frames import TrackKind

_LEFT_OUT = 0xFFFFFFFF
_BLOCK = 8192  # frames
_KINDS: tuple[TrackKind, TrackKind] = ("audio", "video")


class Shot(NamedTuple):
    """One frame that counts. `octets` of payload; `timestamp` in RTP units."""

    kind: TrackKind
    key: bool
    octets: int
    timestamp: int


class Reel:
    """12 octets a frame: an hour of sound and picture takes 3.5 MB, in blocks, so that growing never moves it."""

    def __init__(self) -> None:
        self._blocks: list[tuple[array[int], array[int]]] = []  # timestamps, facts
        self._legs: list[tuple[int, int]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def leg(self, number: int) -> None:
        """Frames from here on belong to this leg."""
        self._legs.append((len(self), number))

    def add(self, kind: TrackKind, key: bool, octets: int, timestamp: int) -> None:
        """One more frame."""
        self._append(timestamp, octets << 2 | key << 1 | (kind == "video"))

    def leave_out(self) -> None:
        """A frame is in the file that does not count."""
        self._append(0, _LEFT_OUT)

    def legs(self) -> Iterator[tuple[int, Iterator[Shot | None]]]:
        """The runs of one leg's frames, in order; None stands for a frame left out."""
        ends = [begin for begin, _ in self._legs[1:]] + [len(self)]
        for (begin, number), end in zip(self._legs, ends, strict=True):
            yield number, self._shots(begin, end)

    def _append(self, timestamp: int, fact: int) -> None:
        if self._count % _BLOCK == 0:
            self._blocks.append((array("q"), array("I")))
        timestamps, facts = self._blocks[-1]
        timestamps.append(timestamp)
        facts.append(fact)
        self._count += 1

    def _shots(self, begin: int, end: int) -> Iterator[Shot | None]:
        while begin < end:
            block, at = divmod(begin, _BLOCK)
            timestamps, facts = self._blocks[block]
            till = min(_BLOCK, at + end - begin)
            for fact, timestamp in zip(facts[at:till], timestamps[at:till], strict=True):
                yield None if fact == _LEFT_OUT else Shot(_KINDS[fact & 1], fact & 2 == 2, fact >> 2, timestamp)
            begin += till - at
