"""Rows of `users` and `invitations`."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from telehealth.store.engine import Connection
from telehealth.store.locks import hold
from telehealth.store.tables import invitations, users


@dataclass(frozen=True, slots=True)
class UserRow:
    id: str
    role: str
    login_lookup: bytes
    login_sealed: bytes
    name_sealed: bytes
    password_hash: str | None
    totp_sealed: bytes | None
    totp_last_step: int | None
    recovery_hashes: list[str]
    disabled: bool
    created_at: datetime
    admin_since: datetime | None = None
    admin_until: datetime | None = None

    @property
    def able_admin(self) -> bool:
        """An admin who can sign in."""
        return self.role == "admin" and not self.disabled and self.password_hash is not None


@dataclass(frozen=True, slots=True)
class InvitationRow:
    token_hash: bytes
    user_id: str | None
    purpose: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


_USER = [users.c[field.name] for field in fields(UserRow)]
_INVITATION = [invitations.c[field.name] for field in fields(InvitationRow)]


class Taken(Exception):
    """Another row has this sign-in name."""


async def by_id(c: Connection, user: str) -> UserRow | None:
    return _user((await c.execute(select(*_USER).where(users.c.id == user))).one_or_none())


async def held(c: Connection, user: str) -> UserRow | None:
    """As `by_id`; until the transaction ends nobody else changes the row."""
    return _user((await c.execute(select(*_USER).where(users.c.id == user).with_for_update())).one_or_none())


async def by_login(c: Connection, lookup: bytes) -> UserRow | None:
    return _user((await c.execute(select(*_USER).where(users.c.login_lookup == lookup))).one_or_none())


async def everybody(c: Connection) -> list[UserRow]:
    """In the order they were added."""
    rows = await c.execute(select(*_USER).order_by(users.c.created_at, users.c.id))
    return [UserRow(*row) for row in rows]


async def names(c: Connection, ids: list[str]) -> dict[str, bytes]:
    """Sealed names by id."""
    rows = await c.execute(select(users.c.id, users.c.name_sealed).where(users.c.id.in_(ids)))
    return {row.id: row.name_sealed for row in rows}


async def insert_user(c: Connection, **values: Any) -> None:
    """Raises Taken."""
    try:
        await c.execute(users.insert().values(**values))
    except IntegrityError as error:
        raise Taken from error


async def change(c: Connection, user: str, **values: Any) -> None:
    await c.execute(update(users).where(users.c.id == user).values(**values))


async def note_standing(c: Connection, before: UserRow, now: datetime) -> None:
    """After a change of role, state or credentials: since when this is an admin who can sign in, or until when."""
    after = await by_id(c, before.id)
    if after is None or after.able_admin == before.able_admin:
        return
    values: dict[str, Any] = {"admin_since": now} if after.able_admin else {"admin_since": None, "admin_until": now}
    await change(c, before.id, **values)


async def admins(c: Connection, *, but: str | None = None, active: bool = False) -> int:
    """How many admins there are; `active`: enrolled and not disabled. Nobody else counts before this one commits."""
    await hold(c, "admins")
    statement = select(func.count()).select_from(users).where(users.c.role == "admin")
    if but is not None:
        statement = statement.where(users.c.id != but)
    if active:
        statement = statement.where(users.c.disabled.is_(False), users.c.password_hash.is_not(None))
    found: int | None = await c.scalar(statement)
    return found or 0


async def use_step(c: Connection, user: str, step: int) -> bool:
    """Claim a TOTP step; False if it or a later one was used: two at once, one wins."""
    done = await c.execute(
        update(users)
        .where(users.c.id == user, or_(users.c.totp_last_step.is_(None), users.c.totp_last_step < step))
        .values(totp_last_step=step)
    )
    return done.rowcount == 1


async def use_recovery(c: Connection, user: str, hashed: str) -> bool:
    """Strike a recovery code off the list; False if it is not on it."""
    left = await c.scalar(select(users.c.recovery_hashes).where(users.c.id == user).with_for_update())
    if not left or hashed not in left:
        return False
    await change(c, user, recovery_hashes=[other for other in left if other != hashed])
    return True


async def insert_invitation(c: Connection, **values: Any) -> None:
    await c.execute(invitations.insert().values(**values))


async def invitation(c: Connection, token_hash: bytes) -> InvitationRow | None:
    row = (await c.execute(select(*_INVITATION).where(invitations.c.token_hash == token_hash))).one_or_none()
    return None if row is None else InvitationRow(*row)


async def use_invitation(c: Connection, token_hash: bytes, now: datetime) -> bool:
    """Claim it; False if it is used or over: two at once, one wins."""
    done = await c.execute(
        update(invitations)
        .where(
            invitations.c.token_hash == token_hash,
            invitations.c.used_at.is_(None),
            invitations.c.expires_at > now,
        )
        .values(used_at=now)
    )
    return done.rowcount == 1


async def drop_invitations(c: Connection, user: str | None) -> None:
    """Void what was handed out before and not used; None: those for the first admin."""
    mine = invitations.c.user_id.is_(None) if user is None else invitations.c.user_id == user
    await c.execute(delete(invitations).where(mine, invitations.c.used_at.is_(None)))


def _user(row: Any) -> UserRow | None:
    return None if row is None else UserRow(*row)
