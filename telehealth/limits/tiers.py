"""Both together: this process counts always, Redis beside it when it is configured and there."""

from collections.abc import Callable, Sequence
from typing import Final

from telehealth.clock import Clock
from telehealth.limits.memory import ProcessBuckets
from telehealth.limits.ports import Buckets, BucketsAway, Charge
from telehealth.log import get_logger

log = get_logger(__name__)
AGAIN: Final = 1.0  # seconds until one request tries a Redis that was away


class TieredBuckets:
    """A token is needed of both, this process's first: a Redis that is away, emptied or lying opens nothing wider.

    While Redis is away each process serves from its own buckets, so that n nodes let through at most n times the rate.
    One request a second tries it again and waits for it as long as `patience` says; the others do not.
    """

    def __init__(self, own: ProcessBuckets, shared: Buckets | None, clock: Clock, alarm: Callable[[str], None]) -> None:
        self._own = own
        self._shared = shared
        self._clock = clock
        self._alarm = alarm
        self._away_until: float | None = None

    @property
    def together(self) -> bool:
        """Whether the limits are kept as configured."""
        return self._away_until is None

    async def take(self, charges: Sequence[Charge]) -> float:
        """0 when all were charged; else the seconds until they can be. Never raises BucketsAway."""
        wait = self._own.take_now(charges)
        if wait > 0 or self._shared is None or not self._turn():
            return wait
        try:
            wait = await self._shared.take(charges)
        except BucketsAway as error:
            self._lost(error)
            return 0.0
        if self._away_until is not None:
            self._away_until = None
            log.info("limits.redis_back")
        return wait

    def _turn(self) -> bool:
        """Whether to ask Redis; while it is away, one request a second is told yes."""
        now = self._clock.steady()
        if self._away_until is None:
            return True
        if now < self._away_until:
            return False
        self._away_until = now + AGAIN
        return True

    def _lost(self, error: BucketsAway) -> None:
        if self._away_until is None:
            log.warning("limits.redis_away", exception_type=type(error.__cause__).__name__)
            self._alarm("limits_redis_away")
        self._away_until = self._clock.steady() + AGAIN
