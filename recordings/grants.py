"""How servers that share a database let go of what one of them destroys: looks that count for a moment, and a wait.

Whoever gives out octets has looked, within LOOK_SECONDS of its own clock, whether it still may. Whoever destroys says
so in the database first and then waits longer than that: no octet goes out after the keys are gone, whatever the
other server misses. No clocks are compared.
"""

import math
from collections.abc import Awaitable, Callable

from telehealth.clock import Clock

LOOK_SECONDS = 1.0
PATIENCE = 1.5  # seconds from saying so to destroying, where another server may be reading


class Lately:
    """`look`: asks the database whether something still stands."""

    def __init__(self, look: Callable[[], Awaitable[bool]], clock: Clock) -> None:
        self._look = look
        self._clock = clock
        self._until = -math.inf

    async def stands(self) -> bool:
        """What the database said at most LOOK_SECONDS ago."""
        now = self._clock.steady()  # before it is asked: its answer is no older
        if now >= self._until:
            if not await self._look():
                return False
            self._until = now + LOOK_SECONDS
        return True
