"""Resetting somebody's factors: one admin for others, two for an admin where there is a second one to ask."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from telehealth.access import Action as Asked
from telehealth.access import Caller, require
from telehealth.audit.actions import Action
from telehealth.audit.entry import Entry, Outcome
from telehealth.clock import Clock
from telehealth.errors import Forbidden, NotFound
from telehealth.identity.faults import ApproverTooNew, SecondAdminNeeded
from telehealth.identity.people import Invitation, People, another_admin
from telehealth.identity.ports import Audit
from telehealth.ids import Entropy, Kind, new_id
from telehealth.store import passkeys as rows
from telehealth.store import people
from telehealth.store.engine import Connection, Store

GOOD_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class ResetRequest:
    """Waits for a second admin; until then nothing of the person's changes."""

    id: str
    user: str
    asked_by: str
    asked_at: datetime
    expires_at: datetime


class Resets:
    """Nobody takes over an admin's account alone; whoever has the server's own command line has it all anyway."""

    def __init__(self, *, store: Store, audit: Audit, clock: Clock, entropy: Entropy, people: People) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._entropy = entropy
        self._people = people

    async def ask(self, caller: Caller, user: str) -> Invitation | ResetRequest:
        """The set-up link, or the request that waits for a second admin. Raises Forbidden, NotFound, LogUnavailable.

        Programs ask in vain: whoever stole a bearer token would hold the set-up link of another's account.
        """
        require(caller, Asked.USERS_MANAGE)
        if caller.kind == "token":
            raise Forbidden
        now = self._clock.now()
        async with self._store.read() as connection:
            row = await people.by_id(connection, user)
            alone = row is None or row.role != "admin" or not await another_admin(connection, {user, caller.id}, now)
            waiting = await rows.open_resets(connection, now, user=user)
        if row is None:
            raise NotFound
        if alone or caller.kind == "cli":
            return await self._people.reset(caller, user)
        mine = [one for one in waiting if one.asked_by == caller.id]
        return _told(mine[0]) if mine else await self._request(caller, user, now)

    async def _request(self, caller: Caller, user: str, now: datetime) -> ResetRequest:
        asked = ResetRequest(new_id(Kind.RESET, self._entropy), user, caller.id, now, now + GOOD_FOR)
        entry = Entry(Action.USER_RESET_ASK, Outcome.DONE, caller.actor(), subject=user, detail={"request": asked.id})
        async with self._audit.act(entry), self._store.begin() as connection:
            await rows.insert_reset(
                connection,
                id=asked.id,
                user_id=user,
                asked_by=caller.id,
                asked_at=now,
                expires_at=asked.expires_at,
            )
        return asked

    async def waiting(self, caller: Caller) -> Sequence[ResetRequest]:
        """Requests that nobody decided, oldest first. Raises Forbidden."""
        require(caller, Asked.USERS_MANAGE)
        async with self._store.read() as connection:
            return [_told(row) for row in await rows.open_resets(connection, self._clock.now())]

    async def approve(self, caller: Caller, request: str) -> Invitation:
        """By an admin in person, who neither asked nor is meant, and was one a day before the request.

        Raises Forbidden, NotFound, SecondAdminNeeded, LogUnavailable.
        """
        row = await self._open(caller, request)
        if caller.kind != "user" or caller.id in (row.asked_by, row.user_id):
            raise SecondAdminNeeded

        async def decide(connection: Connection) -> None:
            asker = await people.by_id(connection, row.asked_by)
            if asker is None or asker.disabled or asker.role != "admin":
                raise NotFound  # who asked may not ask any more
            approver = await people.by_id(connection, caller.id)
            since = None if approver is None else approver.admin_since or approver.created_at
            if since is None or since > row.asked_at - GOOD_FOR:
                raise ApproverTooNew  # made for this, perhaps by the one who asked
            if not await rows.decide(connection, request, caller.id, self._clock.now()):
                raise NotFound

        return await self._people.reset(caller, row.user_id, asked_by=row.asked_by, first=decide)

    async def refuse(self, caller: Caller, request: str) -> None:
        """By any admin, whoever asked or is meant included. Raises Forbidden, NotFound."""
        row = await self._open(caller, request)
        async with self._store.begin() as connection:
            if not await rows.decide(connection, request, caller.id, self._clock.now()):
                raise NotFound
        entry = Entry(
            Action.USER_RESET_REFUSE, Outcome.DONE, caller.actor(), subject=row.user_id, detail={"request": request}
        )
        await self._audit.enter_closing(entry)

    async def _open(self, caller: Caller, request: str) -> rows.ResetRow:
        require(caller, Asked.USERS_MANAGE)
        async with self._store.read() as connection:
            row = await rows.reset(connection, request)
        if row is None or row.decided_at is not None or row.expires_at <= self._clock.now():
            raise NotFound
        return row


def _told(row: rows.ResetRow) -> ResetRequest:
    return ResetRequest(row.id, row.user_id, row.asked_by, row.asked_at, row.expires_at)
