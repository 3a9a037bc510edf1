"""The worker: a process without keys, paths or credentials, that writes no file and does not outlive the server."""

import asyncio
import contextlib
import os
import resource
import select
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from exported import PLAIN, Taped, passphrase, plain, sealed
from recordings_house import House

from recordings.export import runner
from recordings.export.cards import card_at
from recordings.export.outlet import HeadHeld
from recordings.export.runner import ROOT
from recordings.export.states import TRANSITIONS, State, Step, after
from recordings.export.wire import Span, TrackJob
from recordings.opening import read_all
from telehealth.errors import WrongState


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    built = House(tmp_path)
    object.__setattr__(built.settings, "export", PLAIN)
    await built.open()
    yield built
    await built.close()


def everything_below(folder: Path) -> bytes:
    """Every octet of every file, those that go away meanwhile left out."""
    found = []
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                found.append(path.read_bytes())
    return b"".join(found)


async def test_no_plaintext_and_no_passphrase_ever_reaches_a_disk(
    taped: Taped, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    house, kept, asides = taped.house, [b""], [0]
    real = runner._Talk.until_done

    async def watched(self: runner._Talk) -> object:
        made = await real(self)
        asides[0] += self._laid is not None
        kept[0] += await asyncio.to_thread(everything_below, house.folder)
        return made

    monkeypatch.setattr(runner._Talk, "until_done", watched)
    phrase = "a canary sings at night"
    film = await taped.octets(await taped.export(plain()))
    await taped.export(passphrase(phrase))
    assert asides[0] == 2, "the film is longer than its head, so that some of it was laid aside"
    grant = await house.service.grant(house.admin, taped.recording, "legal")
    track = await house.read(house.admin, grant, grant.tracks[0])
    kept[0] += await asyncio.to_thread(everything_below, house.folder)
    for at in range(0, len(film) - 64, len(film) // 40):
        assert len(set(film[at : at + 48])) < 20 or film[at : at + 48] not in kept[0]
    assert b"\x1a\x45\xdf\xa3" + film[4:32] not in kept[0]
    assert track[2000:2064] not in kept[0]
    assert phrase.encode() not in kept[0]


async def test_the_worker_has_nothing_but_two_pipes(taped: Taped, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEHEALTH_MAIL__PASSWORD", "canary")
    seen: dict[str, object] = {}
    real = runner._Talk._range

    async def looked(self: runner._Talk, number: int, offset: int, length: int) -> bytes:
        if not seen:
            seen.update(await asyncio.to_thread(_looked_at, self.process.pid))
        return await real(self, number, offset, length)

    monkeypatch.setattr(runner._Talk, "_range", looked)
    assert (await taped.export(sealed())).state == "ready"
    assert b"canary" not in seen["environ"]  # type: ignore[operator]
    assert all(name.startswith(("pipe:", "/dev/null", "socket:")) for name in seen["files"])  # type: ignore[attr-defined]
    assert seen["nice"] == os.getpriority(os.PRIO_PROCESS, 0) + 10
    assert seen["core"] == (0, 0)


def _looked_at(pid: int) -> dict[str, object]:
    place = Path(f"/proc/{pid}")
    files = []
    for name in os.listdir(place / "fd"):
        with contextlib.suppress(FileNotFoundError):
            files.append(os.readlink(place / "fd" / name))
    return {
        "environ": (place / "environ").read_bytes(),
        "files": files,
        "nice": os.getpriority(os.PRIO_PROCESS, pid),
        "core": resource.prlimit(pid, resource.RLIMIT_CORE),
    }


def test_the_worker_dies_with_the_server() -> None:
    script = (
        "import os, subprocess, sys\n"
        "worker = subprocess.Popen([sys.executable, '-P', '-m', 'recordings.export.worker', str(os.getpid())],"
        " stdin=sys.stdin, stdout=subprocess.PIPE)\n"
        "print(worker.pid, flush=True)\n"
        "os.read(worker.stdout.fileno(), 1)\n"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT)},
        text=True,
    )
    assert server.stdout is not None
    assert server.stdin is not None
    worker = int(server.stdout.readline())
    watching = os.pidfd_open(worker)
    while os.getpriority(os.PRIO_PROCESS, worker) < os.getpriority(os.PRIO_PROCESS, 0) + 10:
        continue  # it has not said yet that it wants to be told
    server.kill()
    server.wait()
    assert select.select([watching], [], [], 20)[0], "the worker outlived the server"
    os.close(watching)
    server.stdin.close()
    server.stdout.close()


def test_only_the_head_of_a_film_can_be_written_again() -> None:
    aside = bytearray()
    target = HeadHeld(aside.extend, limit=10)
    target.write(b"0123456789abcdef")
    target.seek(2)
    target.write(b"XY")
    target.seek(0, os.SEEK_END)
    target.write(b"end")
    assert bytes(target.head) + bytes(aside) == b"01XY456789abcdefend"
    target.seek(12)
    with pytest.raises(ValueError, match="head"):
        target.write(b"late")


@pytest.mark.parametrize(
    ("moment", "card"),
    [(0, "not_begun"), (999, "not_begun"), (1000, None), (2000, "no_consent"), (2999, "no_consent"), (3000, None)],
)
def test_each_moment_has_the_picture_or_a_card_that_says_why(moment: int, card: str | None) -> None:
    track = TrackJob(1, "patient", 1000, 4000, 640, 480, (Span(2000, 3000, "no_consent"),))
    assert card_at(track, moment, has_picture=True) == card
    assert card_at(track, 5000, has_picture=True) == "ended"
    assert card_at(track, 4000, has_picture=False) == "no_picture"


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("step", Step)
def test_what_the_table_does_not_say_is_refused(state: State, step: Step) -> None:
    if (state, step) in TRANSITIONS:
        assert after(state, step) is TRANSITIONS[state, step]
    else:
        with pytest.raises(WrongState):
            after(state, step)


async def test_a_sealed_export_is_an_envelope_around_an_age_file(taped: Taped) -> None:
    made = await taped.export(sealed())
    row = await taped.row(made)
    files = {file.id: file for file in await taped.house.service.catalogue.export_files()}
    file = files[row.file or ""].row
    dek = await taped.house.keys.open(file.file_id, wrapped_share=file.wrapped_share, wrapping_key=file.wrapping_key)
    data = taped.house.disk()[file.name]
    assert b"age-encryption.org" not in data
    assert read_all(data, dek, recording_id=taped.recording, file_id=file.file_id).startswith(b"age-encryption.org/v1")


async def test_the_shown_progress_rises_second_by_second_and_ends_at_one(
    taped: Taped, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports, seen = taped.house.service.exports, list[float]()
    real = runner._Talk._heard

    async def looked(self: runner._Talk) -> tuple[int, bytes]:
        [shown] = await exports.list(taped.house.admin, taped.recording)
        seen.append(shown.progress)
        return await real(self)

    monkeypatch.setattr(runner._Talk, "_heard", looked)
    made = await taped.export(sealed())
    assert (made.state, made.progress) == ("ready", 1.0)
    assert seen == sorted(seen)
    assert seen[0] == 0.0
    assert len({shown for shown in seen if 0 < shown < 1}) >= 4, "a film of five seconds tells of each"
    assert max(seen) < 1, "one is said of what is ready"
