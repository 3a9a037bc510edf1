"""RTP timestamps without their wrap: one rising integer per track (RFC 3550 §5.1)."""

_HALF = 1 << 31
_BACKWARD = 1.0  # seconds that late packets may lie back
_LEAP = 35.0  # seconds that may be missing beyond what the steady clock saw
_STALL = 3.0  # seconds by which timestamps may fall behind: browsers stop the audio clock while nothing is sent


class Timeline:
    """Unwraps 32-bit timestamps that come in order; a clock that stood or starts anew goes on at the steady time."""

    def __init__(self, clock_rate: int) -> None:
        self._rate = clock_rate
        self._last: tuple[int, float] | None = None
        self._offset = 0

    def place(self, timestamp: int, arrived: float) -> int | None:
        """The unwrapped timestamp, never below an earlier answer; None if it lies a little back."""
        if self._last is None:
            self._last = timestamp, arrived
            return timestamp
        last, then = self._last
        place = self._nearest(timestamp)
        ahead, elapsed = (place - last) / self._rate, max(0.0, arrived - then)
        if -_BACKWARD <= ahead < 0:
            return None
        if ahead < 0 or not elapsed - _STALL <= ahead <= elapsed + _LEAP:
            renewed = last + max(1, round(elapsed * self._rate))
            self._offset += renewed - place
            place = renewed
        self._last = place, arrived
        return place

    def locate(self, timestamp: int) -> int | None:
        """Where a timestamp of a sender report lies; None before the first packet."""
        return None if self._last is None else self._nearest(timestamp)

    def _nearest(self, timestamp: int) -> int:
        reference = (self._last[0] if self._last else timestamp) - self._offset
        return reference + ((timestamp - reference + _HALF & 0xFFFFFFFF) - _HALF) + self._offset
