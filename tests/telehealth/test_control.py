"""The command line's way into a running server: long work is not cut, and tells how far it is."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from telehealth.commands import control
from telehealth.commands.control import Control, ask
from telehealth.commands.progress import tell, telling
from telehealth.commands.said import CommandRefused, Said


class Long:
    """A command that goes on until it is told to end."""

    def __init__(self) -> None:
        self.begun, self.may_end, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def run(self, argv: Sequence[str]) -> Said:
        await asyncio.to_thread(tell, f"{argv[0]}: half")
        self.begun.set()
        try:
            await self.may_end.wait()
        finally:
            self.ended.set()
        return Said({"argv": list(argv)}, ["done"])


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "BEAT", 0.005)
    monkeypatch.setattr(control, "SECONDS", 0.5)


async def heard(folder: Path, notes: Callable[[str], None]) -> Said | None:
    def asked() -> Said | None:
        with telling(notes):
            return ask(folder, ["backup", "create"])

    return await asyncio.to_thread(asked)


async def test_a_command_that_outlasts_the_patience_is_heard_to_its_end(
    tmp_path: Path, brief: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "SECONDS", 0.05)
    long, told = Long(), list[str]()
    server = Control(tmp_path, long.run)
    await server.start()
    asking = asyncio.create_task(heard(tmp_path, told.append))
    await long.begun.wait()
    while len(told) < 20:  # 20 signs of life, twice the patience
        await asyncio.sleep(0.005)
    long.may_end.set()
    said = await asking
    assert said is not None
    assert (said.data, said.exit) == ({"argv": ["backup", "create"]}, 0)
    assert set(told) == {"backup: half"}
    await server.close()


async def test_a_command_ends_when_whoever_asked_goes_away(tmp_path: Path, brief: None) -> None:
    long = Long()
    server = Control(tmp_path, long.run)
    await server.start()
    asking = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    asking.connect(str(tmp_path / control.NAME))
    asking.sendall(b'{"argv": ["backup", "create"]}\n')
    await long.begun.wait()
    asking.close()
    await asyncio.wait_for(long.ended.wait(), 5)
    await server.close()


async def test_a_server_that_stops_ends_what_runs_and_says_nothing_false(tmp_path: Path, brief: None) -> None:
    long = Long()
    server = Control(tmp_path, long.run)
    await server.start()
    asking = asyncio.create_task(heard(tmp_path, lambda _text: None))
    await long.begun.wait()
    await server.close()
    assert long.ended.is_set()
    with pytest.raises(CommandRefused):
        await asking
