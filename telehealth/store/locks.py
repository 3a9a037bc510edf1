"""Locks by name for the length of a transaction, where a row to lock may not be there yet."""

import hashlib

from sqlalchemy import text

from telehealth.store.engine import Connection

_HOLD = text("SELECT pg_advisory_xact_lock(:number)")


async def hold(c: Connection, what: str, which: str | bytes = "") -> None:
    """Until the transaction ends, nobody else holds this name; others wait. SQLite has one writer at a time anyway.

    Whoever holds several takes them in one order: the names of `what` in that of the alphabet.
    """
    if c.dialect.name != "postgresql":
        return
    key = which.encode() if isinstance(which, str) else which
    digest = hashlib.sha256(what.encode() + b"\0" + key).digest()
    await c.execute(_HOLD, {"number": int.from_bytes(digest[:8], "big", signed=True)})
