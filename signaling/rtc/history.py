"""The packets of one source that may be asked for again, for a bounded number of packets and octets."""

from typing import NamedTuple

from signaling.rtc.state import HistoryState

MOST_PACKETS = 600
MOST_OCTETS = 600_000  # a leg is to weigh less than 1 MB


class Kept(NamedTuple):
    """One packet as it came: its extended number, marker bit (0x80 or 0), timestamp and payload."""

    number: int
    marker: int
    timestamp: int
    payload: bytes


class History(HistoryState):
    """The newest packets. Full means: the oldest go."""

    __slots__ = ()

    def __init__(self) -> None:
        self._kept = {}  # plain tuples of Kept's fields, which the collector need not walk
        self.octets = 0
        self._most_packets, self._most_octets = MOST_PACKETS, MOST_OCTETS

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, number: int, marker: int, timestamp: int, payload: bytes) -> None:
        """Remember a packet; one that is there already stays."""
        kept = self._kept
        if number in kept:
            return
        kept[number] = (number, marker, timestamp, payload)
        self.octets += len(payload)
        while len(kept) > MOST_PACKETS or self.octets > MOST_OCTETS:
            self.octets -= len(kept.pop(next(iter(kept)))[3])

    def find(self, number: int) -> Kept | None:
        """The packet of that number, if it is still here."""
        kept = self._kept.get(number)
        return None if kept is None else Kept(*kept)

    def clear(self) -> None:
        """Forget everything: what comes next does not go on from it."""
        self._kept.clear()
        self.octets = 0
