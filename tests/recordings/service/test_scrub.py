"""Every sealed recording is read again within the period, slowly, and the first bad segment is told at once."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings_house import House

from recordings.envelope import HEADER_SIZE, SEALED_SEGMENT
from recordings.rounds import Rounds
from recordings.scrub import PacedReads, Scrub, turns
from telehealth.audit.faults import LogUnavailable
from telehealth.errors import Unavailable
from telehealth.ids import Kind, new_id

DAYS = 30
PERIOD = timedelta(days=DAYS)
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


async def no_pause(_seconds: float) -> None: ...


def scrub_of(house: House, days: int = DAYS) -> Scrub:
    service = house.service
    return Scrub(
        service.catalogue, house.keys, house.log, house.vault, house.clock, Rounds(), days, pause=no_pause
    )  # fmt: skip


async def look_for(house: House, scrub: Scrub, days: int) -> None:
    for _ in range(days):
        house.clock.move(days=1)
        await scrub.look()


async def test_every_file_is_read_once_in_a_period(house: House) -> None:
    for _ in range(4):
        await house.recorded(0.1)
    scrub = scrub_of(house)
    await look_for(house, scrub, DAYS)
    assert scrub.figures.files == 12
    await look_for(house, scrub, DAYS)
    assert scrub.figures.files == 24
    assert scrub.figures.damaged == 0
    assert scrub.figures.reached == house.clock.now().timestamp()
    entries = await house.entries("recording.verify")
    assert {entry.outcome for entry in entries} == {"intent", "done"}
    done = [entry.detail for entry in entries if entry.outcome == "done"]
    assert sum(detail["files"] for detail in done) == scrub.figures.files
    assert sum(detail["bytes"] for detail in done) == scrub.figures.octets


async def test_a_restart_every_few_hours_leaves_nothing_out(house: House) -> None:
    for _ in range(3):
        await house.recorded(0.1)
    seen = 0
    for _ in range(2 * DAYS):
        house.clock.move(hours=12)
        scrub = scrub_of(house)
        await scrub.look()
        seen += scrub.figures.files
    assert seen >= 9


async def test_the_first_bad_segment_is_an_alarm_and_an_entry_and_the_rest_goes_on(house: House) -> None:
    damaged = await house.recorded(60.0)
    await house.recorded(0.1)
    track = (await house.service.show(house.admin, damaged)).tracks[0].id
    path = house.folder / "vault" / f"{track}.sealed"
    content = bytearray(path.read_bytes())
    content[HEADER_SIZE + SEALED_SEGMENT + 20 + 500] ^= 1
    path.write_bytes(content)
    scrub = scrub_of(house, 1)
    house.clock.move(days=1)
    await scrub.look()
    assert (scrub.figures.files, scrub.figures.damaged) == (5, 1)
    [entry] = [entry for entry in await house.entries("recording.verify") if entry.outcome == "failed"]
    assert (entry.recording, entry.subject, entry.detail["code"]) == (damaged, track, "segment_forged")


async def test_a_file_or_a_key_that_is_gone_is_damage(house: House) -> None:
    recording = await house.recorded(0.1)
    first, second = (track.id for track in (await house.service.show(house.admin, recording)).tracks)
    (house.folder / "vault" / f"{first}.sealed").unlink()
    await house.keys.destroy([second])
    scrub = scrub_of(house, 1)
    await scrub.look()
    codes = [entry.detail["code"] for entry in await house.entries("recording.verify") if entry.outcome == "failed"]
    assert sorted(codes) == ["key_destroyed", "vault_missing"]
    assert scrub.figures.damaged == 2


async def test_a_key_store_that_is_away_is_no_damage_and_the_turns_come_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.recorded(0.1)
    scrub = scrub_of(house, 1)
    real = house.keys.open

    async def away(_file: str, **_named: object) -> object:
        raise Unavailable

    monkeypatch.setattr(house.keys, "open", away)
    with pytest.raises(Unavailable):
        await scrub.look()
    assert (scrub.figures.damaged, scrub.figures.put_off, scrub.figures.reached) == (0, 1, 0)
    monkeypatch.setattr(house.keys, "open", real)
    await scrub.look()
    assert scrub.figures.files == 3


async def test_without_the_log_no_key_is_asked_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.recorded(0.1)
    opened: list[str] = []

    async def watched(file_id: str, **_named: object) -> object:
        opened.append(file_id)
        raise AssertionError

    monkeypatch.setattr(house.keys, "open", watched)
    await house.log.close()
    with pytest.raises(LogUnavailable):
        await scrub_of(house, 1).look()
    assert not opened


async def test_nothing_is_read_when_it_is_switched_off(house: House) -> None:
    await house.recorded(0.1)
    scrub = scrub_of(house, 0)
    await look_for(house, scrub, 3)
    assert scrub.figures.files == 0
    assert await house.entries("recording.verify") == []


async def test_reading_rests_in_proportion_to_what_was_read(house: House) -> None:
    await house.recorded(0.1)
    rests: list[float] = []

    async def note(seconds: float) -> None:
        rests.append(seconds)

    name = next(iter(house.disk()))
    reads = PacedReads(house.vault, 1000.0, note)
    size = len(await reads.read(name, 0, 1 << 20))
    assert rests == [size / 1000]


async def test_the_figures_are_there_for_metrics(house: House) -> None:
    await house.recorded(0.1)
    scrub = scrub_of(house, 1)
    await scrub.look()
    read = {name: value() for name, _, value in scrub.gauges()}
    assert (read["scrub_files"], read["scrub_damaged"]) == (3.0, 0.0)
    assert read["scrub_bytes"] == scrub.figures.octets


@given(steps=st.lists(st.integers(1, 40 * 24 * 60), min_size=1, max_size=30), first=st.integers(0, 10**6))
def test_each_id_has_its_turn_exactly_as_often_as_periods_pass(steps: list[int], first: int) -> None:
    recording = new_id(Kind.RECORDING)
    moment = NOW + timedelta(minutes=first)
    begun, taken, most = moment, 0, 0
    for minutes in steps:
        until = moment + timedelta(minutes=minutes)
        taken += any(after < recording and (last is None or recording <= last) for after, last in
                     turns(moment, until, PERIOD))  # fmt: skip
        most += max(1, -(-(until - moment) // PERIOD))
        moment = until
    whole = sum(timedelta(minutes=minutes) < PERIOD for minutes in steps) == len(steps)
    periods = (moment - begun) / PERIOD
    assert taken <= most
    if whole:
        assert int(periods) <= taken <= int(periods) + 1
