"""What counts as a database that is away, by the errors of real ones; what was asked wrongly does not."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from telehealth.store.away import is_away
from telehealth.store.engine import Store
from tests.partners.postgres import Postgres


async def raised(store: Store, statement: str) -> SQLAlchemyError:
    with pytest.raises(SQLAlchemyError) as caught:
        async with store.begin() as connection:
            await connection.execute(text(statement))
    return caught.value


async def test_a_sqlite_file_that_cannot_be_opened_is_away_and_a_missing_table_is_not(tmp_path: Path) -> None:
    store = await asyncio.to_thread(Store.open, f"sqlite:///{tmp_path / 'a.db'}")
    assert not is_away(await raised(store, "SELECT 1 FROM nothing"))
    await store.close()
    (tmp_path / "a.db").rename(tmp_path / "gone")
    (tmp_path / "a.db").mkdir()
    assert is_away(await raised(store, "SELECT 1"))
    await store.close()


async def test_a_postgresql_that_stopped_is_away_and_a_missing_table_is_not() -> None:
    server = await asyncio.to_thread(Postgres)
    try:
        store = await asyncio.to_thread(Store.open, await asyncio.to_thread(server.database))
        assert not is_away(await raised(store, "SELECT 1 FROM nothing"))
    finally:
        await asyncio.to_thread(server.stop)
    assert is_away(await raised(store, "SELECT 1"))
    await store.close()
    assert not is_away(ValueError())
