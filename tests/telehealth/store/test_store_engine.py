"""The database keeps what it was told, and forgets what it must."""

import asyncio
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from telehealth.store import attempts as counters
from telehealth.store.engine import NestedTransaction, Store, alembic_config
from telehealth.store.locks import hold
from telehealth.store.tables import attempts, metadata, sessions
from tests.partners.databases import Databases

NOW = datetime(2031, 5, 6, 7, 0, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "private" / "telehealth.db"


@pytest.fixture
async def sqlite(place: Path) -> AsyncIterator[Store]:
    store = await asyncio.to_thread(Store.open, f"sqlite:///{place}")
    await store.migrate()
    yield store
    await store.close()


@pytest.fixture
async def store(tmp_path: Path, databases: Databases) -> AsyncIterator[Store]:
    store = await asyncio.to_thread(Store.open, await asyncio.to_thread(databases.of, tmp_path))
    yield store
    await store.close()


async def test_migrating_gives_exactly_the_tables_of_the_schema(
    store: Store, tmp_path: Path, databases: Databases
) -> None:
    await store.migrate()
    assert await store.revision() == ScriptDirectory.from_config(alembic_config()).get_current_head()
    url = await asyncio.to_thread(databases.of, tmp_path)

    def differences() -> list[object]:
        engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        with engine.connect() as connection:
            found: list[object] = compare_metadata(MigrationContext.configure(connection), metadata)
        engine.dispose()
        return found

    assert await asyncio.to_thread(differences) == []


async def test_the_file_is_ours_alone_and_every_commit_is_synced(sqlite: Store, place: Path) -> None:
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    async with sqlite.read() as connection:
        found = [
            await connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
        ]
    assert found == ["wal", 2, 1, 1, 10_000]


async def test_a_block_that_raises_leaves_nothing(store: Store) -> None:
    async def failing() -> None:
        async with store.begin() as connection:
            await counters.put(connection, b"x" * 32, 1, None, NOW)
            raise KeyError

    with pytest.raises(KeyError):
        await failing()
    async with store.read() as connection:
        assert await counters.standing(connection, b"x" * 32) is None


async def test_writers_take_turns_and_none_is_lost(sqlite: Store) -> None:
    async def count() -> None:
        async with sqlite.begin() as connection:
            found = await counters.count(connection, b"x" * 32)
            await asyncio.sleep(0)
            await counters.put(connection, b"x" * 32, found + 1, None, NOW)

    await asyncio.gather(*(count() for _ in range(20)))
    async with sqlite.read() as connection:
        assert await counters.count(connection, b"x" * 32) == 20


async def test_whoever_holds_a_name_is_waited_for(store: Store) -> None:
    async def count() -> None:
        async with store.begin() as connection:
            await hold(connection, "counting", b"x")
            found = await counters.count(connection, b"x" * 32)
            await asyncio.sleep(0)
            await counters.put(connection, b"x" * 32, found + 1, None, NOW)

    await asyncio.gather(*(count() for _ in range(20)))
    async with store.read() as connection:
        assert await counters.count(connection, b"x" * 32) == 20


async def test_failures_counted_at_once_are_all_counted(store: Store) -> None:
    async def fail() -> None:
        async with store.begin() as connection:
            await counters.forget_before(connection, NOW - timedelta(days=1))
            row = await counters.standing(connection, b"x" * 32)
            await counters.put(connection, b"x" * 32, (row[0] if row else 0) + 1, None, NOW)

    await asyncio.gather(*(fail() for _ in range(20)))
    async with store.read() as connection:
        assert await counters.count(connection, b"x" * 32) == 20


async def test_a_reader_sees_one_picture_while_others_write(store: Store) -> None:
    async with store.read() as reading:
        assert await counters.count(reading, b"x" * 32) == 0
        async with store.begin() as connection:
            await counters.put(connection, b"x" * 32, 1, None, NOW)
        assert await counters.count(reading, b"x" * 32) == 0


async def test_waiting_for_oneself_is_an_error_not_a_standstill(store: Store) -> None:
    async with store.begin():
        with pytest.raises(NestedTransaction):
            async with store.begin():
                pass
    async with store.begin():
        pass


async def test_a_cancelled_writer_leaves_its_turn_to_others(store: Store) -> None:
    inside = asyncio.Event()

    async def endless() -> None:
        async with store.begin() as connection:
            await counters.put(connection, b"x" * 32, 1, None, NOW)
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(endless())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with store.begin() as connection:
        assert await counters.count(connection, b"x" * 32) == 0


async def test_rows_point_at_rows_that_are_there(store: Store) -> None:
    with pytest.raises(IntegrityError):
        async with store.begin() as connection:
            await connection.execute(
                insert(sessions).values(
                    id="ses_1", token_hash=b"x", user_id="usr_no", created_at=NOW, seen_at=NOW, expires_at=NOW
                )
            )


async def test_times_keep_their_zone_and_need_one(store: Store) -> None:
    vienna = NOW.astimezone(tz=datetime.fromisoformat("2031-01-01T00:00:00+02:00").tzinfo)
    async with store.begin() as connection:
        await counters.put(connection, b"x" * 32, 1, vienna, NOW)
        assert await connection.scalar(select(attempts.c.until)) == NOW
    with pytest.raises(StatementError):
        async with store.begin() as connection:
            await counters.put(connection, b"x" * 32, 1, NOW.replace(tzinfo=None), NOW)


async def test_a_deleted_row_leaves_no_copy_after_the_checkpoint(sqlite: Store, place: Path) -> None:
    canary = b"canary-in-the-database-file-1234"
    async with sqlite.begin() as connection:
        await counters.put(connection, canary, 1, None, NOW)
    await sqlite.checkpoint()
    assert canary in place.read_bytes()
    async with sqlite.begin() as connection:
        await counters.clear(connection, [canary])
    await sqlite.checkpoint()
    for file in place.parent.iterdir():
        assert canary not in file.read_bytes()


async def test_a_budget_is_never_overdrawn(store: Store) -> None:
    async def take() -> bool:
        async with store.begin() as connection:
            return await counters.take(connection, b"x" * 32, 5, NOW)

    assert sum(await asyncio.gather(*(take() for _ in range(12)))) == 5
    async with store.begin() as connection:
        await counters.give_back(connection, b"x" * 32)
    assert await take()
    assert not await take()


async def test_old_counters_are_forgotten(store: Store) -> None:
    async with store.begin() as connection:
        await counters.put(connection, b"x" * 32, 1, None, NOW)
        assert await counters.forget_before(connection, NOW) == 0
        assert await counters.forget_before(connection, NOW + timedelta(seconds=1)) == 1


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://localhost/x"])
def test_a_database_is_a_file_or_postgresql(url: str) -> None:
    with pytest.raises(ValueError):
        Store.open(url)
