"""What the relay of a visit refuses, bounds and says: strangers' signals, forbidden screens, legs that never come."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from telehealth.events import IdentitySeen
from telehealth.visits.faults import DirectForbidden, IdentityOpen, ScreenForbidden
from telehealth.visits.neighbours import Settings
from telehealth.visits.roster import Here
from tests.partners.databases import Databases
from tests.telehealth.visits.test_relay import consented, media, relayed, turn, until
from tests.telehealth.visits.visit_house import Board, Call, Place, open_place

BRIEF = Settings(tidy_seconds=3600, turn_seconds=0.02, leg_seconds=0.02)


@pytest.fixture
async def brief(tmp_path: Path, sqlite_databases: Databases) -> AsyncIterator[Place]:
    """A few hundredths of a second for every turn."""
    async with AsyncExitStack() as stack:
        yield await open_place(tmp_path, sqlite_databases, BRIEF, Board(), stack)


async def third(call: Call) -> Here:
    """An interpreter, admitted."""
    guest = await call.place.enter(await call.place.invited(call.staff, call.visit), call.visit)
    await call.place.live.admit(call.doctor, guest.participant)
    return guest


# Signals.


async def test_two_who_go_direct_or_could_may_signal_to_each_other(place: Place) -> None:
    call = await place.in_call()
    assert place.live.may_signal(call.doctor, call.patient.participant) == "p1"
    assert call.seen(call.doctor)["media"]["parked"] is False
    await relayed(call)
    assert call.seen(call.doctor)["media"]["parked"] is True, "a line on which nothing flows is kept"
    assert place.live.may_signal(call.doctor, call.patient.participant) == "p1"


async def test_of_three_nobody_signals_but_the_two_who_were_direct_until_the_turn_is_settled(place: Place) -> None:
    call = await place.in_call()
    guest = await third(call)
    assert place.live.may_signal(call.doctor, call.patient.participant) == "p1"
    for one, other in ((guest, call.doctor), (call.doctor, guest), (guest, call.patient), (call.patient, guest)):
        with pytest.raises(DirectForbidden):
            place.live.may_signal(one, other.participant)
    everybody = (call.doctor, call.patient, guest)
    for here in everybody:
        await call.leg(here)
        place.live.leg_ready(here, turn(call))
    assert media(call) == ("relay", True)
    for one in everybody:
        for other in everybody:
            if one is not other:
                with pytest.raises(DirectForbidden):
                    place.live.may_signal(one, other.participant)
    assert call.seen(call.doctor)["media"]["parked"] is False
    await place.live.leave(guest)
    assert place.live.may_signal(call.doctor, call.patient.participant) == "p1"


# Screens.


async def test_no_screen_goes_on_of_somebody_who_may_not_share_it(place: Place) -> None:
    call = await place.in_call()
    await place.live.screen_policy(call.doctor, forbidden=True)
    doctor, patient = await relayed(call)
    assert (doctor.shows_screen, patient.shows_screen) == (True, False), "whatever the page sends and does not announce"
    with pytest.raises(ScreenForbidden):
        place.live.media(call.patient, audio=True, video=True, screen=True)
    await place.live.screen_policy(call.doctor, forbidden=False)
    assert patient.shows_screen is True
    place.live.media(call.patient, audio=True, video=True, screen=True)
    await place.live.screen_policy(call.doctor, forbidden=True)
    assert patient.shows_screen is False


async def test_no_screen_goes_on_before_the_face_was_compared(place: Place) -> None:
    call = await place.in_call(assurance="high")
    running = await place.live.load(call.visit)
    running.visit.row = replace(running.visit.row, assurance="standard")
    doctor, patient = await relayed(call)
    running.visit.row = replace(running.visit.row, assurance="high")
    running.media.police_screens()
    assert (doctor.shows_screen, patient.shows_screen) == (False, False)
    with pytest.raises(IdentityOpen):
        place.live.media(call.doctor, audio=True, video=True, screen=True)
    await place.live.identity_seen(IdentitySeen(call.visit, call.patient.participant, "same"))
    assert (doctor.shows_screen, patient.shows_screen) == (True, True)
    place.live.media(call.doctor, audio=True, video=True, screen=True)
    await place.live.identity_seen(IdentitySeen(call.visit, call.patient.participant, "different"))
    assert (doctor.shows_screen, patient.shows_screen) == (True, False), "what is seen already stays"


# Legs that never come.


async def test_one_of_three_who_never_makes_a_leg_is_told_and_the_others_go_on(brief: Place) -> None:
    call = await brief.in_call()
    guest = await third(call)
    for here in (call.doctor, call.patient):
        await call.leg(here)
        brief.live.leg_ready(here, turn(call))
    assert media(call) == ("relay", False)
    await until(call, ("relay", True))
    for here in (call.doctor, guest):
        assert call.seen(here)["media"]["without"] == [guest.participant]
    asked = len(call.board.of(guest.participant, "leg.open"))
    assert asked >= 3
    async with asyncio.timeout(2):
        while len(call.board.of(guest.participant, "leg.open")) == asked:  # asked on, for when they can
            await asyncio.sleep(0.01)
    await call.leg(guest)
    assert call.seen(call.doctor)["media"]["without"] == []


async def test_who_is_given_up_hears_of_it_and_new_people_get_all_their_time(brief: Place) -> None:
    call = await brief.in_call()
    guest = await third(call)
    for here in (call.doctor, call.patient):
        await call.leg(here)
    await until(call, ("relay", True))
    assert brief.publish.of(guest.participant, "view")[-1]["media"]["without"] == [guest.participant]
    await brief.live.leave(guest)
    assert call.seen(call.doctor)["media"]["without"] == []


# What is said of the recording.


async def test_a_leg_that_closed_is_told_at_once_as_not_recorded(place: Place) -> None:
    call = await place.in_call()
    _, patient = await relayed(call)
    call.send_frames()
    assert recorded(call) == {call.doctor.participant: True, call.patient.participant: True}
    patient.finish("closed_by_peer")
    await call.settled()
    told = call.board.of(call.doctor.participant, "view")[-1]
    assert told["recording"]["state"] == "recording"
    assert recorded(call, told) == {call.doctor.participant: True, call.patient.participant: False}
    await call.leg(call.patient, "o=again")
    assert recorded(call, call.board.of(call.doctor.participant, "view")[-1])[call.patient.participant] is True


async def test_nobody_is_told_as_recorded_before_or_in_a_pause_or_with_the_line_lost(place: Place) -> None:
    call = await place.in_call()
    assert set(recorded(call).values()) == {False}
    await consented(call)
    assert set(recorded(call).values()) == {False}
    for here in (call.doctor, call.patient):
        await call.leg(here)
    call.send_frames()
    assert set(recorded(call).values()) == {True}
    place.live.dropped(call.patient)
    told = call.board.of(call.doctor.participant, "view")[-1]
    assert recorded(call, told)[call.patient.participant] is False
    await place.enter(call.guest, call.visit)
    await place.live.recording_pause(call.doctor)
    assert set(recorded(call).values()) == {False}


def recorded(call: Call, view: object = None) -> dict[str, bool]:
    shown = view or call.seen(call.doctor)
    return {one["participant"]: one["recorded"] for one in shown["participants"]}  # type: ignore[index]
