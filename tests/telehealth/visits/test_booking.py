"""Booking, changing, cancelling and ending; who may see which visit."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from telehealth.access import Caller
from telehealth.errors import Forbidden, Malformed, NotFound, WrongState
from telehealth.identity.faults import ChannelNotAllowed, ContactUnfit, PasscodeWeak
from telehealth.outbox.outbox import ChannelOff
from telehealth.visits.orders import NewLink, NewPatient, NewVisit, VisitChange, VisitQuery
from telehealth.visits.states import VisitState
from tests.partners.databases import Databases
from tests.telehealth.visits.visit_house import CANARY, Place, Staff

ASKED = NewVisit(NewPatient(CANARY, "canary@example.org", date(1980, 2, 3)))


async def caller(place: Place, login: str = "ada", role: str = "clinician") -> tuple[Staff, Caller]:
    staff = await place.staff(login, role)
    return staff, await place.caller(staff)


async def test_a_visit_comes_with_its_first_link(place: Place) -> None:
    staff, ada = await caller(place)
    visit, issued = await place.booking.create(ada, replace(ASKED, minutes=45, recording_planned=True))
    assert (visit.state, visit.clinician.id, visit.clinician.name) == ("booked", staff.id, "Dr ada")
    assert (visit.patient.name, visit.patient.birth_date) == (CANARY, "1980-02-03")
    assert [(link.id, link.state) for link in visit.links] == [(issued.id, "live")]
    assert issued.expires_at - issued.not_before == timedelta(minutes=15 + 45 + 60)
    assert ("visit.create", "done") in await place.actions()


async def test_a_patients_name_is_nowhere_in_clear(place: Place, tmp_path: Path, databases: Databases) -> None:
    _, ada = await caller(place)
    await place.booking.create(ada, ASKED)
    assert CANARY.encode() not in await asyncio.to_thread(databases.content, tmp_path)
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert CANARY.encode() not in file.read_bytes(), file


async def test_a_visit_whose_link_cannot_be_made_is_not_booked(place: Place) -> None:
    _, ada = await caller(place)
    for wrong, refusal in (
        (replace(ASKED, channel="email", assurance="high"), ChannelNotAllowed),
        (replace(ASKED, passcode="aaaaaaaa"), PasscodeWeak),
        (replace(ASKED, send="email"), ChannelOff),
        (replace(ASKED, channel="sms"), (ChannelNotAllowed, ContactUnfit)),
    ):
        with pytest.raises(refusal):
            await place.booking.create(ada, wrong)
    assert (await place.booking.list(ada, VisitQuery())).items == []


async def test_whoever_may_not_see_a_visit_is_told_there_is_none(place: Place) -> None:
    _, ada = await caller(place)
    _, bob = await caller(place, "bob")
    _, eve = await caller(place, "eve", "auditor")
    visit, issued = await place.booking.create(ada, ASKED)
    for stranger in (bob, eve):
        for refused in (
            place.booking.show(stranger, visit.id),
            place.booking.edit(stranger, visit.id, VisitChange(minutes=5)),
            place.booking.end(stranger, visit.id),
            place.booking.issue_link(stranger, visit.id, NewLink()),
            place.booking.revoke_link(stranger, visit.id, issued.id),
            place.booking.new_budget(stranger, visit.id, issued.id),
        ):
            with pytest.raises(NotFound):
                await refused
    assert (await place.booking.list(bob, VisitQuery())).items == []
    with pytest.raises(Forbidden):
        await place.booking.list(eve, VisitQuery())
    with pytest.raises(Forbidden):
        await place.booking.create(eve, ASKED)
    with pytest.raises(NotFound):
        await place.booking.show(ada, "vis_../../etc")


async def test_an_admin_books_for_somebody_and_looking_is_entered(place: Place) -> None:
    staff, ada = await caller(place)
    _, root = await caller(place, "root", "admin")
    eve, _ = await caller(place, "eve", "auditor")
    visit, _ = await place.booking.create(root, replace(ASKED, clinician=staff.id))
    assert visit.clinician.id == staff.id
    await place.booking.show(root, visit.id)
    assert (await place.actions()).count(("visit.read", "done")) == 1
    await place.booking.show(ada, visit.id)
    assert (await place.actions()).count(("visit.read", "done")) == 1
    with pytest.raises(Malformed):
        await place.booking.create(root, replace(ASKED, clinician=eve.id))
    with pytest.raises(Forbidden):
        await place.booking.create(ada, replace(ASKED, clinician=eve.id))


async def test_lists_page_in_order_of_time_without_loss(place: Place) -> None:
    _, ada = await caller(place)
    at = place.clock.now()
    booked = [
        (await place.booking.create(ada, replace(ASKED, scheduled_at=at + timedelta(days=day))))[0].id
        for day in (3, 1, 1, 0, 2)
    ]
    seen: list[str] = []
    after = None
    while True:
        page = await place.booking.list(ada, VisitQuery(limit=2, after=after))
        seen += [visit.id for visit in page.items]
        after = page.next
        if after is None:
            break
    assert sorted(seen) == sorted(booked)
    assert (seen[0], seen[-1]) == (booked[3], booked[0])
    day = (at + timedelta(days=1)).date()
    assert {visit.id for visit in (await place.booking.list(ada, VisitQuery(day=day))).items} == set(booked[1:3])
    assert (await place.booking.list(ada, VisitQuery(state="ended"))).items == []
    for wrong in ("x", "!!", "YWJj"):
        with pytest.raises(Malformed):
            await place.booking.list(ada, VisitQuery(after=wrong))


async def test_rescheduling_moves_the_windows_of_live_links(place: Place) -> None:
    _, ada = await caller(place)
    visit, issued = await place.booking.create(ada, ASKED)
    later = visit.scheduled_at + timedelta(days=2)
    changed = await place.booking.edit(ada, visit.id, VisitChange(scheduled_at=later, minutes=60))
    assert (changed.scheduled_at, changed.minutes) == (later, 60)
    assert changed.links[0].not_before == issued.not_before + timedelta(days=2)
    assert changed.links[0].state == "early"
    assert ("visit.edit", "done") in await place.actions()


async def test_a_cancelled_visit_is_over_and_its_link_revoked(place: Place) -> None:
    _, ada = await caller(place)
    visit, _ = await place.booking.create(ada, ASKED)
    cancelled = await place.booking.edit(ada, visit.id, VisitChange(state="cancelled"))
    assert (cancelled.state, cancelled.links[0].state) == (VisitState.CANCELLED, "revoked")
    for refused in (
        place.booking.edit(ada, visit.id, VisitChange(minutes=5)),
        place.booking.edit(ada, visit.id, VisitChange(state="cancelled")),
        place.booking.end(ada, visit.id),
        place.booking.issue_link(ada, visit.id, NewLink()),
    ):
        with pytest.raises(WrongState):
            await refused


async def test_ending_by_http_ends_the_call(place: Place) -> None:
    call = await place.in_call()
    ended = await place.booking.end(await place.caller(call.staff), call.visit)
    assert ended.state is VisitState.ENDED
    assert {reason for _, reason in call.board.closed} == {"ended"}


async def test_raising_the_assurance_refuses_a_link_by_mail(place: Place) -> None:
    _, ada = await caller(place)
    visit, _ = await place.booking.create(ada, ASKED)
    changed = await place.booking.edit(ada, visit.id, VisitChange(assurance="high"))
    assert changed.assurance == "high"
    with pytest.raises(ChannelNotAllowed):
        await place.booking.issue_link(ada, visit.id, NewLink(channel="email"))


async def test_changing_the_patients_name_changes_the_view(place: Place) -> None:
    call = await place.in_call()
    ada = await place.caller(call.staff)
    await place.booking.edit(ada, call.visit, VisitChange(patient=NewPatient("Other Canary")))
    assert call.seen(call.doctor)["visit"]["patient_name"] == "Other Canary"
