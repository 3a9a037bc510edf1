"""The database: SQLite with one writer at a time, or PostgreSQL with row and name locks; migrations by Alembic."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from telehealth.durable import private_folder

if TYPE_CHECKING:
    from alembic.config import Config

Connection = AsyncConnection

BUSY_SECONDS = 10
READERS = 8  # connections kept open
MOST_CONNECTIONS = 20  # of one server to PostgreSQL; further transactions wait for one
_MIGRATING = 7_416_283_045  # the name of the lock that migrations of several servers queue at


class NestedTransaction(RuntimeError):
    """A task opened a writing transaction inside its own: that would wait for itself for ever."""


class Store:
    """Durable state. `begin` writes, `read` reads one consistent picture; neither is held across waiting for people."""

    def __init__(self, engine: AsyncEngine, url: URL) -> None:
        self._engine = engine
        self._url = url
        self._turn = asyncio.Lock()  # SQLite has one writer: queue here instead of polling its lock
        self._writers: set[asyncio.Task[Any] | None] = set()

    @classmethod
    def open(cls, url: str) -> Self:
        """`sqlite:///path` or `postgresql://…`; connects at first use. May touch the disk: call it in a thread.

        Raises ValueError.
        """
        place = place_of(url)
        if place.get_backend_name() == "sqlite":
            if not place.database or place.database == ":memory:":
                raise ValueError("a SQLite database needs a file")
            engine = create_async_engine(place.set(drivername="sqlite+aiosqlite"), pool_size=READERS)
            _prepare(engine)
        else:
            try:
                engine = create_async_engine(
                    place,
                    pool_size=READERS,
                    max_overflow=MOST_CONNECTIONS - READERS,
                    pool_pre_ping=True,
                    isolation_level="READ COMMITTED",
                    connect_args={"options": "-c timezone=UTC"},
                )
            except ModuleNotFoundError as error:
                raise ValueError("PostgreSQL needs the package psycopg") from error
        return cls(engine, place)

    @property
    def backend(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._url.get_backend_name()

    @property
    def file(self) -> Path | None:
        """The database file, where there is one."""
        return Path(self._url.database) if self.backend == "sqlite" and self._url.database else None

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Connection]:
        """One writing transaction: committed durably at the end, undone if the block raises.

        Raises NestedTransaction when the same task is already inside one.
        """
        task = asyncio.current_task()
        if task in self._writers:
            raise NestedTransaction
        async with self._turn if self.backend == "sqlite" else nullcontext():
            self._writers.add(task)
            try:
                async with self._engine.connect() as connection:
                    await connection.execution_options(telehealth_writes=True)
                    async with connection.begin():
                        yield connection
            finally:
                self._writers.discard(task)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """One reading transaction: a consistent picture that no writer waits for."""
        async with self._engine.connect() as connection:
            if self.backend == "postgresql":
                await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            async with connection.begin():
                yield connection

    async def migrate(self) -> None:
        """Bring the schema to the newest revision; makes a SQLite file that only we may read."""
        await asyncio.to_thread(upgrade, self._url)

    async def revision(self) -> str | None:
        """The schema's present revision, None before the first migration."""
        return await asyncio.to_thread(_revision, self._url)

    async def checkpoint(self) -> None:
        """Fold SQLite's write-ahead log into the file and empty it, so that deleted rows leave no copy there."""
        if self.backend == "sqlite":
            async with self._turn:
                await asyncio.to_thread(_checkpoint, self._url)

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


def place_of(url: str) -> URL:
    """The address with its driver. Raises ValueError."""
    place = make_url(url)
    match place.get_backend_name():
        case "sqlite":
            return place.set(drivername="sqlite")
        case "postgresql":
            return place.set(drivername="postgresql+psycopg")
        case _:
            raise ValueError("the database is sqlite:///… or postgresql://…")


_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",
    f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}",
)


def _prepare(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def _connected(raw: Any, _record: Any) -> None:
        raw.isolation_level = None  # transactions begin where we say, not where the driver guesses
        cursor = raw.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begun(connection: Any) -> None:
        writes = connection.get_execution_options().get("telehealth_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def alembic_config() -> "Config":
    """Where Alembic finds our migrations; the connection is put into `attributes`."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def upgrade(url: URL, revision: str = "head") -> None:
    """Bring the schema to this revision. Blocks."""
    from alembic import command  # slow to import, needed once

    if url.get_backend_name() == "sqlite" and url.database:
        private_folder(Path(url.database).parent)
        Path(url.database).touch(mode=0o600)
    config = alembic_config()
    engine = create_engine(url, poolclass=NullPool)
    if url.get_backend_name() == "sqlite":
        _whole_or_not(engine)
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def _whole_or_not(engine: Engine) -> None:
    """SQLite's driver begins no transaction for CREATE TABLE: killed in between, half a schema would stay for ever."""

    @event.listens_for(engine, "connect")
    def _connected(raw: Any, _record: Any) -> None:
        raw.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begun(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _revision(url: URL) -> str | None:
    from alembic.runtime.migration import MigrationContext

    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        found: str | None = MigrationContext.configure(connection).get_current_revision()
    engine.dispose()
    return found


def _checkpoint(url: URL) -> None:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
