"""How much a sender may send: an estimate of its uplink from loss alone."""

from dataclasses import dataclass

FLOOR = 150_000  # bit/s
CEILING = 2_500_000
START = 1_000_000
_MUCH_LOSS, _LITTLE_LOSS = 0.10, 0.02


@dataclass(slots=True)
class UplinkEstimate:
    """Rises by 8 % a second while little is lost, falls by half the loss when much is.

    `limit` is what others allow, for instance the least REMB of those who receive the forwarded stream.
    """

    bits_per_second: int = START
    limit: int = CEILING

    def update(self, fraction_lost: float, received: float) -> int:
        """One second's loss (0–1) and received bit/s; answers the bit/s to announce."""
        if fraction_lost > _MUCH_LOSS:
            self.bits_per_second = round(self.bits_per_second * (1 - fraction_lost / 2))
        elif fraction_lost < _LITTLE_LOSS and received > self.bits_per_second / 3:
            self.bits_per_second = round(self.bits_per_second * 1.08) + 1_000
        self.bits_per_second = max(FLOOR, min(CEILING, self.bits_per_second))
        return self.announced

    @property
    def announced(self) -> int:
        return max(FLOOR, min(self.bits_per_second, self.limit))
