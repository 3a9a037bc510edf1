"""Empty databases with the newest schema, quickly."""

import asyncio
import shutil
from pathlib import Path
from typing import Protocol

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from telehealth.store.engine import Store
from telehealth.store.tables import metadata
from tests.partners.postgres import Postgres


class Databases(Protocol):
    """One database for each folder."""

    def of(self, folder: Path) -> str:
        """The folder's database, empty when it is asked for first; its URL. Blocks."""
        ...

    def content(self, folder: Path) -> bytes:
        """All that the folder's database holds, for finding what must not be there. Blocks."""
        ...


class SqliteDatabases:
    """Migrated once, then copied."""

    def __init__(self, folder: Path) -> None:
        self._template = folder / "telehealth.db"
        migrated(f"sqlite:///{self._template}")

    def of(self, folder: Path) -> str:
        place = folder / "telehealth.db"
        if not place.exists():
            shutil.copyfile(self._template, place)
        return f"sqlite:///{place}"

    def content(self, folder: Path) -> bytes:
        return (folder / "telehealth.db").read_bytes()


class PostgresDatabases:
    """One database, migrated once, emptied for each new folder: one test at a time."""

    def __init__(self) -> None:
        self.server = Postgres()
        self._folder: Path | None = None
        self._url = self.server.database()
        migrated(self._url)
        self._engine = create_engine(self._url.replace("://", "+psycopg://"), poolclass=NullPool)

    def of(self, folder: Path) -> str:
        if folder != self._folder:
            self._folder = folder
            with self._engine.begin() as connection:
                for table in reversed(metadata.sorted_tables):
                    connection.execute(table.delete())
        return self._url

    def content(self, folder: Path) -> bytes:
        values: list[bytes] = []
        with self._engine.connect() as connection:
            for table in metadata.sorted_tables:
                for row in connection.execute(table.select()):
                    values += [value if isinstance(value, bytes) else str(value).encode() for value in row]
        return b"\n".join(values)

    def stop(self) -> None:
        self._engine.dispose()
        self.server.stop()


def migrated(url: str) -> None:
    """Bring a database to the newest schema. Blocks."""

    async def bring() -> None:
        store = Store.open(url)
        await store.migrate()
        await store.close()

    asyncio.run(bring())
