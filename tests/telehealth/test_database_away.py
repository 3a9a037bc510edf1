"""A database that fails for a while ends no worker of the house, and so not the server."""

import asyncio
import sqlite3
from pathlib import Path

from structlog.testing import capture_logs

from telehealth.workers import Workers
from tests.backup.furnished import Furnished


async def test_no_worker_ends_while_the_database_fails(tmp_path: Path) -> None:
    furnished = await asyncio.to_thread(Furnished, tmp_path)
    async with furnished.open() as house:
        await asyncio.to_thread(_without_tables, furnished.config.places.database)
        workers, stop = Workers(), asyncio.Event()
        with capture_logs() as said:
            for name, work in house.workers():
                workers.start(name, work)
            asyncio.get_running_loop().call_later(3.0, stop.set)
            await workers.watch(stop)
            await workers.close()
    failed = {line["event"] for line in said if line["log_level"] in ("error", "warning")}
    assert {
        "keys.turnover_failed",
        "registers.remind_failed",
        "privacy.sweep_failed",
        "sessions.sweep_failed",
    } <= failed


def _without_tables(database: str | Path) -> None:
    with sqlite3.connect(str(database).removeprefix("sqlite:///")) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            if not name.startswith("sqlite_"):
                connection.execute(f'DROP TABLE "{name}"')
    connection.close()
