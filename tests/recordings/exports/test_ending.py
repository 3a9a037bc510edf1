"""What ends an export ends all of it: every download under way, every file that a failed making left."""

import signal
from typing import Any

import pytest
from exported import Taped, sealed
from test_recordings_circle import colleague

from recordings.export import runner
from telehealth.access import Unseen
from telehealth.keys.provider import KeyServiceUnavailable
from telehealth.store import care


async def test_of_two_downloads_the_one_still_running_is_broken_off(taped: Taped) -> None:
    exports, admin = taped.house.service.exports, taped.house.admin
    made = await taped.export(sealed())
    first, second = (exports.downloads.pieces(admin.actor(), made.id, 0, made.bytes) for _ in range(2))
    await anext(first)
    reading = exports.downloads._reading[0]
    await anext(second)
    await second.aclose()
    await exports.remove(admin, made.id)
    assert reading.ended
    await first.aclose()


async def test_a_download_that_came_while_the_key_was_destroyed_is_broken_off(taped: Taped) -> None:
    exports, admin, keys = taped.house.service.exports, taped.house.admin, taped.house.keys
    made, late = await taped.export(sealed()), []
    real = keys.destroy

    async def slow(files: Any) -> Any:
        late.append(exports.downloads.pieces(admin.actor(), made.id, 0, made.bytes))
        await anext(late[0])
        return await real(files)

    keys.destroy = slow  # type: ignore[method-assign]
    await exports.remove(admin, made.id)
    keys.destroy = real  # type: ignore[method-assign]
    assert [one.ended for one in exports.downloads._reading] == [True]
    await late[0].aclose()


async def test_what_a_failed_making_left_goes_before_its_recording(taped: Taped) -> None:
    house = taped.house
    exports, real = house.service.exports, house.keys.destroy

    async def away(_files: Any) -> Any:
        raise KeyServiceUnavailable

    shares = await house.keys.file_ids()
    house.keys.destroy = away  # type: ignore[method-assign]
    made = await taped.export(sealed())
    assert (made.state, made.failure) == ("failed", KeyServiceUnavailable.code)
    left = await house.keys.file_ids() - shares
    assert left
    with pytest.raises(KeyServiceUnavailable):
        await exports.end_all(taped.recording)
    house.keys.destroy = real  # type: ignore[method-assign]
    await exports.end_all(taped.recording)
    assert await house.keys.file_ids() == shares
    assert not [name for name in house.disk() if "export" in name or "sealing" in name]


async def test_what_a_failed_making_left_goes_at_the_next_sweep(taped: Taped) -> None:
    house = taped.house
    real, shares = house.keys.destroy, await house.keys.file_ids()

    async def away(_files: Any) -> Any:
        raise KeyServiceUnavailable

    house.keys.destroy = away  # type: ignore[method-assign]
    await taped.export(sealed())
    await house.service.exports.sweep()
    assert await house.keys.file_ids() > shares
    house.keys.destroy = real  # type: ignore[method-assign]
    await house.service.exports.sweep()
    assert await house.keys.file_ids() == shares


async def test_one_export_that_cannot_be_destroyed_keeps_no_other_alive(taped: Taped) -> None:
    house, exports = taped.house, taped.house.service.exports
    first, second = await taped.export(sealed()), await taped.export(sealed())
    real, stuck = house.keys.destroy, (await taped.row(first)).file

    async def partly(files: Any) -> Any:
        if stuck in files:
            raise KeyServiceUnavailable
        return await real(files)

    house.clock.move(hours=25)
    house.keys.destroy = partly  # type: ignore[method-assign]
    assert await exports.sweep() == 1
    assert (await taped.row(second)).state == "removed"
    house.keys.destroy = real  # type: ignore[method-assign]
    assert await exports.sweep() == 1


async def test_an_export_stopped_before_its_first_step_is_cancelled_and_entered(taped: Taped) -> None:
    house, exports = taped.house, taped.house.service.exports
    real, ending = exports._tasks.start, []

    def at_once(work: Any, name: str) -> Any:
        task = real(work, name)
        ending.append(task.cancel())
        return task

    exports._tasks.start = at_once  # type: ignore[method-assign]
    asked = await exports.ask(house.admin, taped.recording, sealed())
    await exports._stop(exports._live[asked.id])
    assert ending == [True]
    assert (await taped.row(asked)).state == "cancelled"
    assert [entry.outcome for entry in await house.entries("recording.export")] == ["intent", "refused"]
    assert not exports._live


async def test_the_visits_team_sees_its_exports_and_a_stranger_is_refused_by_a_named_rule(taped: Taped) -> None:
    house, exports = taped.house, taped.house.service.exports
    who = await colleague(house)
    with pytest.raises(Unseen) as refused:
        await exports.list(who, taped.recording)
    assert (refused.value.verdict.rule, refused.value.thing.id) == ("circle", taped.recording)
    async with house.store.begin() as connection:
        await care.join(connection, house.visit, who.id, house.clinician, house.clock.now())
    assert await exports.list(who, taped.recording) == []


async def test_a_worker_that_hangs_gives_its_turn_back(taped: Taped, monkeypatch: pytest.MonkeyPatch) -> None:
    real = runner._Talk._range

    async def stopped(self: runner._Talk, number: int, offset: int, length: int) -> bytes:
        self.process.send_signal(signal.SIGSTOP)
        monkeypatch.setattr(runner, "SILENCE_SECONDS", 0.02)
        return await real(self, number, offset, length)

    monkeypatch.setattr(runner._Talk, "_range", stopped)
    made = await taped.export(sealed())
    assert (made.state, made.failure) == ("failed", "export_worker_died")


async def test_a_worker_cannot_fill_the_disk(taped: Taped, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MOST_A_SECOND", 10)
    before = set(taped.house.disk())
    made = await taped.export(sealed())
    assert (made.state, made.failure) == ("failed", "export_worker_died")
    assert set(taped.house.disk()) == before
