"""How late the event loop comes to what is due: everything that calls and pages ask of this process waits so long."""

import asyncio

from prometheus_client import CollectorRegistry, Gauge, Histogram

from telehealth.clock import Clock

EVERY = 0.02  # seconds
_WINDOW = 60.0  # seconds: the longest wait of this and the one before is shown
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)


class Pulse:
    """Two figures of Prometheus; `run` feeds them as long as the server lives."""

    def __init__(self, clock: Clock, registry: CollectorRegistry) -> None:
        self._clock = clock
        self._longest = self._longest_before = 0.0
        self._since = clock.steady()
        self._seconds = Histogram(
            "telehealth_loop_lag_seconds", "How late the event loop came", buckets=_BUCKETS, registry=registry
        )
        longest = Gauge("telehealth_loop_lag_longest_seconds", "The latest of one to two minutes", registry=registry)
        longest.set_function(self.longest)

    def longest(self) -> float:
        """Seconds; of the running minute and of the one before."""
        self._turn()
        return max(self._longest, self._longest_before)

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            due = self._clock.steady() + EVERY
            await asyncio.sleep(EVERY)
            self.came(self._clock.steady() - due)

    def came(self, late: float) -> None:
        """It came so many seconds after it was due."""
        self._turn()
        self._seconds.observe(max(0.0, late))
        self._longest = max(self._longest, late)

    def _turn(self) -> None:
        passed = self._clock.steady() - self._since
        if passed >= _WINDOW:
            self._longest_before = self._longest if passed < 2 * _WINDOW else 0.0
            self._longest, self._since = 0.0, self._since + passed // _WINDOW * _WINDOW
