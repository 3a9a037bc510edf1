"""The database's half of the files' keys: which wrapping key each share hangs on, and replacing wraps."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, func, select, update

from telehealth.keys.keyring import Wrapped
from telehealth.store.engine import Store
from telehealth.store.tables import files


class StoredShare(NamedTuple):
    """A file's share as the database has it."""

    file_id: str
    wrapped: Wrapped


class ShareStore:
    """Rows of `files` that still have a share; what is gone has none."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def old(self, current: str, after: str, limit: int) -> list[StoredShare]:
        """Shares wrapped by any other key than `current`, in order of file id, beginning after `after`."""
        asked = (
            select(files.c.id, files.c.wrapping_key, files.c.wrapped_share)
            .where(files.c.state != "gone", files.c.wrapping_key != current, files.c.id > after)
            .order_by(files.c.id)
            .limit(limit)
        )
        async with self._store.read() as connection:
            rows = (await connection.execute(asked)).all()
        return [StoredShare(row.id, Wrapped(row.wrapping_key, row.wrapped_share)) for row in rows]

    async def replace(self, renewed: Sequence[tuple[StoredShare, Wrapped]]) -> None:
        """Put new wraps in place of exactly the old ones, in one transaction; a row that changed meanwhile stays."""
        if not renewed:
            return
        swap = (
            update(files)
            .where(
                files.c.id == bindparam("file"),
                files.c.state != "gone",
                files.c.wrapping_key == bindparam("old_key"),
                files.c.wrapped_share == bindparam("old_blob"),
            )
            .values(wrapping_key=bindparam("new_key"), wrapped_share=bindparam("new_blob"))
        )
        values = [
            {
                "file": share.file_id,
                "old_key": share.wrapped.wrapping_key,
                "old_blob": share.wrapped.blob,
                "new_key": fresh.wrapping_key,
                "new_blob": fresh.blob,
            }
            for share, fresh in renewed
        ]
        async with self._store.begin() as connection:
            await connection.execute(swap, values)

    async def by_key(self) -> dict[str, int]:
        """How many shares hang on each wrapping key."""
        asked = select(files.c.wrapping_key, func.count()).where(files.c.state != "gone").group_by(files.c.wrapping_key)
        async with self._store.read() as connection:
            return {row[0]: row[1] for row in (await connection.execute(asked)).all()}

    async def fold(self) -> None:
        """Leave no copy of what was overwritten in the database's write-ahead log."""
        await self._store.checkpoint()
