"""No task dies unnoticed; one process holds the folder."""

import asyncio
import logging
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
import structlog

from telehealth import places
from telehealth.config import Config
from telehealth.log import configure
from telehealth.workers import WorkerDied, Workers


@pytest.fixture(autouse=True)
def logs() -> Iterator[StringIO]:
    stream, before = StringIO(), logging.root.handlers[:]
    configure(stream)
    yield stream
    logging.root.handlers[:] = before
    structlog.reset_defaults()


async def for_ever() -> None:
    await asyncio.Event().wait()


async def broken() -> None:
    raise ValueError("a secret")


async def finished() -> None:
    return


@pytest.mark.parametrize("work", [broken, finished])
async def test_a_dead_worker_stops_the_process(work: object, logs: StringIO) -> None:
    workers = Workers()
    workers.start("good", for_ever())
    workers.start("bad", work())  # type: ignore[operator]
    with pytest.raises(WorkerDied) as died:
        await workers.watch(asyncio.Event())
    assert died.value.name == "bad"
    await workers.close()
    assert '"code": "worker_died"' in logs.getvalue()
    assert "a secret" not in logs.getvalue()


async def test_stopping_ends_the_watch_and_every_worker() -> None:
    workers, stop = Workers(), asyncio.Event()
    workers.start("good", for_ever())
    stop.set()
    await workers.watch(stop)
    await workers.close()


def config(folder: Path, **more: object) -> Config:
    paths = {name: folder / name for name in ("keys", "audit", "recordings")}
    root = {"root_key": folder / "keys" / "root.key", "database": f"sqlite:///{folder / 'db' / 'x.db'}"}
    return Config.model_validate({"places": {**paths, **root}, **more})


def test_places_are_made_for_us_alone(tmp_path: Path) -> None:
    places.prepare(config(tmp_path))
    for name in ("keys", "audit", "recordings", "db"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o700


def test_beyond_loopback_keys_beside_recordings_are_refused_unless_meant(tmp_path: Path) -> None:
    server = {"host": "0.0.0.0", "public_url": "https://visits.example.org", "trusted_proxies": ["10.0.0.1"]}
    public = config(tmp_path, server=server)
    with pytest.raises(places.OneFilesystem):
        places.prepare(public)
    meant = public.places.model_copy(update={"one_filesystem_is_meant": True})
    places.prepare(public.model_copy(update={"places": meant}))


def test_one_process_holds_the_folder(tmp_path: Path) -> None:
    first, second = places.Hold(tmp_path), places.Hold(tmp_path)
    first.take()
    with pytest.raises(places.AlreadyRunning):
        second.take()
    first.give_back()
    second.take()
    second.give_back()
