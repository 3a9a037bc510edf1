"""How an export leaves: encrypted so that the age program opens it, entered first, and gone when its time is over."""

import asyncio
import fcntl
import io
import os
import pty
import subprocess
import termios
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
from exported import PLAIN, Taped, looked_at, passphrase, plain, sealed

from recordings.export import runner
from recordings.export.age import PassphraseUnfit, RecipientUnfit, to_passphrase
from recordings.export.refusals import ExportsFull, PlainNotAllowed, ReasonNeeded
from recordings.export.wish import Wish
from recordings.refusals import NotPlayable, RangeNotSatisfiable
from telehealth.access import Caller
from telehealth.audit.faults import LogUnavailable
from telehealth.audit.report import disclosures
from telehealth.errors import Forbidden, NotFound, WrongState
from telehealth.secret import Secret
from telehealth.sections import Export

PHRASE = "correct horse battery"


def age_with_passphrase(file: Path, phrase: str) -> bytes:
    """What the age program makes of a file, asked at a terminal as people are."""
    leader, follower = pty.openpty()
    out = file.with_suffix(".out")
    process = subprocess.Popen(
        ["age", "--decrypt", "-o", str(out), str(file)],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(follower, termios.TIOCSCTTY, 0),
    )
    os.close(follower)
    seen = b""
    while b"assphrase" not in seen:
        seen += os.read(leader, 1024)
    os.write(leader, phrase.encode() + b"\n")
    try:
        while os.read(leader, 1024):
            continue
    except OSError:  # the terminal is gone with the program
        assert process.wait(30) == 0
    finally:
        os.close(leader)
    return out.read_bytes()


async def test_a_recipient_opens_it_with_the_age_program(taped: Taped, tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    made = await taped.export(Wish("legal", secret=Secret(str(identity.to_public()))))
    assert (made.state, made.name.endswith(".webm.age")) == ("ready", True)
    file, key = tmp_path / "film.age", tmp_path / "key"
    await asyncio.to_thread(file.write_bytes, await taped.octets(made))
    await asyncio.to_thread(key.write_text, str(identity))
    done = await asyncio.to_thread(
        subprocess.run, ["age", "--decrypt", "-i", str(key), str(file)], capture_output=True, check=True
    )
    assert abs(looked_at(done.stdout).seconds - 5) < 0.3


async def test_a_passphrase_opens_it_with_the_age_program(taped: Taped, tmp_path: Path) -> None:
    made = await taped.export(passphrase(PHRASE))
    file = tmp_path / "film.age"
    await asyncio.to_thread(file.write_bytes, await taped.octets(made))
    assert abs(looked_at(await asyncio.to_thread(age_with_passphrase, file, PHRASE)).seconds - 5) < 0.3


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000])
def test_a_passphrase_file_of_any_size_is_what_age_says(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recordings.export.age.WORK", 4)
    data, written = os.urandom(size), bytearray()
    to_passphrase(io.BytesIO(data), written.extend, PHRASE, os.urandom)
    assert pyrage.passphrase.decrypt(bytes(written), PHRASE) == data
    with pytest.raises(pyrage.DecryptError):
        pyrage.passphrase.decrypt(bytes(written), PHRASE + "!")


async def test_what_age_cannot_take_is_refused_before_anything(taped: Taped) -> None:
    with pytest.raises(RecipientUnfit):
        await taped.export(Wish("legal", secret=Secret("age1nobody")))
    with pytest.raises(PassphraseUnfit):
        await taped.export(passphrase("short"))
    assert not await taped.house.entries("recording.export")


async def test_plain_needs_the_clinics_leave_and_a_reason(taped: Taped) -> None:
    with pytest.raises(PlainNotAllowed):
        await taped.export(plain())
    taped.house.service.exports.settings = PLAIN
    with pytest.raises(ReasonNeeded):
        await taped.export(Wish("legal", protection="plain"))


async def test_only_whoever_may_take_recordings_out_may(taped: Taped) -> None:
    stranger = Caller("user", "usr_other", "clinician", session="ses_other")
    for caller in (stranger, Caller("user", "usr_a", "auditor"), Caller("user", "usr_d", "front_desk")):
        with pytest.raises((Forbidden, NotFound)):
            await taped.export(sealed(), caller)
    token = Caller("token", "usr_admin", "admin", scopes=frozenset({"recordings:read"}), session="tok_1")
    with pytest.raises(NotFound):  # a scope that does not reach it is not told that there is such a thing
        await taped.export(sealed(), token)


async def test_intent_outcome_and_every_download_stand_in_the_log(taped: Taped) -> None:
    made = await taped.export(sealed())
    whole = await taped.octets(made)
    assert await taped.octets(made, 10, 30) == whole[10:30]
    exported = await taped.house.entries("recording.export")
    assert [entry.outcome for entry in exported] == ["intent", "done"]
    opened = [entry.index for entry in exported]
    downloads = await taped.house.entries("recording.download")
    assert [entry.outcome for entry in downloads] == ["intent", "done", "intent", "done"]
    assert downloads[1].detail["bytes"] == len(whole) == made.bytes
    assert downloads[3].detail["bytes"] == 20
    assert min(entry.index for entry in downloads) > max(opened)
    assert all(entry.purpose == "legal" and entry.recording == taped.recording for entry in [*exported, *downloads])
    assert (await taped.house.service.exports.show(taped.house.admin, made.id)).downloads == 1
    with pytest.raises(RangeNotSatisfiable):
        await taped.octets(made, len(whole))


async def test_the_list_of_disclosures_says_who_got_an_export_and_its_downloads(taped: Taped) -> None:
    made = await taped.export(replace(sealed(), given_to="The district court, 1 Main Street"))
    await taped.octets(made)
    unsaid = await taped.export(sealed())

    async def names(_ids: Iterable[str]) -> dict[str, str]:
        return {}

    gone = await disclosures(taped.house.log, names, None, None, None)
    told = [(one.stored.action, one.stored.subject, (one.private or {}).get("recipient")) for one in gone]
    assert told == [
        ("recording.export", made.id, "The district court, 1 Main Street"),
        ("recording.download", made.id, "The district court, 1 Main Street"),
        ("recording.export", unsaid.id, None),
    ]
    assert b"district court" not in b"".join(one.stored.leaf for one in gone)


async def test_without_the_log_no_key_is_opened_and_no_octet_leaves(taped: Taped) -> None:
    made = await taped.export(sealed())
    opened: list[str] = []
    keys = taped.house.service._keys
    real = keys.open

    async def noted(file_id: str, **more: object) -> object:
        opened.append(file_id)
        return await real(file_id, **more)  # type: ignore[arg-type]

    keys.open = noted  # type: ignore[method-assign,assignment]
    log = taped.house.log
    real_enter = log.enter

    async def down(entry: object) -> int:
        raise LogUnavailable

    log.enter = down  # type: ignore[method-assign,assignment]
    with pytest.raises(LogUnavailable):
        await taped.export(sealed())
    with pytest.raises(LogUnavailable):
        await taped.octets(made)
    log.enter = real_enter  # type: ignore[method-assign]
    assert opened == []


async def test_a_held_recording_may_leave_and_one_being_deleted_may_not(taped: Taped) -> None:
    house = taped.house
    await house.service.hold(house.admin, taped.recording, "a court asked")
    made = await taped.export(sealed())
    assert made.state == "ready"
    await house.service.exports.remove(house.admin, made.id)
    await house.service.release(house.admin, taped.recording)
    await house.service.catalogue.move(taped.recording, ("sealed",), "deleting")
    with pytest.raises(NotPlayable):
        await taped.export(sealed())


async def test_deleting_a_recording_takes_its_exports_and_ends_their_making(taped: Taped) -> None:
    house, exports = taped.house, taped.house.service.exports
    made = await taped.export(sealed())
    shares = await house.keys.file_ids()
    making = await exports.ask(house.admin, taped.recording, sealed())
    pieces = exports.downloads.pieces(house.admin.actor(), made.id, 0, made.bytes)
    await anext(pieces)
    await house.service._playback.end_all(recording=taped.recording)
    with pytest.raises((StopAsyncIteration, NotPlayable)):
        await anext(pieces)
    await exports.settle()
    states = {one.id: one.state for one in await exports.list(house.admin, taped.recording)}
    assert states == {made.id: "removed", making.id: "cancelled"}
    assert (await taped.row(made)).file in shares - await house.keys.file_ids()
    assert not [name for name in house.disk() if "export" in name or "sealing" in name]
    with pytest.raises(NotFound):
        await taped.octets(made)


async def test_an_export_is_destroyed_when_its_time_is_over(taped: Taped) -> None:
    made = await taped.export(sealed())
    assert await taped.house.service.exports.sweep() == 0
    taped.house.clock.move(hours=25)
    with pytest.raises(NotFound):
        await taped.octets(made)
    assert await taped.house.service.exports.sweep() == 1
    assert not [name for name in taped.house.disk() if name.endswith(".export")]
    assert [entry.detail["why"] for entry in await taped.house.entries("recording.export.remove")] == ["expired"]
    with pytest.raises(WrongState):
        await taped.house.service.exports.remove(taped.house.admin, made.id)


async def test_the_queue_is_bounded(taped: Taped) -> None:
    exports = taped.house.service.exports
    exports.settings = Export(waiting=1)
    asked = [await exports.ask(taped.house.admin, taped.recording, sealed()) for _ in range(2)]
    with pytest.raises(ExportsFull):
        await exports.ask(taped.house.admin, taped.recording, sealed())
    for one in reversed(asked):
        await exports.cancel(taped.house.admin, one.id)
    assert not (await exports.ledger.open_count())


async def test_a_cancelled_export_leaves_nothing_and_its_worker_is_gone(
    taped: Taped, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, exports = taped.house, taped.house.service.exports
    started = await _worker_of(taped, monkeypatch)
    before, shares = set(house.disk()), await house.keys.file_ids()
    asked = await exports.ask(house.admin, taped.recording, sealed())
    process = await started
    ended = await exports.cancel(house.admin, asked.id)
    assert (ended.state, process.returncode is not None) == ("cancelled", True)
    assert set(house.disk()) == before
    assert await house.keys.file_ids() == shares
    last = (await house.entries("recording.export"))[-1]
    assert (last.outcome, last.detail["code"], last.detail["by"]) == ("refused", "cancelled", house.admin.id)
    with pytest.raises(WrongState):
        await exports.cancel(house.admin, asked.id)


async def test_a_killed_worker_is_a_coded_failure_and_never_a_half(
    taped: Taped, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, exports = taped.house, taped.house.service.exports
    before, shares = set(house.disk()), await house.keys.file_ids()
    started = await _worker_of(taped, monkeypatch)
    asked = await exports.ask(house.admin, taped.recording, sealed())
    (await started).kill()
    await exports.settle()
    ended = await exports.show(house.admin, asked.id)
    assert (ended.state, ended.failure, ended.bytes) == ("failed", "export_worker_died", 0)
    assert set(house.disk()) == before
    assert await house.keys.file_ids() == shares
    last = (await house.entries("recording.export"))[-1]
    assert (last.outcome, last.detail["code"]) == ("failed", "export_worker_died")


async def test_a_start_after_a_kill_closes_what_was_left(taped: Taped) -> None:
    house = taped.house
    made = await taped.export(sealed())
    await house.service.exports.ledger.note(made.id, state="running")
    await house.restart()
    shown = await house.service.exports.show(house.admin, made.id)
    assert (shown.state, shown.failure) == ("failed", "export_interrupted")
    assert not [name for name in house.disk() if name.endswith(".export")]


async def _worker_of(taped: Taped, monkeypatch: pytest.MonkeyPatch) -> "asyncio.Future[asyncio.subprocess.Process]":
    """The worker of the next export, at its first word."""
    found: asyncio.Future[asyncio.subprocess.Process] = asyncio.get_running_loop().create_future()
    real = runner._Talk._range

    async def first(self: runner._Talk, number: int, offset: int, length: int) -> bytes:
        if not found.done():
            found.set_result(self.process)
        return await real(self, number, offset, length)

    monkeypatch.setattr(runner._Talk, "_range", first)
    return found
