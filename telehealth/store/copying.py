"""The whole database as lines of text, the same from either engine and into either: for backups. Blocks.

First line: `{"schema": revision}`. Then for each table `{"table": name, "columns": [[name, kind], …]}` and one JSON
array a row. Kinds: `bytes` (base64), `time` (RFC 3339, microseconds), `json`, `plain` (what JSON holds as it is).
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import (
    JSON,
    URL,
    Boolean,
    Connection,
    DateTime,
    Engine,
    LargeBinary,
    create_engine,
    inspect,
    select,
    table,
)
from sqlalchemy import column as named
from sqlalchemy import insert as insert_into
from sqlalchemy.pool import NullPool
from sqlalchemy.types import NullType, TypeEngine

from telehealth.store.engine import alembic_config, place_of, upgrade
from telehealth.store.tables import UtcTime, metadata

ROWS = 500  # held in memory at once
_TYPES: dict[str, TypeEngine[Any]] = {
    "bytes": LargeBinary(),
    "time": UtcTime(),
    "json": JSON(none_as_null=True),  # NULL comes back as NULL, not as the word null
    "bool": Boolean(),
    "plain": NullType(),
}


class CopyMalformed(ValueError):
    """The lines are no copy of a database."""


class Snapshot:
    """One consistent picture of the database, held until `close`; what is written meanwhile is not in it."""

    def __init__(self, engine: Engine, connection: Connection, revision: str) -> None:
        self._engine = engine
        self._connection = connection
        self.revision = revision

    @classmethod
    def open(cls, url: str) -> Self:
        """The picture of this moment: everything committed before the call is in it, nothing that comes later."""
        engine, connection = _connected(place_of(url))
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        else:
            connection.exec_driver_sql("BEGIN")
        revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
        return cls(engine, connection, str(revision))

    def rows(self, name: str, *columns: str, **only: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """These columns of a table's rows; `only`: those whose column holds one of these values."""
        source = metadata.tables[name]
        query = select(*(source.c[one] for one in columns))
        query = query.where(*(source.c[column].in_(values) for column, values in only.items()))
        for part in self._streamed(query):
            yield from (tuple(row) for row in part)

    def lines(self) -> Iterator[bytes]:
        """Everything, some rows at a time."""
        yield _line({"schema": self.revision})
        for source in metadata.sorted_tables:
            kinds = [_kind(column.type) for column in source.c]
            head = {"table": source.name, "columns": [[c.name, k] for c, k in zip(source.c, kinds, strict=True)]}
            yield _line(head)
            for part in self._streamed(select(source)):
                yield b"".join(_line([_out(v, k) for v, k in zip(row, kinds, strict=True)]) for row in part)

    def close(self) -> None:
        self._connection.close()
        self._engine.dispose()

    def _streamed(self, query: Any) -> Iterator[Any]:
        options = {"stream_results": True, "yield_per": ROWS}
        with self._connection.execution_options(**options).execute(query) as found:
            yield from found.partitions(ROWS)


@dataclass(slots=True)
class _Target:
    statement: Any
    names: list[str]
    kinds: list[str]
    rows: list[dict[str, Any]]


def is_empty(url: str) -> bool:
    """Whether there is no table yet. Makes nothing. Blocks."""
    place = place_of(url)
    if place.get_backend_name() == "sqlite":
        file = Path(place.database or "")
        return not file.exists() or file.stat().st_size == 0
    engine, connection = _connected(place)
    try:
        return not inspect(connection).get_table_names()
    finally:
        connection.close()
        engine.dispose()


def knows(revision: str) -> bool:
    """Whether our migrations lead to this revision. Blocks."""
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    try:
        return ScriptDirectory.from_config(alembic_config()).get_revision(revision) is not None
    except CommandError:
        return False


def load(url: str, lines: Iterable[bytes]) -> dict[str, int]:
    """Fill an empty database with what `lines` wrote, in one transaction, then bring it up to date; rows by table.

    Raises CopyMalformed; then nothing is in it.
    """
    place, source = place_of(url), iter(lines)
    revision = _parsed(next(source, b"")).get("schema")
    if not isinstance(revision, str) or not knows(revision):
        raise CopyMalformed("schema")
    upgrade(place, revision)
    engine, connection = _connected(place)
    try:
        with connection.begin():
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            counts = _fill(connection, source)
    finally:
        connection.close()
        engine.dispose()
    upgrade(place)
    return counts


def bring_home(url: str, files: Sequence[str]) -> None:
    """Note that these sealed files lie on the local disk (again). Blocks."""
    engine, connection = _connected(place_of(url))
    rows = metadata.tables["files"]
    try:
        with connection.begin():
            for first in range(0, len(files), ROWS):
                some = rows.c.id.in_(files[first : first + ROWS])
                connection.execute(rows.update().where(some, rows.c.place != "local").values(place="local"))
    finally:
        connection.close()
        engine.dispose()


def _fill(connection: Connection, lines: Iterator[bytes]) -> dict[str, int]:
    counts: dict[str, int] = {}
    target: _Target | None = None
    name = ""
    for line in lines:
        content = _parsed(line)
        if isinstance(content, dict):
            _flush(connection, target)
            name, target = _begun(connection, content)
            counts[name] = 0
        elif target is None or len(content) != len(target.names):
            raise CopyMalformed(name)
        else:
            values = (_in(value, kind) for value, kind in zip(content, target.kinds, strict=True))
            target.rows.append(dict(zip(target.names, values, strict=True)))
            counts[name] += 1
            if len(target.rows) >= ROWS:
                _flush(connection, target)
    _flush(connection, target)
    return counts


def _begun(connection: Connection, head: dict[str, Any]) -> tuple[str, _Target]:
    try:
        name, columns = str(head["table"]), [(str(column), str(kind)) for column, kind in head["columns"]]
        target = table(name, *(named(column, _TYPES[kind]) for column, kind in columns))
    except (KeyError, TypeError, ValueError) as error:
        raise CopyMalformed("table") from error
    connection.execute(target.delete())  # what a migration put there is in the copy too
    return name, _Target(insert_into(target), [c for c, _ in columns], [k for _, k in columns], [])


def _flush(connection: Connection, target: _Target | None) -> None:
    if target is not None and target.rows:
        connection.execute(target.statement, target.rows)
        target.rows.clear()


def _connected(place: URL) -> tuple[Engine, Connection]:
    """A connection that any thread may use, one after the other."""
    is_file = place.get_backend_name() == "sqlite"
    options: dict[str, Any] = {"check_same_thread": False} if is_file else {"options": "-c timezone=UTC"}
    engine = create_engine(place, poolclass=NullPool, connect_args=options)
    connection = engine.connect()
    raw: Any = connection.connection.dbapi_connection
    if is_file:
        raw.isolation_level = None  # transactions begin where we say
    return engine, connection


def _kind(type_: TypeEngine[Any]) -> str:
    if isinstance(type_, UtcTime | DateTime):
        return "time"
    for kind, of in (("bytes", LargeBinary), ("json", JSON), ("bool", Boolean)):
        if isinstance(type_, of):
            return kind
    return "plain"


def _out(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "bytes":
        return base64.b64encode(value).decode("ascii")
    return value.astimezone(UTC).isoformat() if kind == "time" else value


_READ: dict[str, Callable[[Any], Any]] = {"bytes": base64.b64decode, "time": datetime.fromisoformat}


def _in(value: Any, kind: str) -> Any:
    try:
        return value if value is None or kind not in _READ else _READ[kind](value)
    except (TypeError, ValueError) as error:
        raise CopyMalformed("value") from error


def _line(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _parsed(line: bytes) -> Any:
    try:
        content = json.loads(line)
    except ValueError as error:
        raise CopyMalformed("line") from error
    if not isinstance(content, dict | list):
        raise CopyMalformed("line")
    return content
