"""A migration happens whole or not at all: half a schema would stop every later start."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import OperationalError

from telehealth.store.engine import place_of, upgrade


@pytest.mark.parametrize("nth", [2, 9, 24, 45])
def test_a_migration_that_breaks_off_leaves_nothing_and_can_be_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    file = tmp_path / "t.db"
    with monkeypatch.context() as broken:
        broken.setattr(DefaultDialect, "do_execute", failing(DefaultDialect.do_execute, nth))
        with pytest.raises(OperationalError):
            upgrade(place_of(f"sqlite:///{file}"))
    assert tables(file) == []
    upgrade(place_of(f"sqlite:///{file}"))
    assert "recordings" in tables(file)


def failing(real: Callable[..., None], nth: int) -> Callable[..., None]:
    calls = 0

    def call(*args: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == nth:
            raise sqlite3.OperationalError("disk I/O error")
        real(*args)

    return call


def tables(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
