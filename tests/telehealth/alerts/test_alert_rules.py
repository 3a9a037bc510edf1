"""Every rule fires on its story and stays silent on the innocent one beside it."""

from datetime import timedelta
from pathlib import Path

import pytest
from alert_people import plays_everything, signs_in
from alert_stories import STORIES
from alert_tower import ABROAD, ADMIN, HOME, START, SteppedClock, Tower

from telehealth.alerting import gauges_of
from telehealth.alerts.rules import SHIPPED
from telehealth.audit.actions import Action as A
from telehealth.config import Config
from telehealth.house import open_house
from telehealth.identity.hashing import Cost
from telehealth.store.engine import Store

GAUGED = {rule.name: rule.gauge for rule in SHIPPED if rule.kind == "gauge"}


def test_every_rule_has_its_story() -> None:
    assert set(STORIES) | set(GAUGED) | {"log_trouble"} == {rule.name for rule in SHIPPED}


@pytest.mark.parametrize("rule", STORIES)
async def test_a_rule_fires_on_its_story(tower: Tower, rule: str) -> None:
    await STORIES[rule][0](tower)
    found = [row for row in await tower.raised() if row.rule == rule]
    assert len(found) == 1
    [entry] = [one for one in await tower.entries(A.ALERT_RAISE) if one.subject == found[0].id]
    assert entry.detail["rule"] == rule
    assert entry.index == found[0].entered


@pytest.mark.parametrize("rule", STORIES)
async def test_a_rule_is_silent_on_the_innocent_story(tower: Tower, rule: str) -> None:
    await STORIES[rule][1](tower)
    assert rule not in await tower.names()


@pytest.mark.parametrize("rule", GAUGED)
async def test_a_gauge_that_stays_bad_is_told_and_closes_when_well(tower: Tower, rule: str) -> None:
    well = [False]

    async def gauge() -> bool:
        return well[0]

    gauges = tower.gauges(**{GAUGED[rule]: gauge})
    minutes = next(one.minutes for one in SHIPPED if one.name == rule)
    await tower.room.look_at_gauges(gauges)
    tower.clock.step(minutes=minutes - 0.5)
    await tower.room.look_at_gauges(gauges)
    assert await tower.names() == set()
    tower.clock.step(minutes=1)
    await tower.room.look_at_gauges(gauges)
    [row] = await tower.raised()
    assert (row.rule, row.over_at) == (rule, None)
    well[0] = True
    await tower.room.look_at_gauges(gauges)
    [row] = await tower.raised()
    assert row.over_at == tower.clock.now()


async def test_a_house_whose_wrapping_key_served_its_quarter_is_not_well_until_it_turned_over(tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in ("keys", "audit", "recordings")}
    places |= {"root_key": tmp_path / "root" / "root.key"}
    config = Config.model_validate({"places": {"database": f"sqlite:///{tmp_path}/db/t.db", **places}})
    clock = SteppedClock()
    async with open_house(config, clock, Cost(passes=1, memory_kib=32, lanes=1)) as house:
        well = gauges_of(house)["key_rotation"]
        clock.step(days=90)
        assert await well()
        clock.step(days=1)
        assert not await well()
        await house.turnover.look()
        assert await well()


async def test_trouble_that_somebody_took_on_is_not_raised_again_while_it_lasts(tower: Tower) -> None:
    well = [False]

    async def gauge() -> bool:
        return well[0]

    async def looks(count: int) -> int:
        for _ in range(count):
            await tower.room.look_at_gauges(gauges)
            tower.clock.step(minutes=2)
        return len(await tower.raised())

    gauges = tower.gauges(disk=gauge)
    assert await looks(5) == 1
    [row] = await tower.raised()
    assert row.times == 1
    await tower.room.acknowledge(ADMIN, row.id, "a new disk is on its way")
    assert await looks(5) == 1
    well[0] = True
    assert await looks(1) == 1
    well[0] = False
    assert await looks(3) == 2


async def test_a_short_dip_of_a_gauge_is_nobodys_business(tower: Tower) -> None:
    well = [False]

    async def gauge() -> bool:
        return well[0]

    gauges = tower.gauges(log=gauge)
    for state in (False, True, False, True):
        well[0] = state
        await tower.room.look_at_gauges(gauges)
        tower.clock.step(seconds=50)
    assert await tower.names() == set()


async def test_what_the_logs_watch_rings_is_an_alert_once(tower: Tower) -> None:
    gauges = tower.gauges()
    tower.alarms("audit.tampered")
    tower.alarms("audit.anchor_back")
    await tower.room.look_at_gauges(gauges)
    await tower.room.look_at_gauges(gauges)
    [row] = await tower.raised()
    assert (row.rule, row.subject, row.times) == ("log_trouble", "audit.tampered", 1)


async def test_what_rings_while_the_database_is_down_is_an_alert_when_it_is_back(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unwell() -> bool:
        return False

    gauges = tower.gauges(disk=unwell)
    await tower.room.look_at_gauges(gauges)
    tower.clock.step(minutes=2)
    tower.alarms("audit.tampered")
    with monkeypatch.context() as down:
        down.setattr(Store, "begin", lambda _store: (_ for _ in ()).throw(OSError("no database")))
        with pytest.raises(OSError, match="no database"):
            await tower.room.look_at_gauges(gauges)
    await tower.room.look_at_gauges(gauges)
    await tower.room.look_at_gauges(gauges)
    assert sorted((row.rule, row.times) for row in await tower.raised()) == [("disk_full", 1), ("log_trouble", 1)]


async def test_a_gauge_that_cannot_be_read_is_not_well(tower: Tower) -> None:
    async def gauge() -> bool:
        raise OSError

    gauges = tower.gauges(disk=gauge)
    await tower.room.look_at_gauges(gauges)
    tower.clock.step(minutes=2)
    await tower.room.look_at_gauges(gauges)
    assert await tower.names() == {"disk_full"}


async def test_what_a_first_start_meets_of_long_ago_teaches_and_alarms_nobody(tower: Tower) -> None:
    await plays_everything(tower)
    await signs_in(tower, HOME)
    tower.clock.step(days=3)
    assert await tower.names() == set()
    await signs_in(tower, ABROAD)
    assert await tower.names() == {"new_country"}


async def test_a_place_not_seen_for_long_is_new_again(tower: Tower) -> None:
    await signs_in(tower, HOME)
    await signs_in(tower, ABROAD)
    assert len([row for row in await tower.raised() if row.rule == "new_country"]) == 1
    tower.clock.step(days=90)
    await signs_in(tower, ABROAD)
    assert len([row for row in await tower.raised() if row.rule == "new_country"]) == 1
    tower.clock.step(days=181)
    await signs_in(tower, ABROAD)
    found = [row for row in await tower.raised() if row.rule == "new_country"]
    assert len(found) == 2
    assert found[1].raised_at - START > timedelta(days=180)
