"""The rules follow the log behind its writer: nothing is left out or told twice, and nothing waits for them."""

import asyncio
import os
from typing import Any

import pytest
from alert_tower import ADMIN, HOME, START, Tower

from telehealth.access import Caller
from telehealth.alerts import store as rows
from telehealth.alerts.raising import MANY, MOST_IN_HOUR
from telehealth.alerts.rules import Change
from telehealth.alerts.settings import Alerts
from telehealth.audit.actions import Action as A
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.errors import Forbidden, NotFound, WrongState

NO = Outcome.REFUSED


async def fail(tower: Tower, count: int, subject: str = "usr_a", address: str = HOME) -> None:
    """Many at once, as a flood comes."""
    actor = Actor("stranger", "", address=address)
    entries = [Entry(A.SIGNIN_TRY, NO, actor, subject=subject, detail={"reason": "wrong"}) for _ in range(count)]
    await asyncio.gather(*(tower.audit.enter(entry) for entry in entries))


async def test_a_restart_in_the_middle_of_a_window_goes_on_counting(any_tower: Tower) -> None:
    for _ in range(4):
        await fail(any_tower, 1)
        assert await any_tower.names() == set()
        any_tower.clock.step(minutes=1)
        any_tower.restart()
    await fail(any_tower, 1)
    any_tower.restart()
    [row] = await any_tower.raised()
    assert (row.rule, row.subject, row.times, row.facts["count"]) == ("sign_in_failures_account", "usr_a", 1, 5)


async def test_a_restart_tells_nothing_twice(any_tower: Tower) -> None:
    await fail(any_tower, 7)
    before = await any_tower.raised()
    for _ in range(3):
        any_tower.restart()
        assert await any_tower.raised() == before
    assert len(await any_tower.entries(A.ALERT_RAISE)) == 1


async def test_what_was_learned_outlives_a_restart(any_tower: Tower) -> None:
    await any_tower.enter(A.SIGNIN_OK, subject="usr_a")
    await any_tower.raised()
    any_tower.restart()
    await any_tower.enter(A.SIGNIN_OK, subject="usr_a", device="Safari 26, iPhone")
    assert await any_tower.names() == {"new_device"}


async def test_a_page_that_could_not_be_written_is_judged_again_whole(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fail(tower, 5)
    real, calls = rows.keep_number, list[str]()

    async def broken(c: Any, name: str, value: int) -> None:
        calls.append(name)
        if name == "next_entry" and calls.count("next_entry") == 1:
            raise OSError("disk")
        await real(c, name, value)

    monkeypatch.setattr(rows, "keep_number", broken)
    with pytest.raises(OSError, match="disk"):
        await tower.room.look()
    assert tower.room.follower.failing
    async with tower.store.read() as c:
        assert await rows.page(c, None, 10, None) == []
    [row] = await tower.raised()
    assert (row.times, tower.room.follower.failing) == (1, False)


async def test_the_same_again_is_a_count_and_after_the_window_a_new_alert(tower: Tower) -> None:
    await fail(tower, 5)
    await tower.raised()
    tower.clock.step(minutes=50)
    await fail(tower, 10)
    [row] = await tower.raised()
    assert row.times == 3
    tower.clock.step(minutes=61)
    await fail(tower, 5)
    assert [row.times for row in await tower.raised()] == [3, 1]


async def test_what_happens_after_the_acknowledgement_is_a_new_alert(tower: Tower) -> None:
    await fail(tower, 5)
    [row] = await tower.raised()
    await tower.room.acknowledge(ADMIN, row.id, "called them")
    await fail(tower, 5)
    assert len(await tower.raised()) == 2


async def test_acknowledging_is_entered_with_its_note_sealed(tower: Tower) -> None:
    await fail(tower, 5)
    [row] = await tower.raised()
    seen = await tower.room.acknowledge(ADMIN, row.id, "Zora forgot it")
    assert (seen.note, seen.acknowledged_by) == ("Zora forgot it", "Admin")
    intent, done = await tower.entries(A.ALERT_ACKNOWLEDGE)
    assert (intent.outcome, done.outcome, done.subject) == ("intent", "done", row.id)
    assert b"Zora" not in done.leaf
    assert (await tower.audit.open_private(done) or {})["note"] == "Zora forgot it"
    with pytest.raises(WrongState):
        await tower.room.acknowledge(ADMIN, row.id, "again")
    with pytest.raises(NotFound):
        await tower.room.acknowledge(ADMIN, "alr_none", "again")
    with pytest.raises(Forbidden):
        await tower.room.acknowledge(Caller("user", "usr_c", "clinician"), row.id, "mine")


async def test_an_alert_that_a_crash_left_without_its_entry_gets_it_once(tower: Tower) -> None:
    await fail(tower, 5)
    while await tower.room.follower.step():
        pass
    tower.restart()  # the crash came before the entry
    await tower.raised()
    async with tower.store.begin() as c:
        [row] = await rows.page(c, None, 10, None)
        await rows.change_alert(c, row.id, entered=None)  # and another before it was noted
    tower.restart()
    [row] = await tower.raised()
    assert row.entered is not None
    assert len(await tower.entries(A.ALERT_RAISE)) == 1


async def test_many_subjects_at_once_become_one_alert_about_many(tower: Tower) -> None:
    for number in range(MOST_IN_HOUR + 30):
        await fail(tower, 5, f"usr_{number}", f"10.{number}.0.1")
    found = [row for row in await tower.raised() if row.rule == "sign_in_failures_account"]
    assert len(found) == MOST_IN_HOUR + 1
    [many] = [row for row in found if row.subject == MANY]
    assert (many.times, many.facts) == (30, {})


async def test_alerts_do_not_feed_on_themselves(tower: Tower) -> None:
    await fail(tower, 5)
    for _ in range(3):
        assert len(await tower.raised()) == 1
    assert tower.room.follower.behind == 0


async def test_addresses_stand_sealed_in_the_row_and_hashed_as_the_subject(tower: Tower) -> None:
    await fail(tower, 20, subject="usr_b", address="203.0.113.77")
    await tower.raised()
    page = await tower.room.find(ADMIN, True)
    by_address = next(one for one in page.items if one.rule == "sign_in_failures_address")
    assert by_address.about == {"address": "203.0.113.77"}
    assert len(by_address.subject) == 32
    content = b"".join(path.read_bytes() for path in tower.folder.glob("telehealth.db*"))
    assert b"203.0.113.77" not in content
    assert (await tower.entries(A.AUDIT_READ))[0].detail["criteria"] == "alerts"


async def test_a_clinic_changes_rules_and_turns_them_off(open_tower: Any) -> None:
    settings = Alerts(
        rules={"sign_in_failures_account": Change(least=2, severity="critical"), "log_export": Change(on=False)}
    )
    tower: Tower = await open_tower(settings=settings)
    await fail(tower, 2)
    await tower.enter(A.AUDIT_EXPORT)
    [row] = await tower.raised()
    assert (row.rule, row.severity) == ("sign_in_failures_account", "critical")


async def test_a_dry_run_tells_what_would_have_been_and_raises_nothing(tower: Tower) -> None:
    await fail(tower, 5)
    tower.clock.step(days=3)
    await fail(tower, 10, "usr_b")
    tried = await tower.room.try_rules(ADMIN, 1)
    assert (tried.fired["sign_in_failures_account"], tried.cut) == (2, False)
    tried = await tower.room.try_rules(ADMIN, 4, "sign_in_failures_account")
    assert set(tried.fired.items()) == {("sign_in_failures_account", 3)}
    assert {one.subject for one in tried.samples["sign_in_failures_account"]} == {"usr_a", "usr_b"}
    async with tower.store.read() as c:
        assert await rows.page(c, None, 10, None) == []


async def flood(tower: Tower, count: int) -> None:
    """Strangers, each from an address of their own, trying accounts that there are not."""
    for first in range(0, count, 1000):
        acts = [
            Entry(
                A.SIGNIN_TRY,
                NO,
                Actor("stranger", "", address=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"),
                subject=f"usr_{number}",
                detail={"reason": "wrong"},
            )
            for number in range(first, min(first + 1000, count))
        ]
        await asyncio.gather(*(tower.audit.enter(act) for act in acts))


async def test_memory_stays_bounded_in_a_flood_and_the_slow_attack_beside_it_is_seen(open_tower: Any) -> None:
    tower: Tower = await open_tower(most=200)
    for _ in range(4):
        await tower.enter(A.CODE_TRY, NO, kind="participant", who="par_a", subject="lnk_a", visit="vis_a")
        await flood(tower, 500)
    assert await tower.names() == {"code_failures_link"}
    assert tower.room.follower.remembered <= 200 * 4


async def test_appending_does_not_wait_while_the_rules_catch_up(tower: Tower) -> None:
    await flood(tower, 2000)
    looking = asyncio.create_task(tower.room.look())
    for _ in range(20):
        await tower.enter(A.VISIT_READ)
    await looking
    await tower.room.look()
    assert tower.room.follower.behind == 0


@pytest.mark.slow
async def test_a_hundred_thousand_entries_are_judged_in_bounded_memory(open_tower: Any) -> None:
    count = int(os.environ.get("N", "100000"))
    tower: Tower = await open_tower(most=4096)
    await flood(tower, count)
    assert await tower.room.look() >= count
    assert tower.room.follower.remembered <= 4096 * len(tower.rules)
    assert tower.clock.moment == START
