"""A token bucket: so many a second, with a reserve for bursts. Pure arithmetic on steady seconds."""

from dataclasses import dataclass

_WHOLE = 1 - 1e-9  # what adds up to one token, whatever floating point made of it


@dataclass(frozen=True, slots=True)
class Rate:
    """`a_second` tokens come back each second, at most `at_once` are saved up."""

    a_second: float
    at_once: float

    def times(self, rate: float, reserve: float) -> "Rate":
        return Rate(self.a_second * rate, self.at_once * reserve)


class TokenBucket:
    """One bucket, full at first."""

    __slots__ = ("_rate", "_since", "_tokens")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = rate.at_once
        self._since = now

    def take(self, now: float) -> bool:
        """One token, if there is one."""
        if self.wait(now) > 0:
            return False
        self._tokens -= 1
        return True

    def wait(self, now: float) -> float:
        """Seconds until there is a token; 0 when there is one."""
        passed = max(0.0, now - self._since)
        self._tokens = min(self._rate.at_once, self._tokens + passed * self._rate.a_second)
        self._since = max(self._since, now)
        return 0.0 if self._tokens >= _WHOLE else (1 - self._tokens) / self._rate.a_second
