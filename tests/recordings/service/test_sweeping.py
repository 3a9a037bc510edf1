"""What is due goes, in every state."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from recordings_house import House


async def test_what_is_due_goes_in_every_state(house: House) -> None:
    sealed = await house.recorded(0.1)
    interrupted = await house.recorded(0.1)
    await house.service.catalogue.move(interrupted, ("sealed",), "interrupted")
    capturing = await house.recorded(0.1)
    await house.service.catalogue.move(capturing, ("sealed",), "capturing", stopped_at=None)
    house.clock.move(days=29)
    assert (await house.service.sweep()).deleted == 0
    young = await house.recorded(0.1)
    house.clock.move(days=2)
    report = await house.service.sweep()
    assert report.deleted == 3
    for recording in (sealed, interrupted, capturing):
        row = await house.service.catalogue.recording(recording)
        assert (row.state, row.delete_reason, row.delete_asked_by) == ("deleted", "retention", "server")
        assert row.certificate is not None
    assert (await house.service.show(house.admin, young)).state == "sealed"
    [entry] = await house.entries("retention.sweep")
    assert entry.detail["deleted"] == 3


async def test_what_is_recorded_right_now_is_left_for_a_later_round(house: House) -> None:
    recording = await house.begin()
    house.clock.move(days=40)
    report = await house.service.sweep()
    assert (report.deleted, report.left) == (0, 1)
    await house.service.stop(recording, "clinician")
    await house.service.settle()
    assert (await house.service.show(house.admin, recording)).state == "sealed"


async def test_one_change_of_the_key_store_ends_a_whole_batch(house: House) -> None:
    recordings = [await house.recorded(0.06) for _ in range(5)]
    house.clock.move(days=31)
    buckets_before = (await house.keys.status()).epoch_keys
    assert (await house.service.sweep()).deleted == 5
    assert (await house.keys.status()).shares == 0
    assert buckets_before >= 1
    rows = [await house.service.catalogue.recording(recording) for recording in recordings]
    assert len({row.destruction["changes"][0]["old"] for row in rows if row.destruction}) == 1


async def test_a_sweep_and_a_wish_at_once_delete_once(house: House) -> None:
    recording = await house.recorded(0.1)
    house.clock.move(days=31)
    await asyncio.gather(
        house.service.sweep(),
        house.service.delete(house.admin, recording, "error"),
        house.service.finish_deletions(),
        return_exceptions=True,
    )
    done = [entry for entry in await house.entries("recording.delete") if entry.outcome == "done"]
    assert len(done) == 1
    assert (await house.service.catalogue.recording(recording)).state == "deleted"


async def test_a_hold_set_before_the_seal_reaches_the_key_store_after_it(house: House) -> None:
    recording = await house.begin()
    house.speak(recording, 0.1)
    await house.service.hold(house.admin, recording, "court")
    await house.service.stop(recording, "clinician")
    await house.service.settle()
    files = await house.service.catalogue.files_of(recording)
    assert len(files) == 3
    assert all([await house.keys.held(file.id) for file in files])


async def test_the_default_rule_is_seven_years_of_visits(house: House) -> None:
    from recordings.retention import Rule
    from recordings.rules import Rules

    rules = Rules(house.service.catalogue, house.log, house.clock, Rule())
    assert [(rule.retention_class, rule.days, rule.minimum_days) for rule in await rules.all()] == [("visit", 2557, 0)]
    assert await house.service.retention_days() == 30


class Stubborn:
    """A disk that does not let go of one recording's files, in a way nobody foresaw."""

    def __init__(self, part: Any) -> None:
        self._part = part
        self.kept: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)

    async def delete(self, name: str) -> None:
        if name in self.kept:
            raise RuntimeError
        await self._part.delete(name)


async def test_one_deletion_that_fails_stops_neither_the_others_nor_the_sweep(tmp_path: Path) -> None:
    disks: list[Stubborn] = []

    def wrap(name: str, part: Any) -> Any:
        if name == "vault":
            disks.append(Stubborn(part))
        return disks[-1] if name == "vault" else part

    house = House(tmp_path, wrap=wrap, alone=True)
    await house.open()
    recordings = [await house.recorded(0.06) for _ in range(3)]
    disks[-1].kept = {file.row.name for file in await house.service.catalogue.files_of(recordings[0])}
    house.clock.move(days=31)
    assert (await house.service.sweep()).deleted == 2
    with pytest.raises(RuntimeError):
        await house.service._destroying.deletion.finish(recordings)
    disks[-1].kept.clear()
    await house.renew()  # a start goes on with it in the background
    await house.service.settle()
    assert (await house.service.catalogue.recording(recordings[0])).state == "deleted"
    await house.close()
