"""Guests: their own links, their own names, seen by those in the call, and nothing that is the patient's."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from telehealth.access import Caller
from telehealth.audit.faults import LogUnavailable
from telehealth.errors import Forbidden, NotFound, WrongState
from telehealth.identity.faults import ChannelNotAllowed, Unauthenticated
from telehealth.store import guests as guest_rows
from telehealth.store import links as link_rows
from telehealth.store import privacy
from telehealth.visits.faults import GuestsFull, LinkOver, VisitFull
from telehealth.visits.guests import MOST_GUESTS, NewGuest
from telehealth.visits.orders import NewLink
from telehealth.visits.roster import Here
from telehealth.visits.states import VisitStep
from tests.partners.databases import Databases
from tests.telehealth.visits.test_relay import media
from tests.telehealth.visits.visit_house import CANARY, GUEST, LONG, Board, Call, Guest, Place, open_place


@pytest.fixture
async def any_place(tmp_path: Path, databases: Databases) -> AsyncIterator[Place]:
    """On either kind of database."""
    async with AsyncExitStack() as stack:
        yield await open_place(tmp_path, databases, LONG, Board(), stack)


async def come_in(call: Call, role: str = "interpreter", name: str = GUEST) -> tuple[Guest, Here]:
    """One guest more, admitted."""
    guest = await call.place.invited(call.staff, call.visit, role, name)
    here = await call.place.enter(guest, call.visit)
    await call.place.live.admit(call.doctor, here.participant)
    return guest, here


async def test_a_guest_comes_by_a_link_of_their_own_and_the_patients_still_works(place: Place) -> None:
    call = await place.in_call()
    guest, here = await come_in(call)
    seen = {one["participant"]: one for one in call.seen(call.patient)["participants"]}
    assert (seen[here.participant]["name"], seen[here.participant]["role"]) == (GUEST, "interpreter")
    assert call.seen(call.patient)["self"]["state"] == "admitted"
    mine = {one["participant"]: one for one in call.seen(here)["participants"]}
    assert set(mine) == {call.doctor.participant, call.patient.participant, here.participant}
    assert CANARY not in str(call.seen(here))
    assert "location" not in mine[call.patient.participant]
    assert guest.link != call.guest.link


async def test_whoever_waits_sees_no_guest_and_no_guest_who_waits_sees_the_patient(place: Place) -> None:
    call = await place.in_call()
    await come_in(call, "relative", "Rita Relative")
    waiting = await place.enter(await place.invited(call.staff, call.visit), call.visit)
    shown = call.seen(waiting)
    assert {one["participant"] for one in shown["participants"]} == {call.doctor.participant, waiting.participant}
    assert "Rita Relative" not in str(shown)


async def test_three_are_relayed_and_two_again_are_not(place: Place) -> None:
    call = await place.in_call()
    _, here = await come_in(call)
    assert media(call) == ("relay", False)
    legs = [await call.leg(one) for one in (call.doctor, call.patient, here)]
    sections = legs[0].slots()
    assert {section.publisher for section in sections} == {call.patient.participant, here.participant}
    for one in (call.doctor, call.patient, here):
        place.live.leg_ready(one, call.seen(one)["media"]["turn"])
    assert media(call) == ("relay", True)
    await place.live.leave(here)
    assert media(call) == ("direct", False)
    assert [leg.reason for leg in legs] == [None, None, "left"]


async def test_who_comes_late_pauses_the_recording_before_they_are_in_until_they_agree(place: Place) -> None:
    call = await place.in_call()
    await call.recorded()
    guest = await place.invited(call.staff, call.visit)
    late = await place.enter(guest, call.visit)
    legs = [await call.leg(one) for one in (call.doctor, call.patient)]
    assert all(leg.sink is not None for leg in legs)
    told = len(place.recorder.told)
    await place.live.admit(call.doctor, late.participant)
    assert place.recorder.told[told] == ("pause", "consent")
    assert [leg.sink for leg in legs] == [None, None]
    theirs = await call.leg(late)
    assert theirs.sink is None
    said = guest.key.receipt(call.asked(late), call.visit, late.participant, "yes")
    await place.live.consent_answer(late, **said)
    await call.settled()
    assert all(leg.sink is not None for leg in (*legs, theirs))
    parties = {party.participant: party.role for party in place.recorder.begun[-1]["parties"]}
    assert parties[late.participant] == "interpreter"
    assert len(parties) == 3
    assert media(call)[0] == "relay"


async def test_a_guests_no_ends_the_recording_of_all(place: Place) -> None:
    call = await place.in_call()
    await call.recorded()
    guest, late = await come_in(call)
    said = guest.key.receipt(call.asked(late), call.visit, late.participant, "no")
    await place.live.consent_answer(late, **said)
    await call.settled()
    assert place.recorder.told[-2:] == [("cut", "declined"), ("stop", "declined")]
    assert call.seen(late)["self"]["state"] == "admitted"


async def test_six_guests_and_no_seventh_and_their_seats_are_not_the_patients(any_place: Place) -> None:
    place = any_place
    staff = await place.staff()
    visit, patient = await place.booked(staff)
    caller = await place.caller(staff)
    await place.enter(staff, visit.id)
    for number in range(MOST_GUESTS):
        await place.enter(await place.invited(staff, visit.id, "relative", f"Guest {number}"), visit.id)
    with pytest.raises(GuestsFull):
        await place.guests.invite(caller, visit.id, NewGuest("relative", "One Too Many"))
    await place.enter(patient, visit.id)
    listed = await place.guests.list(caller, visit.id)
    assert [guest.state for guest in listed] == ["waiting"] * MOST_GUESTS
    await place.guests.remove(caller, visit.id, listed[0].id)
    await place.guests.invite(caller, visit.id, NewGuest("relative", "One More"))


async def test_a_second_clinician_finds_no_seat_beside_the_first(place: Place) -> None:
    call = await place.in_call()
    other = await place.staff("bea")
    async with place.store.begin() as connection:
        from telehealth.store.tables import visit_team

        values = {"visit_id": call.visit, "user_id": other.id, "added_by": call.staff.id}
        await connection.execute(visit_team.insert().values(**values, added_at=datetime.now(UTC)))
    with pytest.raises(VisitFull):
        await place.enter(other, call.visit)


async def test_an_invitation_taken_back_closes_the_door_at_once(place: Place) -> None:
    call = await place.in_call()
    guest, here = await come_in(call)
    caller = await place.caller(call.staff)
    (shown,) = await place.guests.list(caller, call.visit)
    await place.guests.remove(caller, call.visit, shown.id)
    assert (here.participant, "link_revoked") in call.board.closed
    assert media(call)[0] == "direct"
    with pytest.raises(Unauthenticated):
        await place.caller(guest)
    with pytest.raises(NotFound):
        await place.guests.remove(caller, call.visit, shown.id)
    assert await place.guests.list(caller, call.visit) == []


async def test_no_link_opens_once_its_guests_invitation_is_taken_back(any_place: Place) -> None:
    place = any_place
    call = await place.in_call()
    guest = await place.invited(call.staff, call.visit)
    (shown,) = await place.guests.list(await place.caller(call.staff), call.visit)
    async with place.store.begin() as connection:  # its links are not revoked yet, or one was just issued
        assert await guest_rows.remove(connection, call.visit, shown.id, place.clock.now())
    with pytest.raises(Unauthenticated):
        await place.caller(guest)
    assert (await place.caller(call.guest)).role == "patient"


async def test_a_new_link_of_a_guest_revokes_theirs_alone(any_place: Place) -> None:
    place = any_place
    call = await place.in_call()
    guest, here = await come_in(call)
    caller = await place.caller(call.staff)
    (shown,) = await place.guests.list(caller, call.visit)
    issued = await place.guests.issue_link(caller, call.visit, shown.id, NewLink(passcode="blue-river-42"))
    assert (here.participant, "link_revoked") in call.board.closed
    with pytest.raises((LinkOver, Unauthenticated)):
        await place.enter(guest, call.visit)
    again = await place.guest(call.visit, issued.id, issued.token.reveal(), details=False)
    await place.enter(again, call.visit)
    assert call.seen(call.patient)["self"]["state"] == "admitted"
    patients = await place.booking.issue_link(caller, call.visit, NewLink(passcode="blue-river-42"))
    assert patients.id != issued.id
    assert call.place.live.running(call.visit).people[again.participant].state == "waiting"  # type: ignore[union-attr]


async def test_guests_are_invited_by_whoever_sends_links_and_by_nobody_else(place: Place) -> None:
    staff = await place.staff()
    visit, patient = await place.booked(staff)
    desk = await place.caller(await place.staff("dee", "front_desk"))
    auditor = await place.caller(await place.staff("aud", "auditor"))
    stranger = await place.caller(await place.staff("bob"))
    asked = NewGuest("colleague", "Carl Colleague")
    assert (await place.guests.invite(desk, visit.id, asked))[0].role == "colleague"
    for other in (auditor, stranger, await place.caller(patient)):
        with pytest.raises((NotFound, Forbidden)):
            await place.guests.invite(other, visit.id, asked)
        with pytest.raises((NotFound, Forbidden)):
            await place.guests.list(other, visit.id)
    await place.live.end_from_outside(desk, visit.id, VisitStep.CANCEL)
    with pytest.raises(WrongState):
        await place.guests.invite(desk, visit.id, asked)


async def test_an_invitation_is_entered_first_and_leaves_nothing_when_it_cannot_be(place: Place) -> None:
    staff = await place.staff()
    visit, _ = await place.booked(staff)
    caller = await place.caller(staff)
    with pytest.raises(ChannelNotAllowed):
        await place.guests.invite(caller, visit.id, NewGuest("relative", "No Way", channel="sms"))
    assert await place.guests.list(caller, visit.id) == []
    await place.invited(staff, visit.id)
    acts = await place.actions()
    assert ("guest.invite", "intent") in acts
    assert ("guest.invite", "done") in acts


async def test_without_the_log_nobody_is_invited(place: Place) -> None:
    staff = await place.staff()
    visit, _ = await place.booked(staff)
    caller = await place.caller(staff)
    await place.log.real.close()
    with pytest.raises(LogUnavailable):
        await place.guests.invite(caller, visit.id, NewGuest("relative", "Rita"))
    async with place.store.read() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM guests")).scalar_one() == 0


async def test_a_guest_confirms_their_own_initials_and_is_asked_nothing_of_the_patient(place: Place) -> None:
    from telehealth.visits.rows import Confirmed

    staff = await place.staff()
    asked = Confirmed("question", "The street you grew up in?", "Rose Lane")
    visit, _ = await place.booked(staff, confirm=None)
    await place.visits.change(visit.id, confirm=asked)
    guest = NewGuest("interpreter", GUEST, passcode="blue-river-42")
    _, issued = await place.guests.invite(await place.caller(staff), visit.id, guest)
    pre, step = await place.joining.open(issued.token.reveal(), address=None, device=None)
    assert (step.role, step.confirm, step.question) == ("interpreter", "initials", None)
    cookie, _ = await place.joining.verify(pre.reveal(), "blue-river-42", "I.I.")
    assert (await place.joining.step(cookie.reveal())).details_given


async def test_a_guest_is_no_patient_to_any_rule(place: Place) -> None:
    call = await place.in_call()
    guest, _ = await come_in(call)
    caller: Caller = await place.caller(guest)
    assert caller.role == "guest"
    with pytest.raises(Unauthenticated):
        await place.joining.afterwards(guest.cookie, address=None, device=None)
    joins = [stored for stored in await place.log.real.entries(limit=1000) if stored.action == "join"]
    assert [stored.actor_role for stored in joins].count("guest") == 1
    assert all(stored.patient for stored in joins), "the patient's own report shows that a guest was there"


async def test_a_lost_link_of_the_patient_sends_no_guests_link(any_place: Place) -> None:
    place = any_place
    staff = await place.staff()
    visit, patient = await place.booked(staff)
    await place.invited(staff, visit.id)
    lookup = place.fields.lookup("visit-contact", "canary@example.org")
    async with place.store.read() as connection:
        found = await link_rows.of_contact(connection, lookup, place.clock.now(), [], 10)
    assert [one.link.id for one in found] == [patient.link]


async def test_forgetting_a_visit_forgets_its_guests(any_place: Place) -> None:
    place = any_place
    staff = await place.staff()
    visit, _ = await place.booked(staff)
    await place.invited(staff, visit.id)
    async with place.store.begin() as connection:
        await privacy.forget(connection, visit.id, place.clock.now(), place.fields, lambda size: b"r" * size)
    async with place.store.read() as connection:
        row = (await connection.exec_driver_sql("SELECT id, name_sealed, contact_sealed, language FROM guests")).one()
    assert (row.contact_sealed, row.language) == (None, None)
    assert place.fields.open(row.name_sealed, table="guests", column="name_sealed", row=row.id) == ""
