"""How much a sender may send: an estimate of its uplink from loss and from the delay that queues on the way add."""

from dataclasses import dataclass

FLOOR = 150_000  # bit/s
CEILING = 2_500_000
START = 1_000_000
_MUCH_LOSS, _LITTLE_LOSS = 0.10, 0.02
_QUEUE_LONG, _QUEUE_SHORT = 0.12, 0.06  # seconds that packets wait on the way
_BACK_OFF = 0.8  # of what arrives, so that the queue empties
_WINDOW = 15.0  # seconds: the least delay of the last one to two of these counts as no queue
_WRAP = 64.0  # seconds after which abs-send-time starts anew


class QueueDelay:
    """Seconds that packets wait on the way beyond the least seen lately, from abs-send-time (6.18 fixed point)."""

    __slots__ = ("_before", "_least", "_since", "_start", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self._start: float | None = None
        self._since = 0.0
        self._least = self._before = 0.0

    def heard(self, sent: int, now: float) -> None:
        """A packet sent at `sent` by its sender's clock came at steady second `now`."""
        transit = now - sent / 262_144
        if self._start is None:
            self._start, self._since = transit, now
        delay = (transit - self._start + _WRAP / 2) % _WRAP - _WRAP / 2
        if now - self._since > _WINDOW:
            self._before, self._least, self._since = self._least, delay, now
        self._least = min(self._least, delay)
        self.seconds += (delay - min(self._least, self._before) - self.seconds) / 8

    def forget(self) -> None:
        """The path or the sender's clock is another one."""
        self._start = None
        self.seconds = self._least = self._before = 0.0


@dataclass(slots=True)
class UplinkEstimate:
    """Rises by 8 % a second while little is lost and nothing queues, falls by half the loss or to what arrives.

    `limit` is what our own side allows, `heard` the least that those who receive the streams can take.
    """

    bits_per_second: int = START
    limit: int = CEILING
    heard: int = CEILING

    def update(self, fraction_lost: float, received: float, queue: float = 0.0) -> int:
        """One second's loss (0–1), received bit/s and seconds of queue; answers the bit/s to announce."""
        if fraction_lost > _MUCH_LOSS:
            self.bits_per_second = round(self.bits_per_second * (1 - fraction_lost / 2))
        elif queue > _QUEUE_LONG:
            self.bits_per_second = round(min(self.bits_per_second, received * _BACK_OFF))
        elif fraction_lost < _LITTLE_LOSS and queue < _QUEUE_SHORT and received > self.bits_per_second / 3:
            self.bits_per_second = round(self.bits_per_second * 1.08) + 1_000
        self.bits_per_second = max(FLOOR, min(CEILING, self.bits_per_second))
        return self.announced

    @property
    def announced(self) -> int:
        return max(FLOOR, min(self.bits_per_second, self.limit, self.heard))
