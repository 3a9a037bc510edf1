"""A witness, a collector or a disk that hangs holds up its own thread and nothing else."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from audit_samples import MovedClock, OpenLog, an_entry

from telehealth.audit.anchoring import PathPlace, SyslogPlace
from telehealth.audit.anchors import Anchors
from telehealth.audit.cosignature import WitnessKey
from telehealth.audit.one_thread import OneThread
from telehealth.audit.witness import Witness
from telehealth.syslog import Address


async def test_a_witness_and_a_collector_that_hang_block_nothing(
    open_log: OpenLog, clock: MovedClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is never found, a collector that never speaks; the default executor's one thread must stay free."""
    looked_up, asked = Event(), socket.getaddrinfo

    def resolver(host: str, *more: Any, **named: Any) -> Any:
        if host == "witness.example":
            looked_up.wait(30)
            raise OSError("not found")
        return asked(host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))  # the loop ends it
    with socket.create_server(("127.0.0.1", 0)) as silent:
        log = await open_log()
        port = silent.getsockname()[1]
        witness = Witness(
            log, "http://witness.example", WitnessKey("witness.example", b"w" * 32), tmp_path / "cosigned"
        )
        syslog = SyslogPlace(Address(f"tls://127.0.0.1:{port}"), clock)
        path = PathPlace(tmp_path / "elsewhere", clock)
        anchors = Anchors(log, (witness, syslog, path), clock, [].append, patience=0.5)
        for size in (1, 2):  # the second time both still hang
            await log.enter(an_entry())
            await anchors.tick()
            assert await asyncio.to_thread(path.newest) == log.signed().note
            assert log.head().size == size
        clock.move(31)
        assert anchors.age() == 31.0
        async with asyncio.timeout(5):
            assert await asyncio.to_thread(lambda: "free") == "free"
        looked_up.set()


async def test_work_that_takes_longer_is_followed_until_it_is_done() -> None:
    thread, go = OneThread("test"), Event()
    assert await thread.follow(lambda: go.wait(30), 0.01) is None
    assert await thread.follow(lambda: False, 0.01) is None  # the same work still
    go.set()
    done = await thread.follow(lambda: False, 30.0)
    assert done is not None
    assert done.result() is True
    fresh = await thread.follow(lambda: "new", 30.0)
    assert fresh is not None
    assert fresh.result() == "new"
