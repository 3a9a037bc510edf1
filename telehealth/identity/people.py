"""Users of the clinic: added, changed, reset, named."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from telehealth.access import Action as Asked
from telehealth.access import Caller, require
from telehealth.audit.actions import Action
from telehealth.audit.entry import Code, Entry, Outcome
from telehealth.clock import Clock
from telehealth.errors import Forbidden, Malformed, NotFound, Refusal
from telehealth.events import Bus, SessionEnded
from telehealth.identity.faults import LastAdmin, LoginTaken, SecondAdminNeeded
from telehealth.identity.names import readable_login, readable_name
from telehealth.identity.ports import Audit, Fields
from telehealth.identity.secrets import new_token, token_hash
from telehealth.ids import Entropy, Kind, new_id
from telehealth.secret import Secret
from telehealth.store import passkeys, sso
from telehealth.store import people as rows
from telehealth.store import sessions as session_rows
from telehealth.store.engine import Connection, Store

Decision = Callable[[Connection], Awaitable[None]]

ROLES = frozenset({"admin", "clinician", "auditor", "front_desk"})
HOLD_VISITS = frozenset({"clinician", "admin"})
FIRST_ADMIN_FOR = timedelta(hours=24)
ENROL_FOR = timedelta(days=7)
RESET_FOR = timedelta(hours=24)
SHUT_OUT_COUNTS = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Invitation:
    """A set-up link in the making; the token is shown once."""

    user: str | None  # None: whoever opens it becomes the first admin
    purpose: str
    token: Secret[str]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    id: str
    login: str
    name: str
    role: str
    disabled: bool
    enrolled: bool
    created_at: datetime


class People:
    """Every change of who may what is entered before it holds, and ends the sessions it concerns."""

    def __init__(self, *, store: Store, fields: Fields, audit: Audit, clock: Clock, bus: Bus, entropy: Entropy) -> None:
        self._store = store
        self._fields = fields
        self._audit = audit
        self._clock = clock
        self._bus = bus
        self._entropy = entropy

    async def add(self, caller: Caller, login: str, name: str, role: str) -> Invitation:
        """Raises Forbidden, Malformed, LoginTaken."""
        require(caller, Asked.USERS_MANAGE)
        if role not in ROLES:
            raise Malformed("role")
        _refuse_programs(caller, role)
        name, login = readable_name(name), readable_login(login)
        user = new_id(Kind.USER, self._entropy)
        entry = Entry(Action.USER_CREATE, Outcome.DONE, caller.actor(), subject=user, detail={"role": role})
        async with self._audit.act(entry), self._store.begin() as connection:
            try:
                await rows.insert_user(
                    connection,
                    id=user,
                    role=role,
                    login_lookup=self._fields.lookup("login", login),
                    login_sealed=self._fields.seal(login, table="users", column="login_sealed", row=user),
                    name_sealed=self._fields.seal(name, table="users", column="name_sealed", row=user),
                    recovery_hashes=[],
                    created_at=self._clock.now(),
                )
            except rows.Taken:
                raise LoginTaken from None
            return await self._invite(connection, user, "enrol", ENROL_FOR)

    async def list(self, caller: Caller) -> Sequence[User]:
        """In the order they were added. Raises Forbidden."""
        require(caller, Asked.USERS_MANAGE)
        async with self._store.read() as connection:
            return [self._told(row) for row in await rows.everybody(connection)]

    async def clinicians(self, caller: Caller) -> Sequence[User]:
        """Those for whom visits can be booked. Raises Forbidden."""
        require(caller, Asked.VISITS_CREATE)
        async with self._store.read() as connection:
            found = await rows.everybody(connection)
        return [self._told(row) for row in found if row.role in HOLD_VISITS and not row.disabled]

    async def find(self, caller: Caller, login: str) -> User:
        """By sign-in name, for the command line. Raises Forbidden, NotFound."""
        require(caller, Asked.USERS_MANAGE)
        async with self._store.read() as connection:
            row = await rows.by_login(connection, self._fields.lookup("login", login))
        if row is None:
            raise NotFound
        return self._told(row)

    async def change(self, caller: Caller, user: str, *, role: str | None = None, disabled: bool | None = None) -> User:
        """Ends the user's sessions when anything changes; an admin's role goes not by one person alone.

        Raises Forbidden, NotFound, Malformed, LastAdmin, SecondAdminNeeded.
        """
        require(caller, Asked.USERS_MANAGE)
        if role is not None and role not in ROLES:
            raise Malformed("role")
        _refuse_programs(caller, role)
        row = await self._row(user)
        values: dict[str, Any] = {}
        if role is not None and role != row.role:
            values["role"] = role
        if disabled is not None and disabled != row.disabled:
            values["disabled"] = disabled
        if not values:
            return self._told(row)
        async with self._entered(self._changing(caller, row, values)), self._store.begin() as connection:
            if "role" in values and row.role == "admin":
                await self._not_alone(connection, caller, user)
            await rows.change(connection, user, **values)
            await rows.note_standing(connection, row, self._clock.now())
            if not await rows.admins(connection, active=True) and row.role == "admin":
                raise LastAdmin
            await session_rows.end_sessions_of(connection, user, self._clock.now())
            if disabled:
                await session_rows.revoke_tokens_of(connection, user, self._clock.now())
        await self._bus.publish(SessionEnded(user))
        return self._told(await self._row(user))

    async def _not_alone(self, connection: Connection, caller: Caller, admin: str) -> None:
        """Raises SecondAdminNeeded: without the role one person could reset the account, and give the role back."""
        if (
            caller.kind != "cli"
            and caller.id != admin
            and await another_admin(connection, {admin, caller.id}, self._clock.now())
        ):
            raise SecondAdminNeeded

    @asynccontextmanager
    async def _entered(self, entry: Entry) -> AsyncIterator[None]:
        """What opens waits for its entry; shutting somebody out happens at once, and is entered when the log can."""
        if entry.action.opens:
            async with self._audit.act(entry):
                yield
            return
        try:
            yield
        except Refusal as refusal:
            detail = {**entry.detail, "code": refusal.code}
            await self._audit.enter_closing(replace(entry, outcome=Outcome.REFUSED, detail=detail))
            raise
        await self._audit.enter_closing(entry)

    async def reset(
        self, caller: Caller, user: str, *, asked_by: str | None = None, first: Decision | None = None
    ) -> Invitation:
        """Old password, authenticator, passkeys, recovery codes, bearer tokens, the tie to single sign-on are void.

        All sessions end.

        `Resets` says whether one person may. `asked_by`: another admin, whose request the caller approves; `first`
        decides it, in the same transaction and after the entry. Raises as `change`, and what `first` raises.
        """
        require(caller, Asked.USERS_MANAGE)
        row = await self._row(user)
        detail: dict[str, Code] = {"role": row.role, **({"asked_by": asked_by} if asked_by else {})}
        entry = Entry(Action.USER_RESET, Outcome.DONE, caller.actor(), subject=user, detail=detail)
        async with self._audit.act(entry), self._store.begin() as connection:
            if first is not None:
                await first(connection)
            void: dict[str, Any] = {
                "password_hash": None,
                "totp_sealed": None,
                "totp_last_step": None,
                "recovery_hashes": [],
            }
            await rows.change(connection, user, **void)
            await rows.note_standing(connection, row, self._clock.now())
            await passkeys.remove_all(connection, user)
            await passkeys.drop_resets(connection, user)
            await sso.remove(connection, user)
            await session_rows.end_sessions_of(connection, user, self._clock.now())
            await session_rows.revoke_tokens_of(connection, user, self._clock.now())
            await rows.drop_invitations(connection, user)
            invitation = await self._invite(connection, user, "reset", RESET_FOR)
        await self._bus.publish(SessionEnded(user))
        return invitation

    async def name_of(self, ids: Iterable[str]) -> dict[str, str]:
        """Names by id; unknown ids are left out."""
        async with self._store.read() as connection:
            sealed = await rows.names(connection, sorted(set(ids)))
        return {
            user: self._fields.open(blob, table="users", column="name_sealed", row=user)
            for user, blob in sealed.items()
        }

    async def first_admin_invitation(self) -> Invitation | None:
        """A set-up link for the first admin, voiding the one before; None once there is an admin."""
        async with self._store.begin() as connection:
            if await rows.admins(connection):
                return None
            await rows.drop_invitations(connection, None)
            return await self._invite(connection, None, "first_admin", FIRST_ADMIN_FOR)

    async def _invite(self, connection: Connection, user: str | None, purpose: str, live: timedelta) -> Invitation:
        now, token = self._clock.now(), new_token(self._entropy)
        await rows.insert_invitation(
            connection,
            token_hash=token_hash(token.reveal()),
            user_id=user,
            purpose=purpose,
            created_at=now,
            expires_at=now + live,
        )
        return Invitation(user, purpose, token, now + live)

    async def _row(self, user: str) -> rows.UserRow:
        async with self._store.read() as connection:
            row = await rows.by_id(connection, user)
        if row is None:
            raise NotFound
        return row

    def _changing(self, caller: Caller, row: rows.UserRow, values: dict[str, Any]) -> Entry:
        """One entry for the gravest part of the change, the rest in its detail."""
        if "role" in values:
            action = Action.USER_ROLE
        else:
            action = Action.USER_DISABLE if values["disabled"] else Action.USER_ENABLE
        detail = {"role": values.get("role", row.role), "disabled": values.get("disabled", row.disabled)}
        return Entry(action, Outcome.DONE, caller.actor(), subject=row.id, detail=detail)

    def _told(self, row: rows.UserRow) -> User:
        return User(
            row.id,
            self._fields.open(row.login_sealed, table="users", column="login_sealed", row=row.id),
            self._fields.open(row.name_sealed, table="users", column="name_sealed", row=row.id),
            row.role,
            row.disabled,
            row.password_hash is not None,
            row.created_at,
        )


async def another_admin(connection: Connection, but: set[str], now: datetime) -> bool:
    """Whether there is another admin who can sign in, or could until a day ago.

    Shutting an admin out takes one person, at once; so whoever is shut out counts for a day more, or one admin could
    be rid of a second and then act against the third alone.
    """
    return any(
        row.able_admin or (row.admin_until is not None and row.admin_until > now - SHUT_OUT_COUNTS)
        for row in await rows.everybody(connection)
        if row.id not in but
    )


def _refuse_programs(caller: Caller, role: str | None) -> None:
    """A stolen bearer token makes nobody an admin. Raises Forbidden."""
    if caller.kind == "token" and role == "admin":
        raise Forbidden
