"""A migrated, empty database for whoever asks: a SQLite file, and the same on a PostgreSQL server."""

from collections.abc import Iterator

import pytest

from tests.partners.databases import Databases, PostgresDatabases, SqliteDatabases


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return SqliteDatabases(tmp_path_factory.mktemp("schema"))


@pytest.fixture(scope="session")
def postgres_databases() -> Iterator[Databases]:
    found = PostgresDatabases()
    yield found
    found.stop()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest) -> Databases:
    """Both, one after the other."""
    name = "sqlite_databases" if request.param == "sqlite" else "postgres_databases"
    found: Databases = request.getfixturevalue(name)
    return found
