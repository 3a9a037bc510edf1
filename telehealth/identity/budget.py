"""Tries at a link's code: so many per budget, so many per visit and day, counted before they are looked at."""

from datetime import datetime

from telehealth.identity.ports import Fields
from telehealth.sections import Visits
from telehealth.store import attempts, links
from telehealth.store.engine import Connection

CODES_A_DAY = 20  # minted per visit and day


class Budget:
    """Counters live in the database: neither a new code, nor a new link, nor a restart resets the day."""

    def __init__(self, fields: Fields, limits: Visits) -> None:
        self._fields = fields
        self.per_link = limits.code_tries
        self._per_day = limits.day_tries

    async def take(self, c: Connection, link: links.LinkRow, now: datetime) -> int | None:
        """Count a try in advance; how many are left after it, None when there was none left."""
        used = await links.take_try(c, link.id, self.per_link)
        if used is None:
            return None
        if not await attempts.take(c, self._day(link.visit_id, now), self._per_day, now):
            await links.give_back_try(c, link.id)
            return None
        return await self._left(c, link.visit_id, used, now)

    async def give_back(self, c: Connection, link: links.LinkRow, now: datetime) -> None:
        """The try counted at `now` was no failure."""
        await links.give_back_try(c, link.id)
        await attempts.give_back(c, self._day(link.visit_id, now))

    async def left(self, c: Connection, link: links.LinkRow, now: datetime) -> int:
        """Tries left at present."""
        return await self._left(c, link.visit_id, link.tries, now)

    async def codes_left(self, c: Connection, visit: str, now: datetime) -> bool:
        """Whether a code may be minted for the visit today."""
        return await attempts.count(c, self._codes(visit, now)) < CODES_A_DAY

    async def count_code(self, c: Connection, visit: str, now: datetime) -> bool:
        """Count one more minted code; False when the day's are used up."""
        return await attempts.take(c, self._codes(visit, now), CODES_A_DAY, now)

    def _codes(self, visit: str, now: datetime) -> bytes:
        return self._fields.lookup("codes-day", f"{visit} {now.date()}")

    async def _left(self, c: Connection, visit: str, used: int, now: datetime) -> int:
        today = await attempts.count(c, self._day(visit, now))
        return max(0, min(self.per_link - used, self._per_day - today))

    def _day(self, visit: str, now: datetime) -> bytes:
        return self._fields.lookup("tries-day", f"{visit} {now.date()}")
