"""Rows of `passkeys` and `resets`."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from telehealth.store.engine import Connection
from telehealth.store.people import Taken
from telehealth.store.tables import passkeys, resets


@dataclass(frozen=True, slots=True)
class PasskeyRow:
    id: str
    user_id: str
    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: list[str]
    backed_up: bool
    label: str
    created_at: datetime
    used_at: datetime | None
    suspended_at: datetime | None


@dataclass(frozen=True, slots=True)
class ResetRow:
    id: str
    user_id: str
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    decided_by: str | None
    decided_at: datetime | None


_PASSKEY = [passkeys.c[field.name] for field in fields(PasskeyRow)]
_RESET = [resets.c[field.name] for field in fields(ResetRow)]


async def insert(c: Connection, **values: Any) -> None:
    """Raises Taken when the credential is known already, whoever's it is."""
    try:
        await c.execute(passkeys.insert().values(**values))
    except IntegrityError as error:
        raise Taken from error


async def of(c: Connection, user: str) -> list[PasskeyRow]:
    """Oldest first, suspended ones too."""
    rows = await c.execute(
        select(*_PASSKEY).where(passkeys.c.user_id == user).order_by(passkeys.c.created_at, passkeys.c.id)
    )
    return [PasskeyRow(*row) for row in rows]


async def by_credential(c: Connection, credential: bytes) -> PasskeyRow | None:
    row = (await c.execute(select(*_PASSKEY).where(passkeys.c.credential_id == credential))).one_or_none()
    return None if row is None else PasskeyRow(*row)


async def use(c: Connection, row: PasskeyRow, sign_count: int, now: datetime, *, backed_up: bool) -> bool:
    """Remember a use; False if the passkey was used, suspended or removed since it was read."""
    done = await c.execute(
        update(passkeys)
        .where(passkeys.c.id == row.id, passkeys.c.sign_count == row.sign_count, passkeys.c.suspended_at.is_(None))
        .values(sign_count=sign_count, backed_up=backed_up, used_at=now)
    )
    return done.rowcount == 1


async def suspend(c: Connection, passkey: str, now: datetime) -> bool:
    """False if it was suspended before."""
    done = await c.execute(
        update(passkeys).where(passkeys.c.id == passkey, passkeys.c.suspended_at.is_(None)).values(suspended_at=now)
    )
    return done.rowcount == 1


async def remove(c: Connection, user: str, passkey: str) -> bool:
    """False if the user has no such passkey."""
    done = await c.execute(delete(passkeys).where(passkeys.c.id == passkey, passkeys.c.user_id == user))
    return done.rowcount == 1


async def remove_all(c: Connection, user: str) -> None:
    await c.execute(delete(passkeys).where(passkeys.c.user_id == user))


async def insert_reset(c: Connection, **values: Any) -> None:
    await c.execute(resets.insert().values(**values))


async def open_resets(c: Connection, now: datetime, *, user: str | None = None) -> list[ResetRow]:
    """Those that nobody decided and that are not over, oldest first."""
    statement = select(*_RESET).where(resets.c.decided_at.is_(None), resets.c.expires_at > now)
    if user is not None:
        statement = statement.where(resets.c.user_id == user)
    return [ResetRow(*row) for row in await c.execute(statement.order_by(resets.c.asked_at, resets.c.id))]


async def reset(c: Connection, request: str) -> ResetRow | None:
    row = (await c.execute(select(*_RESET).where(resets.c.id == request))).one_or_none()
    return None if row is None else ResetRow(*row)


async def decide(c: Connection, request: str, by: str, now: datetime) -> bool:
    """False if it is decided or over: two at once, one wins."""
    done = await c.execute(
        update(resets)
        .where(resets.c.id == request, resets.c.decided_at.is_(None), resets.c.expires_at > now)
        .values(decided_by=by, decided_at=now)
    )
    return done.rowcount == 1


async def drop_resets(c: Connection, user: str) -> None:
    """Take back whatever is still open for the user."""
    await c.execute(delete(resets).where(resets.c.user_id == user, resets.c.decided_at.is_(None)))
