"""Who counts as the second of two people: an admin who was one long enough not to be made for it."""

from datetime import datetime, timedelta

from telehealth.access import Caller
from telehealth.clock import Clock
from telehealth.store import people as rows
from telehealth.store.engine import Store

LONG_ENOUGH = timedelta(hours=24)
_MAY_ASK = ("admin", "clinician")


class AdminQuorum:
    """Nobody becomes the only admin, or makes a second one, to act alone: both count a day late.

    The server's own command line is one more person, and always the same.
    """

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def needs_second(self) -> bool:
        """Whether two people are admins who can sign in, or were within the last day."""
        since = self._clock.now() - LONG_ENOUGH
        async with self._store.read() as connection:
            people = await rows.everybody(connection)
        return sum(row.able_admin or (row.admin_until is not None and row.admin_until > since) for row in people) >= 2

    async def is_second(self, caller: Caller, asked_by: str, asked_at: datetime) -> bool:
        """Whether this admin is not who asked and was one a day before that; and who asked still may ask."""
        if caller.id == asked_by:
            return False
        async with self._store.read() as connection:
            asker = await rows.by_id(connection, asked_by)
            approver = await rows.by_id(connection, caller.id)
        if asked_by != "cli" and (asker is None or asker.disabled or asker.role not in _MAY_ASK):
            return False
        if caller.kind == "cli":
            return True
        if approver is None or not approver.able_admin:
            return False
        long_since = (approver.admin_since or approver.created_at) <= asked_at - LONG_ENOUGH
        return long_since or not await self.needs_second()
