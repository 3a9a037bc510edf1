"""How workers are watched, placed and replaced."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    """How a worker is watched. Seconds and octets.

    `growth`: memory beyond what it had when it was ready, per worker and for each leg, after which it takes no new
    rooms and is replaced when it is empty; at twice as much it is replaced at once.
    """

    silence: float = 2.0
    frames_at_most: int = 8 * 1_048_576
    growth: int = 256 * 1_048_576
    growth_per_leg: int = 4 * 1_048_576
    first_pause: float = 0.1
    longest_pause: float = 10.0
    healthy_after: float = 30.0
    spare: bool = True  # one process more, started ahead
    patience: float = 3.0  # of who wants a leg while no worker is there


class BackOff:
    """How long to wait before a worker is started anew: twice as long each time, unless the last one lived well."""

    def __init__(self, tuning: Tuning) -> None:
        self._tuning = tuning
        self._next = tuning.first_pause

    def lived(self, seconds: float) -> None:
        """The last one lived that long."""
        if seconds >= self._tuning.healthy_after:
            self._next = self._tuning.first_pause

    def pause(self) -> float:
        """Seconds to wait now."""
        now, self._next = self._next, min(2 * self._next, self._tuning.longest_pause)
        return now
