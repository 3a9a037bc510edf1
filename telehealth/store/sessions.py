"""Rows of `sessions` and `api_tokens`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, update

from telehealth.store.engine import Connection
from telehealth.store.tables import api_tokens, sessions, users

KEYS_REMEMBERED = 200  # of a person's latest sessions on known devices


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session with what is needed of its user."""

    id: str
    user_id: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    mfa_at: datetime
    factor: str
    passkey_id: str | None
    device_sealed: bytes | None
    known: bool
    role: str
    disabled: bool
    name_sealed: bytes


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A bearer token with what is needed of its user."""

    id: str
    user_id: str
    label: str
    scopes: list[str]
    networks: list[str]
    successor: str | None
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None
    role: str
    disabled: bool


_SESSION = (
    select(
        *(sessions.c[n] for n in ("id", "user_id", "created_at", "seen_at", "expires_at", "ended_at")),
        *(sessions.c[n] for n in ("mfa_at", "factor", "passkey_id", "device_sealed", "known")),
        *(users.c[n] for n in ("role", "disabled", "name_sealed")),
    )
    .select_from(sessions.join(users))
)  # fmt: skip
_TOKEN = (
    select(
        *(
            api_tokens.c[n]
            for n in ("id", "user_id", "label", "scopes", "networks", "successor")
        ),
        *(api_tokens.c[n] for n in ("created_at", "expires_at", "used_at", "revoked_at")),
        *(users.c[n] for n in ("role", "disabled")),
    )
    .select_from(api_tokens.join(users))
)  # fmt: skip


async def insert_session(c: Connection, **values: Any) -> None:
    await c.execute(sessions.insert().values(**values))


async def session(c: Connection, token_hash: bytes) -> SessionRow | None:
    row = (await c.execute(_SESSION.where(sessions.c.token_hash == token_hash))).one_or_none()
    return None if row is None else SessionRow(*row)


async def sessions_of(c: Connection, user: str) -> list[SessionRow]:
    """Those not ended, oldest first."""
    rows = await c.execute(
        _SESSION.where(sessions.c.user_id == user, sessions.c.ended_at.is_(None)).order_by(sessions.c.created_at)
    )
    return [SessionRow(*row) for row in rows]


async def touch(c: Connection, now: datetime, idle_since: datetime, *, user: str, session: str | None) -> int:
    """Mark as active whatever is still live; how many."""
    statement = update(sessions).where(
        sessions.c.user_id == user,
        sessions.c.ended_at.is_(None),
        sessions.c.expires_at > now,
        sessions.c.seen_at > idle_since,
    )
    if session is not None:
        statement = statement.where(sessions.c.id == session)
    return (await c.execute(statement.values(seen_at=now))).rowcount


async def end_session(c: Connection, session: str, now: datetime) -> bool:
    """False if it had ended before."""
    done = await c.execute(
        update(sessions).where(sessions.c.id == session, sessions.c.ended_at.is_(None)).values(ended_at=now)
    )
    return done.rowcount == 1


async def renewed(c: Connection, session: str, token_hash: bytes, **values: Any) -> bool:
    """Exchange the token of a session that still runs."""
    done = await c.execute(
        update(sessions)
        .where(sessions.c.id == session, sessions.c.ended_at.is_(None))
        .values(token_hash=token_hash, **values)
    )
    return done.rowcount == 1


async def key_of(c: Connection, session: str) -> dict[str, str] | None:
    """The public key the session was begun with."""
    found: dict[str, str] | None = await c.scalar(select(sessions.c.public_key).where(sessions.c.id == session))
    return found


async def knows_key(c: Connection, user: str, key: dict[str, str]) -> bool:
    """Whether a browser with this key was known to be the person's in one of their latest sessions."""
    columns = sessions.c
    query = select(columns.public_key).where(columns.user_id == user, columns.known, columns.public_key.is_not(None))
    return key in (await c.scalars(query.order_by(columns.created_at.desc()).limit(KEYS_REMEMBERED))).all()


async def forget_key(c: Connection, session: str) -> None:
    """The device of this session is known no more, in any session begun with the same key."""
    row = (await c.execute(select(sessions.c.user_id, sessions.c.public_key).where(sessions.c.id == session))).one()
    query = select(sessions.c.id, sessions.c.public_key).where(sessions.c.user_id == row.user_id, sessions.c.known)
    same = [one.id for one in await c.execute(query) if one.id == session or one.public_key == row.public_key]
    await c.execute(update(sessions).where(sessions.c.id.in_(same)).values(known=False))


async def end_sessions_of(c: Connection, user: str, now: datetime) -> int:
    done = await c.execute(
        update(sessions).where(sessions.c.user_id == user, sessions.c.ended_at.is_(None)).values(ended_at=now)
    )
    return done.rowcount


async def end_all_sessions(c: Connection, now: datetime) -> int:
    """Everybody's, whatever they are."""
    return (await c.execute(update(sessions).where(sessions.c.ended_at.is_(None)).values(ended_at=now))).rowcount


async def run_out(c: Connection, now: datetime, idle_since: datetime) -> list[SessionRow]:
    """Sessions not marked as ended that are idle or over."""
    rows = await c.execute(
        _SESSION.where(
            sessions.c.ended_at.is_(None), or_(sessions.c.expires_at <= now, sessions.c.seen_at <= idle_since)
        )
    )
    return [SessionRow(*row) for row in rows]


async def insert_token(c: Connection, **values: Any) -> None:
    await c.execute(api_tokens.insert().values(**values))


async def token(c: Connection, token_hash: bytes) -> TokenRow | None:
    row = (await c.execute(_TOKEN.where(api_tokens.c.token_hash == token_hash))).one_or_none()
    return None if row is None else TokenRow(*row)


async def tokens(c: Connection) -> list[TokenRow]:
    """All that ever were, oldest first."""
    return [TokenRow(*row) for row in await c.execute(_TOKEN.order_by(api_tokens.c.created_at, api_tokens.c.id))]


async def touch_token(c: Connection, token: str, now: datetime) -> None:
    await c.execute(update(api_tokens).where(api_tokens.c.id == token).values(used_at=now))


async def token_by_id(c: Connection, token: str) -> TokenRow | None:
    """Locked for this transaction."""
    row = (await c.execute(_TOKEN.where(api_tokens.c.id == token).with_for_update(of=api_tokens))).one_or_none()
    return None if row is None else TokenRow(*row)


async def succeed(c: Connection, token: str, successor: str, until: datetime) -> bool:
    """Name the token's successor and bring its end forward; False if it has one already."""
    done = await c.execute(
        update(api_tokens)
        .where(api_tokens.c.id == token, api_tokens.c.successor.is_(None), api_tokens.c.revoked_at.is_(None))
        .values(successor=successor, expires_at=until)
    )
    return done.rowcount == 1


async def revoke_token(c: Connection, token: str, now: datetime) -> bool:
    done = await c.execute(
        update(api_tokens).where(api_tokens.c.id == token, api_tokens.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return done.rowcount == 1


async def revoke_tokens_of(c: Connection, user: str, now: datetime) -> int:
    done = await c.execute(
        update(api_tokens).where(api_tokens.c.user_id == user, api_tokens.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return done.rowcount
