"""A colleague of the team in the call: in the visit's window, under their own name, and out at once when taken off."""

from datetime import timedelta

import pytest

from telehealth.access import Refused
from telehealth.errors import NotFound
from telehealth.events import CircleLeft
from telehealth.store import care
from telehealth.visits.orders import NewPatient, NewVisit
from telehealth.visits.states import ParticipantState
from tests.telehealth.visits.visit_house import CANARY, Place, Staff


async def on_team(place: Place, visit: str, colleague: Staff, by: Staff) -> None:
    async with place.store.begin() as connection:
        await care.join(connection, visit, colleague.id, by.id, place.clock.now())


async def test_a_colleague_of_the_team_takes_the_call_and_is_called_by_their_own_name(place: Place) -> None:
    ada, bob = await place.staff(), await place.staff("bob")
    visit, guest = await place.booked(ada)
    with pytest.raises(NotFound):
        await place.enter(bob, visit.id)
    await on_team(place, visit.id, bob, ada)
    here = await place.enter(bob, visit.id)
    patient = await place.enter(guest, visit.id)
    await place.live.admit(here, patient.participant)
    running = place.live.running(visit.id)
    assert running is not None
    assert running.people[here.participant].name == "Dr bob"
    assert [item["id"] for item in (await place.live.today_for(await place.caller(bob)))["visits"]] == [visit.id]


async def test_the_team_comes_only_while_the_visit_is_held_and_its_own_clinician_before(place: Place) -> None:
    ada, bob = await place.staff(), await place.staff("bob")
    later = place.clock.now() + timedelta(hours=3)
    asked = NewVisit(NewPatient(CANARY, None), scheduled_at=later)
    visit, _ = await place.booking.create(await place.caller(ada), asked)
    await on_team(place, visit.id, bob, ada)
    with pytest.raises(Refused):
        await place.enter(bob, visit.id)
    assert await place.enter(ada, visit.id)
    refused = [
        stored for stored in await place.log.real.entries() if (stored.action, stored.outcome) == ("join", "refused")
    ]
    assert (refused[-1].detail["rule"], refused[-1].detail["reason"]) == ("window", "outside_window")


async def test_whoever_is_taken_off_is_out_of_the_call_and_a_time_that_ran_out_cuts_nobody_off(place: Place) -> None:
    place.live.listen(place.bus)
    ada, bob = await place.staff(), await place.staff("bob")
    visit, _ = await place.booked(ada)
    await on_team(place, visit.id, bob, ada)
    here = await place.enter(bob, visit.id)
    running = place.live.running(visit.id)
    assert running is not None
    await place.bus.publish(CircleLeft(visit.id, bob.id, in_time=True))
    assert running.people[here.participant].state is ParticipantState.ADMITTED
    await place.bus.publish(CircleLeft(visit.id, bob.id))
    assert running.people[here.participant].state is ParticipantState.LEFT
    assert (here.participant, "left") in place.publish.closed


async def test_who_breaks_the_glass_to_let_somebody_in_says_why(place: Place) -> None:
    staff = await place.staff()
    visit, guest = await place.booked(staff)
    doctor = await place.enter(staff, visit.id)
    patient = await place.enter(guest, visit.id)
    place.log.down = True
    await place.live.admit(doctor, patient.participant, break_glass=True, words="The patient cannot breathe.")
    entry = place.log.spooled[-1]
    assert (entry.action.value, entry.purpose) == ("break_glass.admit", "log_unavailable")
    assert entry.private == {"reason": "The patient cannot breathe."}
