"""`telehealth recording export`: followed to its end, written for its owner alone, stopped by Ctrl-C."""

import asyncio
import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyrage
import pytest
from exported import OWNER, Taped, looked_at

from telehealth.commands import exports as commands
from telehealth.commands import parser
from telehealth.commands.run import refused_said
from telehealth.commands.said import CommandRefused, Said
from telehealth.config import Config
from telehealth.errors import Refusal

PHRASE = "correct horse battery"


@pytest.fixture
async def asked(taped: Taped, monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[str]], "asyncio.Future[Any]"]:
    """The command in a thread, as a person runs it; the house answers on its loop, as a server does."""
    await asyncio.to_thread(importlib.import_module, "telehealth.web.exports")  # a server has it already
    loop = asyncio.get_running_loop()
    house: Any = SimpleNamespace(recordings=taped.house.service)

    async def answer(args: Any) -> Said:
        try:
            said: Said = await args.housed(house, args)
        except Refusal as refusal:
            return refused_said(refusal)
        return said

    @contextmanager
    def answering(config: Config) -> Iterator[commands.Put]:
        def put(words: Sequence[str]) -> dict[str, Any]:
            args = parser.build().parse_args(words)
            return commands._checked(asyncio.run_coroutine_threadsafe(answer(args), loop).result(30))

        yield put

    monkeypatch.setattr(commands, "_answering", answering)
    monkeypatch.setattr(commands, "ASK_SECONDS", 0.02)

    def typed(words: Sequence[str]) -> Said:
        args = parser.build().parse_args(["recording", "export", taped.recording, *words, "--json"])
        said: Said = args.local(args, Config())
        return said

    def run(words: Sequence[str]) -> "asyncio.Future[Any]":
        return asyncio.ensure_future(asyncio.to_thread(typed, words))

    return run


async def test_the_file_is_written_for_its_owner_and_opens(taped: Taped, asked: Any, tmp_path: Path) -> None:
    to = tmp_path / "film.age"
    said = await asked(["--to", str(to), "--recipient", str(OWNER.to_public())])
    assert (said.exit, said.data["state"]) == (0, "ready")
    assert to.stat().st_mode & 0o777 == 0o600
    film = pyrage.decrypt(await asyncio.to_thread(to.read_bytes), [OWNER])
    assert abs(looked_at(film).seconds - 5) < 0.3
    assert not [name for name in taped.house.disk() if name.endswith(".export")], "what was taken out is destroyed here"
    downloads = await taped.house.entries("recording.download")
    assert [(entry.outcome, entry.actor) for entry in downloads] == [("intent", "cli"), ("done", "cli")]
    with pytest.raises(CommandRefused, match="exists"):
        await asked(["--to", str(to), "--recipient", str(OWNER.to_public())])


async def test_the_passphrase_comes_from_a_file(asked: Any, tmp_path: Path) -> None:
    phrase, to = tmp_path / "phrase", tmp_path / "film.age"
    await asyncio.to_thread(phrase.write_text, PHRASE + "\n")
    await asked(["--to", str(to), "--passphrase-file", str(phrase)])
    assert pyrage.passphrase.decrypt(await asyncio.to_thread(to.read_bytes), PHRASE)


async def test_plain_is_refused_where_the_clinic_does_not_allow_it(asked: Any, tmp_path: Path) -> None:
    with pytest.raises(CommandRefused, match="export_plain_not_allowed"):
        await asked(["--to", str(tmp_path / "film.webm"), "--plain", "--reason", "because"])


async def test_ctrl_c_stops_it_and_keeps_nothing(
    taped: Taped, asked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "time", SimpleNamespace(sleep=interrupted, monotonic=time.monotonic))
    to = tmp_path / "film.age"
    with pytest.raises(CommandRefused, match="cancelled"):
        await asked(["--to", str(to), "--recipient", str(OWNER.to_public())])
    assert not to.exists()
    shown = await taped.house.service.exports.list(taped.house.admin, taped.recording)
    assert [one.state for one in shown] == ["cancelled"]


def test_one_protection_has_to_be_named() -> None:
    with pytest.raises(SystemExit):
        parser.build().parse_args(["recording", "export", "rec_x", "--to", "film"])
