"""Tries at a link's code: so many per budget, so many per visit and day, counted before they are looked at.

Guests together have half of a visit's day, so that whatever they do at least half of it is left to the patient.
"""

from datetime import datetime

from telehealth.identity.ports import Fields
from telehealth.sections import Visits
from telehealth.store import attempts, links
from telehealth.store.engine import Connection

CODES_A_DAY = 20  # minted per visit and day
_TRIES, _CODES = "tries-day", "codes-day"


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
        if not await self._count(c, _TRIES, self._per_day, link, now):
            await links.give_back_try(c, link.id)
            return None
        return await self._left(c, link, used, now)

    async def give_back(self, c: Connection, link: links.LinkRow, now: datetime) -> None:
        """The try counted at `now` was no failure."""
        await links.give_back_try(c, link.id)
        for subject, _ in self._shares(_TRIES, self._per_day, link, now):
            await attempts.give_back(c, subject)

    async def left(self, c: Connection, link: links.LinkRow, now: datetime) -> int:
        """Tries left at present."""
        return await self._left(c, link, link.tries, now)

    async def codes_left(self, c: Connection, link: links.LinkRow, now: datetime) -> bool:
        """Whether a code of this link may be minted today."""
        return await self._free(c, _CODES, CODES_A_DAY, link, now) > 0

    async def count_code(self, c: Connection, link: links.LinkRow, now: datetime) -> bool:
        """Count one more minted code; False when the day's are used up."""
        return await self._count(c, _CODES, CODES_A_DAY, link, now)

    async def _left(self, c: Connection, link: links.LinkRow, used: int, now: datetime) -> int:
        return max(0, min(self.per_link - used, await self._free(c, _TRIES, self._per_day, link, now)))

    async def _count(self, c: Connection, what: str, most: int, link: links.LinkRow, now: datetime) -> bool:
        """Count one in every share, or in none."""
        taken: list[bytes] = []
        for subject, share in self._shares(what, most, link, now):
            if not await attempts.take(c, subject, share, now):
                for counted in taken:
                    await attempts.give_back(c, counted)
                return False
            taken.append(subject)
        return True

    async def _free(self, c: Connection, what: str, most: int, link: links.LinkRow, now: datetime) -> int:
        shares = self._shares(what, most, link, now)
        return min([share - await attempts.count(c, subject) for subject, share in shares])

    def _shares(self, what: str, most: int, link: links.LinkRow, now: datetime) -> list[tuple[bytes, int]]:
        """Whose counters this link's are: the guests' together, and the visit's, always in this order."""
        day = f"{link.visit_id} {now.date()}"
        shares = [(self._fields.lookup(what, day), most)]
        if link.guest_id is not None:
            shares.insert(0, (self._fields.lookup(f"{what}-guests", day), most // 2))
        return shares
