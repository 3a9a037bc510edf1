"""Token buckets: how much of something one party may ask of us."""

from signaling.rtc.state import BudgetState


class Budget(BudgetState):
    """`rate` acts a second on average and `burst` at once; what exceeds it is not done."""

    __slots__ = ()

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Whether one more may be done at steady second `now`."""
        level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        if level < 1.0:
            self._level = level
            return False
        self._level = level - 1.0
        return True
