"""INSERT … ON CONFLICT, which both databases have and SQLAlchemy spells once for each."""

from typing import TYPE_CHECKING

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite

from telehealth.store.engine import Connection

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


def insert(c: Connection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """An insert that knows `on_conflict_do_update` and `on_conflict_do_nothing`."""
    if c.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # a start over SQLite does not wait for it

        return postgresql.insert(table)
    return sqlite.insert(table)
