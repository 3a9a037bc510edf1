"""The relay of a running visit: who has a leg, when the way changes, and what the recorder may take of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from telehealth.events import ParticipantSignedOut
from telehealth.visits.faults import DirectForbidden, LegNotWanted, NotAdmitted, VisitFull
from telehealth.visits.neighbours import Settings
from tests.partners.databases import Databases
from tests.telehealth.visits.visit_house import Board, Call, Full, Leg, Place, open_place

BRIEF = Settings(tidy_seconds=3600, turn_seconds=0.05, leg_seconds=0.03)
HIDDEN = Settings(tidy_seconds=3600, direct_allowed=False)


@pytest.fixture
async def brief(tmp_path: Path, sqlite_databases: Databases) -> AsyncIterator[Place]:
    """A few hundredths of a second for every turn."""
    async with AsyncExitStack() as stack:
        yield await open_place(tmp_path, sqlite_databases, BRIEF, Board(), stack)


@pytest.fixture
async def hidden(tmp_path: Path, sqlite_databases: Databases) -> AsyncIterator[Place]:
    """Nobody learns an address."""
    async with AsyncExitStack() as stack:
        yield await open_place(tmp_path, sqlite_databases, HIDDEN, Board(), stack)


def media(call: Call) -> tuple[str, bool]:
    shown = call.seen(call.doctor)["media"]
    return shown["topology"], shown["settled"]


def turn(call: Call) -> int:
    number: int = call.seen(call.doctor)["media"]["turn"]
    return number


async def consented(call: Call) -> None:
    """Both said yes; the recorder is begun."""
    await call.place.live.recording_ask(call.doctor, "treatment_record")
    await call.answer(call.doctor, "yes")
    await call.answer(call.patient, "yes")
    await call.settled()


async def relayed(call: Call) -> tuple[Leg, Leg]:
    """Recorded, each over a leg; settled."""
    await consented(call)
    legs = await call.leg(call.doctor), await call.leg(call.patient)
    for here in (call.doctor, call.patient):
        call.place.live.leg_ready(here, turn(call))
    assert media(call) == ("relay", True)
    return legs


async def until(call: Call, wanted: tuple[str, bool]) -> None:
    async with asyncio.timeout(2):
        while media(call) != wanted:
            await asyncio.sleep(0.01)


async def test_two_go_direct_and_the_server_wants_no_leg(place: Place) -> None:
    call = await place.in_call()
    assert media(call) == ("direct", False)
    with pytest.raises(LegNotWanted):
        await place.live.leg_offer(call.doctor, "v=0")
    for here in (call.doctor, call.patient):
        place.live.leg_ready(here, turn(call))
    assert media(call) == ("direct", True)


async def test_whoever_waits_has_no_leg(place: Place) -> None:
    staff = await place.staff()
    visit, guest = await place.booked(staff)
    await place.enter(staff, visit.id)
    waiting = await place.enter(guest, visit.id)
    with pytest.raises(NotAdmitted):
        await place.live.leg_offer(waiting, "v=0")
    with pytest.raises(NotAdmitted):
        place.live.leg_ready(waiting, 1)


async def test_a_recording_turns_to_the_relay_and_back_when_it_ends(place: Place) -> None:
    call = await place.in_call()
    doctor, patient = await relayed(call)
    assert {leg.room for leg in (doctor, patient)} == {call.visit}
    call.send_frames()
    assert call.recording()["state"] == "recording"
    await place.live.recording_stop(call.doctor)
    assert media(call) == ("direct", False)
    assert doctor.reason is None, "the old way stays until the new one is there"
    assert doctor.sink is None
    assert patient.sink is None
    for here in (call.doctor, call.patient):
        place.live.leg_ready(here, turn(call))
    assert media(call) == ("direct", True)
    assert (doctor.reason, patient.reason) == ("direct", "direct")


async def test_one_who_is_ready_or_ready_for_an_earlier_turn_settles_nothing(place: Place) -> None:
    call = await place.in_call()
    await consented(call)
    await call.leg(call.doctor)
    await call.leg(call.patient)
    place.live.leg_ready(call.doctor, turn(call))
    place.live.leg_ready(call.patient, turn(call) - 1)
    assert media(call) == ("relay", False)


async def test_ready_without_a_leg_settles_nothing(place: Place) -> None:
    call = await place.in_call()
    await consented(call)
    await call.leg(call.doctor)
    for here in (call.doctor, call.patient):
        place.live.leg_ready(here, turn(call))
    assert media(call) == ("relay", False)
    await call.leg(call.patient)
    assert media(call) == ("relay", True)


async def test_the_recorder_has_a_sink_on_a_leg_only_while_everybody_agrees(place: Place) -> None:
    call = await place.in_call()
    await place.live.recording_ask(call.doctor, "treatment_record")
    await call.answer(call.doctor, "yes")
    await call.settled()
    with pytest.raises(LegNotWanted):
        await place.live.leg_offer(call.doctor, "v=0")
    await call.answer(call.patient, "yes")
    await call.settled()
    doctor = await call.leg(call.doctor)
    assert doctor.sink is not None
    await place.live.consent_withdraw(call.patient)
    assert doctor.sink is None
    assert doctor.reason is None


async def test_a_leg_made_before_the_recorder_is_ready_is_taken_when_it_is(place: Place) -> None:
    call = await place.in_call()
    place.recorder.gate = asyncio.Event()
    await consented(call)
    doctor = await call.leg(call.doctor)
    assert doctor.sink is None
    place.recorder.gate.set()
    await call.settled()
    assert doctor.sink is not None


async def test_a_withdrawal_takes_the_recorder_off_every_leg_in_the_same_instant(place: Place) -> None:
    call = await place.in_call()
    legs = await relayed(call)
    place.log.down = True
    withdrawing = asyncio.ensure_future(place.live.consent_withdraw(call.patient))
    await asyncio.sleep(0)
    assert place.recorder.told[-1] == ("cut", "withdrawn")
    assert [leg.sink for leg in legs] == [None, None]
    assert [leg.reason for leg in legs] == [None, None], "the call goes on"
    await withdrawing


async def test_pausing_takes_the_recorder_off_and_going_on_puts_it_back(place: Place) -> None:
    call = await place.in_call()
    legs = await relayed(call)
    await place.live.recording_pause(call.doctor)
    assert [leg.sink for leg in legs] == [None, None]
    await call.settled()
    assert media(call) == ("relay", True)
    await place.live.recording_resume(call.doctor)
    await call.settled()
    assert all(leg.sink is not None for leg in legs)
    assert all(leg.reason is None for leg in legs)


async def test_a_later_offer_of_the_same_page_goes_on_with_its_leg(place: Place) -> None:
    call = await place.in_call()
    doctor, _ = await relayed(call)
    sdp, slots = await place.live.leg_offer(call.doctor, "v=0 with more sections")
    assert (sdp, doctor.restarts) == ("answer to v=0 with more sections", ["v=0 with more sections"])
    assert {slot.publisher for slot in slots} == {call.patient.participant}
    assert len(place.legs.of(call.doctor.participant)) == 1


async def test_another_certificate_makes_a_second_leg_and_the_first_goes_when_it_is_connected(place: Place) -> None:
    call = await place.in_call()
    first, _ = await relayed(call)
    await place.live.leg_offer(call.doctor, "o=another")
    second = place.legs.of(call.doctor.participant)[-1]
    assert (first.reason, second.sink) == (None, None)
    assert first.sink is not None
    second.connect()
    await call.settled()
    assert (first.reason, first.sink) == ("replaced", None)
    assert second.sink is not None
    assert call.board.of(call.doctor.participant, "leg.open") == []


async def test_offers_without_end_leave_two_legs_at_most_and_never_drop_the_one_that_works(place: Place) -> None:
    call = await place.in_call()
    first, _ = await relayed(call)
    for number in range(6):
        await place.live.leg_offer(call.doctor, f"o=offer {number} of many")
    assert len(place.legs.of(call.doctor.participant)) == 2
    assert first.reason is None


async def test_a_lost_leg_is_asked_for_again(place: Place) -> None:
    call = await place.in_call()
    _, patient = await relayed(call)
    patient.finish("worker_lost")
    await call.settled()
    assert len(call.board.of(call.patient.participant, "leg.open")) == 1
    again = await call.leg(call.patient, "o=again")
    assert again.sink is not None
    assert media(call) == ("relay", True)


async def test_a_leg_that_does_not_come_back_ends_the_recording_and_two_go_direct(brief: Place) -> None:
    call = await brief.in_call()
    _, patient = await relayed(call)
    patient.finish("worker_lost")
    await until(call, ("direct", False))
    await call.settled()
    assert call.recording()["reason"] == "relay_failed"
    assert brief.recorder.told[-1] == ("stop", "relay_failed")


async def test_a_full_port_sends_two_back_to_each_other(place: Place) -> None:
    call = await place.in_call()
    place.legs.full = True
    await consented(call)
    with pytest.raises(Full):
        await place.live.leg_offer(call.doctor, "v=0")
    assert media(call)[0] == "direct"
    assert call.recording()["reason"] == "relay_failed"
    place.legs.full = False
    await call.settled()
    await consented(call)
    assert media(call)[0] == "relay", "asked again, it is tried again"


async def test_a_relay_nobody_reaches_sends_two_back_to_each_other(brief: Place) -> None:
    call = await brief.in_call()
    await consented(call)
    await until(call, ("direct", True))
    assert call.recording()["reason"] == "relay_failed"


async def test_direct_that_cannot_be_had_goes_on_in_the_relay_that_is_still_up(brief: Place) -> None:
    call = await brief.in_call()
    legs = await relayed(call)
    await brief.live.recording_stop(call.doctor)
    await until(call, ("relay", True))
    assert [leg.reason for leg in legs] == [None, None]


async def test_where_addresses_are_hidden_two_are_relayed_and_nothing_is_signalled(hidden: Place) -> None:
    call = await hidden.in_call()
    shown = {"topology": "relay", "settled": False, "turn": 1, "never_direct": True, "parked": False, "without": []}
    assert call.seen(call.patient)["media"] == shown
    with pytest.raises(DirectForbidden):
        hidden.live.may_signal(call.doctor, call.patient.participant)
    hidden.legs.full = True
    with pytest.raises(Full):
        await hidden.live.leg_offer(call.doctor, "v=0")
    assert media(call)[0] == "relay"


async def test_where_addresses_are_hidden_a_missing_leg_is_asked_for_for_ever(
    tmp_path: Path, sqlite_databases: Databases
) -> None:
    settings = Settings(tidy_seconds=3600, turn_seconds=0.03, direct_allowed=False)
    async with AsyncExitStack() as stack:
        place = await open_place(tmp_path, sqlite_databases, settings, Board(), stack)
        call = await place.in_call()
        async with asyncio.timeout(2):
            while len(call.board.of(call.patient.participant, "leg.open")) < 3:
                await asyncio.sleep(0.01)
        assert media(call) == ("relay", False)


async def test_a_lost_socket_keeps_the_leg_but_not_the_recorder(place: Place) -> None:
    call = await place.in_call()
    doctor, patient = await relayed(call)
    place.live.dropped(call.patient)
    assert (patient.reason, patient.sink) == (None, None)
    assert doctor.sink is not None
    await place.enter(call.guest, call.visit)
    assert patient.sink is not None, "the same page is back"


async def test_a_reloaded_page_is_rid_of_its_old_leg(place: Place) -> None:
    call = await place.in_call()
    _, patient = await relayed(call)
    place.live.dropped(call.patient)
    again = await place.enter(call.guest, call.visit, page="p2")
    assert (patient.reason, patient.sink) == ("replaced", None)
    assert (await call.leg(again)).sink is not None


async def test_a_browser_that_another_took_over_from_hears_nothing_more(place: Place) -> None:
    call = await place.in_call()
    doctor, patient = await relayed(call)
    await place.bus.publish(ParticipantSignedOut(call.visit, call.patient.participant, replaced=True))
    assert (patient.reason, patient.sink, doctor.reason) == ("replaced", None, None)


async def test_whoever_leaves_is_out_of_the_relay(place: Place) -> None:
    call = await place.in_call()
    doctor, patient = await relayed(call)
    await place.live.leave(call.patient)
    assert (patient.reason, doctor.reason) == ("left", "alone")
    assert media(call) == ("alone", True)


async def test_the_end_ends_every_leg(place: Place) -> None:
    call = await place.in_call()
    legs = await relayed(call)
    await place.live.end(call.doctor)
    assert [leg.reason for leg in legs] == ["ended", "ended"]
    await place.live.close()


async def test_slots_are_told_with_their_participants(place: Place) -> None:
    call = await place.in_call()
    await relayed(call)
    told = call.board.of(call.doctor.participant, "leg.slots")[-1]["slots"]
    assert [(slot["participant"], slot["source"]) for slot in told] == [
        (call.patient.participant, "audio"),
        (call.patient.participant, "camera"),
    ]


async def test_a_second_patient_finds_no_seat(place: Place) -> None:
    call = await place.in_call()
    other = await place.live.load(call.visit)
    assert not [person for person in other.visit.people.values() if person.role == "interpreter"]
    second = await place.booked(call.staff)
    assert second[1].participant != call.patient.participant
    row = await place.visits.person(second[1].participant)
    assert row is not None
    with pytest.raises(VisitFull):
        other.presence._may_enter(_as_patient(other.visit.people, row), _wait())


def _as_patient(_people: object, row: object):  # type: ignore[no-untyped-def]
    from telehealth.visits.roster import seated

    return seated(row, "somebody")  # type: ignore[arg-type]


def _wait():  # type: ignore[no-untyped-def]
    from telehealth.visits.states import ParticipantStep

    return ParticipantStep.WAIT
