"""Packets back into the order they were sent in, for a bounded time and in bounded space."""

from typing import NamedTuple

_STALE_STREAK = 64  # packets in a row from before the window: the sender began anew


class Gap(NamedTuple):
    """So many packets never came in time."""

    packets: int


class Packet(NamedTuple):
    """What matters of an RTP packet here; `timestamp` in units of its clock, as it was sent."""

    sequence: int
    marker: bool
    timestamp: int
    payload: bytes


class Arrived(NamedTuple):
    """A packet whose turn it is, and when it came (steady seconds)."""

    packet: Packet
    at: float


class Reorder:
    """Holds a packet back until those before it came, `hold` seconds passed, or `capacity` packets wait.

    Full means: what is missing is given up and shown as a Gap.
    """

    def __init__(self, *, hold: float, capacity: int) -> None:
        self._hold = hold
        self._capacity = capacity
        self._waiting: dict[int, Arrived] = {}
        self._missing: dict[int, float] = {}  # since when
        self._next: int | None = None
        self._highest = 0
        self._lost = 0
        self._stale = 0

    def insert(self, packet: Packet, now: float, *, repeated: bool = False) -> int | None:
        """Take a packet; its extended sequence number, or None for a duplicate or one that came too late."""
        if self._next is None:
            if repeated:
                return None
            self._next, self._highest = packet.sequence, packet.sequence - 1
        number = self._extend(packet.sequence)
        if number < self._next or number in self._waiting:
            self._note_stale(number, repeated)
            return None
        self._stale = 0
        if number > self._highest:
            self._grow(number, now)
        else:
            self._missing.pop(number, None)
        self._waiting[number] = Arrived(packet, now)
        return number

    def passes(self, sequence: int) -> bool:
        """Whether this is just the next packet while nothing waits or is missing: then it counts as handed on."""
        if self._next is None or self._waiting or self._missing or sequence != self._next & 0xFFFF:
            return False
        self._highest = self._next
        self._next += 1
        self._stale = 0
        return True

    def ready(self, now: float) -> list[Arrived | Gap]:
        """What may go on now, in order."""
        found: list[Arrived | Gap] = []
        while self._next is not None:
            arrived = self._waiting.pop(self._next, None)
            if arrived is not None:
                self._report_loss(found)
                found.append(arrived)
            elif self._given_up(self._next, now):
                del self._missing[self._next]
                self._lost += 1
            else:
                break
            self._next += 1
        self._report_loss(found)
        return found

    def rest(self) -> list[Arrived | Gap]:
        """All that waits, in order, and what is missing before it: nothing more is waited for."""
        found: list[Arrived | Gap] = []
        for number in sorted(self._waiting):
            self._lost += number - (self._next if self._next is not None else number)
            self._next = number + 1
            self._report_loss(found)
            found.append(self._waiting[number])
        self._waiting.clear()
        self._missing.clear()
        return found

    def _extend(self, sequence: int) -> int:
        return self._highest + ((sequence - self._highest + 0x8000 & 0xFFFF) - 0x8000)

    def _grow(self, number: int, now: float) -> None:
        assumed = self._next if self._next is not None else number
        if number - assumed > self._capacity:
            self._lost += number - assumed
            self._waiting.clear()
            self._missing.clear()
            self._next = number
        else:
            for absent in range(self._highest + 1, number):
                self._missing[absent] = now
        self._highest = number

    def _given_up(self, number: int, now: float) -> bool:
        since = self._missing.get(number)
        return since is not None and now - since >= self._hold

    def _report_loss(self, found: list[Arrived | Gap]) -> None:
        if self._lost:
            found.append(Gap(self._lost))
            self._lost = 0

    def _note_stale(self, number: int, repeated: bool) -> None:
        if repeated or number in self._waiting:
            return
        self._stale += 1
        if self._stale >= _STALE_STREAK:
            self._lost += 1
            self._waiting.clear()
            self._missing.clear()
            self._next, self._stale = None, 0
