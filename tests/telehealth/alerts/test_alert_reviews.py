"""A week is signed off by a person who read it; emergency access is reviewed by somebody else."""

import hashlib
import json
from typing import Any

import pytest
from alert_tower import ADMIN, AUDITOR, START, Tower

from telehealth.access import Caller, command_line
from telehealth.alerts.refusals import CasesOpen, OwnCase, ReviewChanged, WeekNotOver
from telehealth.audit.actions import Action as A
from telehealth.audit.entry import Outcome
from telehealth.errors import Forbidden, NotFound, WrongState

WEEK = "2031-W19"


async def busy_week(tower: Tower) -> None:
    await tower.enter(A.JOIN)
    await tower.enter(A.PLAYBACK_GRANT, Outcome.INTENT, recording="rec_a")
    await tower.enter(A.PLAYBACK_GRANT, recording="rec_a")
    await tower.enter(A.SIGNIN_TRY, Outcome.REFUSED, detail={"count": 3, "aggregated": True}, subject="usr_a")
    await tower.enter(A.USER_CREATE, subject="usr_b", detail={"role": "clinician"})
    await tower.raised()


async def test_the_week_counts_what_was_done(any_tower: Tower) -> None:
    await busy_week(any_tower)
    any_tower.restart()
    await any_tower.raised()
    found = await any_tower.room.reviews.show(AUDITOR, WEEK)
    counts = {name: count for name, count in found.summary["counts"].items() if count}
    assert counts == {"joins": 1, "plays": 1, "failed_sign_ins": 3, "refusals": 3, "user_changes": 1}
    assert not found.over


async def test_a_week_begins_on_monday_in_the_clinics_time_zone(tower: Tower) -> None:
    tower.clock.moment = START.replace(day=11, hour=21, minute=59)  # Sunday, 23:59 in Vienna
    await tower.enter(A.JOIN)
    tower.clock.step(minutes=2)
    await tower.enter(A.JOIN)
    await tower.raised()
    for week in (WEEK, "2031-W20"):
        found = await tower.room.reviews.show(ADMIN, week)
        assert found.summary["counts"]["joins"] == 1


async def test_signing_enters_the_hash_of_what_was_signed_and_holds_once(any_tower: Tower) -> None:
    tower = any_tower
    await busy_week(tower)
    shown = await tower.room.reviews.show(AUDITOR, WEEK)
    with pytest.raises(WeekNotOver):
        await tower.room.reviews.sign(AUDITOR, WEEK, shown.sha256, None)
    tower.clock.step(days=7)
    await tower.raised()
    shown = await tower.room.reviews.show(AUDITOR)
    assert (shown.week, shown.over, shown.complete) == (WEEK, True, True)
    with pytest.raises(Forbidden):
        await tower.room.reviews.sign(command_line(), WEEK, shown.sha256, None)
    signed = await tower.room.reviews.sign(AUDITOR, WEEK, shown.sha256, "quiet")
    assert signed.signed is not None
    assert (signed.signed.by_name, signed.signed.note, signed.sha256) == ("Auditor", "quiet", shown.sha256)
    done = (await tower.entries(A.REVIEW_SIGN))[-1]
    assert (done.outcome, done.detail["sha256"], done.detail["week"]) == ("done", shown.sha256, WEEK)
    canonical = json.dumps(signed.summary, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert hashlib.sha256(canonical.encode()).hexdigest() == shown.sha256
    with pytest.raises(WrongState):
        await tower.room.reviews.sign(ADMIN, WEEK, shown.sha256, None)
    assert [(line.week, line.signed is not None) for line in await tower.room.reviews.history(ADMIN)] == [(WEEK, True)]


async def test_what_changed_since_it_was_read_is_not_signed(tower: Tower) -> None:
    await tower.enter(A.AUDIT_EXPORT)
    [row] = await tower.raised()
    tower.clock.step(days=7)
    shown = await tower.room.reviews.show(ADMIN, WEEK)
    await tower.room.acknowledge(ADMIN, row.id, "planned")
    with pytest.raises(ReviewChanged):
        await tower.room.reviews.sign(ADMIN, WEEK, shown.sha256, None)


async def test_a_week_whose_entries_are_not_all_counted_is_not_signed(tower: Tower) -> None:
    await tower.enter(A.JOIN)
    tower.clock.step(days=7)
    shown = await tower.room.reviews.show(ADMIN, WEEK)
    assert not shown.complete
    with pytest.raises(ReviewChanged):
        await tower.room.reviews.sign(ADMIN, WEEK, shown.sha256, None)


async def test_emergency_access_is_reviewed_by_somebody_else_before_the_week_is_signed(any_tower: Tower) -> None:
    tower = any_tower
    index = await tower.enter(A.BREAK_GLASS_ADMIT, who="usr_admin", visit="vis_a", subject="par_a")
    await tower.raised()
    tower.clock.step(days=7)
    await tower.raised()
    shown = await tower.room.reviews.show(ADMIN, WEEK)
    [case] = shown.cases
    assert (case.entry, case.actor, case.verdict) == (index, "usr_admin", None)
    with pytest.raises(CasesOpen):
        await tower.room.reviews.sign(AUDITOR, WEEK, shown.sha256, None)
    with pytest.raises(OwnCase):
        await tower.room.reviews.judge(ADMIN, index, "justified", "it was me")
    with pytest.raises(Forbidden):
        await tower.room.reviews.judge(command_line(), index, "justified", "whoever I am")
    with pytest.raises(NotFound):
        await tower.room.reviews.judge(AUDITOR, index + 100, "justified", "what")
    await tower.room.reviews.judge(AUDITOR, index, "justified", "the log was down")
    with pytest.raises(WrongState):
        await tower.room.reviews.judge(AUDITOR, index, "unclear", "again")
    shown = await tower.room.reviews.show(AUDITOR, WEEK)
    [case] = shown.cases
    assert (case.verdict, case.note, case.reviewed_by) == ("justified", "the log was down", "Auditor")
    done = (await tower.entries(A.REVIEW_CASE))[1]
    assert (done.outcome, done.detail["case"], done.detail["verdict"]) == ("done", index, "justified")
    assert (await tower.room.reviews.sign(AUDITOR, WEEK, shown.sha256, None)).signed is not None


async def test_somebody_is_reminded_when_nobody_signed(tower: Tower) -> None:
    await tower.enter(A.JOIN)
    await tower.raised()
    gauges = tower.gauges(review=tower.room.reviews.up_to_date)

    async def told() -> set[str]:
        await tower.room.look_at_gauges(gauges)
        tower.clock.step(minutes=2)
        await tower.room.look_at_gauges(gauges)
        return await tower.names()

    assert await told() == set()
    tower.clock.moment = START.replace(day=13, hour=20)  # the Tuesday after: its grace runs
    assert await told() == set()
    tower.clock.step(days=1)
    assert await told() == {"review_overdue"}
    shown = await tower.room.reviews.show(AUDITOR, WEEK)
    await tower.room.reviews.sign(AUDITOR, WEEK, shown.sha256, None)
    await tower.room.look_at_gauges(gauges)
    [row] = await tower.raised()
    assert row.over_at is not None


async def test_reviews_are_for_overseers(tower: Tower) -> None:
    clinician: Any = Caller("user", "usr_c", "clinician")
    for asking in (
        tower.room.reviews.show(clinician),
        tower.room.reviews.history(clinician),
        tower.room.reviews.sign(clinician, WEEK, "0" * 64, None),
        tower.room.reviews.judge(clinician, 1, "justified", "x"),
        tower.room.find(clinician, True),
        tower.room.count(clinician),
    ):
        with pytest.raises(Forbidden):
            await asking
    with pytest.raises(NotFound):
        await tower.room.reviews.show(ADMIN, "2031-W60")
