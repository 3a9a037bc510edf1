"""Buckets of this process: as many as fit, the one asked for longest ago goes first."""

from collections import OrderedDict
from collections.abc import Sequence

from telehealth.clock import Clock
from telehealth.limits.bucket import TokenBucket
from telehealth.limits.ports import Charge

MOST = 65_536  # buckets, some 15 MB; one that is forgotten begins full again


class ProcessBuckets:
    """O(1) for each charge; never waits."""

    def __init__(self, clock: Clock, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._buckets: OrderedDict[tuple[str, str], TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    async def take(self, charges: Sequence[Charge]) -> float:
        """0 when all were charged; else the seconds until they can be, and nothing was."""
        return self.take_now(charges)

    def take_now(self, charges: Sequence[Charge]) -> float:
        """As `take`."""
        now = self._clock.steady()
        buckets = [self._bucket(charge, now) for charge in charges]
        wait = max((bucket.wait(now) for bucket in buckets), default=0.0)
        if wait <= 0:
            for bucket in buckets:
                bucket.take(now)
        return wait

    def _bucket(self, charge: Charge, now: float) -> TokenBucket:
        key = (charge.name, charge.subject)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(charge.rate, now)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket
