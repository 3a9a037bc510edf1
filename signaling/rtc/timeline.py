"""RTP timestamps without their wrap: one rising integer per track (RFC 3550 §5.1)."""

_HALF = 1 << 31
_BACKWARD = 1.0  # seconds that late packets may lie back
_LEAP = 35.0  # seconds that may be missing beyond what the steady clock saw
_NTP_SECOND = 1 << 32
_JUMP = 2.0  # seconds: beyond this the sender's clock was set
_DRIFT = 0.02  # of what a report is late, so that a slowly drifting clock is followed
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


class SenderClock:
    """What a browser's clock shows at our steady time, by its sender reports; all its streams share it."""

    __slots__ = ("_behind",)

    def __init__(self) -> None:
        self._behind: float | None = None

    def heard(self, ntp: int, now: float) -> None:
        """A report of 64-bit `ntp` came. The quickest counts, so that jitter does not part sound from lips."""
        behind = now - ntp / _NTP_SECOND
        if self._behind is None or not -_JUMP < behind - self._behind < _JUMP:
            self._behind = behind
        else:
            self._behind = min(behind, self._behind + (behind - self._behind) * _DRIFT)

    def since(self, ntp: int, now: float) -> float | None:
        """Seconds from the moment `ntp` of that clock to the present one; None before any report."""
        return None if self._behind is None else now - self._behind - ntp / _NTP_SECOND
