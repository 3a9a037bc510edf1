"""Coming in, waiting, being admitted, leaving, coming back."""

import asyncio
from typing import Any

import pytest

from telehealth.audit.faults import LogUnavailable
from telehealth.errors import NotFound, WrongState
from telehealth.events import LinkRevoked, SessionEnded
from telehealth.visits.faults import ClinicianOnly, DetailsMissing, LinkOver, Removed, VisitFull, VisitOver
from telehealth.visits.states import ParticipantState
from tests.telehealth.visits.visit_house import CANARY, LONG, SHORT, Place


async def test_a_patient_waits_until_the_clinician_admits(place: Place) -> None:
    staff = await place.staff()
    visit, guest = await place.booked(staff)
    patient = await place.enter(guest, visit.id)
    assert place.live.view_for(patient)["self"]["state"] == "waiting"
    doctor = await place.enter(staff, visit.id)
    assert place.live.view_for(doctor)["visit"]["state"] == "open"
    await place.live.admit(doctor, patient.participant)
    assert place.live.view_for(patient)["self"]["state"] == "admitted"
    assert place.live.view_for(doctor)["visit"]["state"] == "in_call"
    assert ("admit", "done") in await place.actions()


async def test_a_patient_cannot_admit_remove_or_end(place: Place) -> None:
    call = await place.in_call()
    for refused in (
        place.live.admit(call.patient, call.patient.participant),
        place.live.remove(call.patient, call.doctor.participant),
        place.live.end(call.patient),
        place.live.recording_ask(call.patient, "training"),
        place.live.screen_policy(call.patient, forbidden=False),
    ):
        with pytest.raises(ClinicianOnly):
            await refused


async def test_another_clinician_and_an_admin_find_no_such_visit(place: Place) -> None:
    staff = await place.staff()
    visit, _ = await place.booked(staff)
    for login, role in (("bob", "clinician"), ("root", "admin"), ("eve", "auditor")):
        stranger = await place.staff(login, role)
        with pytest.raises(NotFound):
            await place.enter(stranger, visit.id)
    assert ("join", "refused") in await place.actions()


async def test_a_third_is_told_that_the_visit_is_full(place: Place) -> None:
    call = await place.in_call()
    second = await place.links.issue(
        await place.caller(call.staff),
        call.visit,
        channel="passcode",
        passcode="blue-river-42",
        window=_window(place),
    )
    place.live.running(call.visit).people[call.patient.participant].state = ParticipantState.ADMITTED
    newcomer = await place.guest(call.visit, second.id, second.token.reveal())
    with pytest.raises(VisitFull):
        await place.enter(newcomer, call.visit)


async def test_removed_stays_removed_at_every_resume(place: Place) -> None:
    call = await place.in_call()
    await place.live.remove(call.doctor, call.patient.participant)
    assert (call.patient.participant, "removed") in call.board.closed
    row = await place.visits.person(call.patient.participant)
    assert row is not None
    assert row.state is ParticipantState.REMOVED
    caller = call.patient.caller
    for _ in range(2):
        with pytest.raises(Removed):
            await place.live.approach(caller, call.visit)
    place.live = place.live_again(LONG)
    with pytest.raises(Removed):
        await place.live.approach(caller, call.visit)
    await place.live.close()


async def test_a_reload_keeps_the_participant_and_the_place_in_the_call(place: Place) -> None:
    call = await place.in_call()
    again = await place.enter(call.guest, call.visit, page="p2")
    assert again.participant == call.patient.participant
    assert place.live.view_for(again)["self"]["state"] == "admitted"
    pages = {person["participant"]: person["page"] for person in call.seen(call.doctor)["participants"]}
    assert pages[again.participant] == "p2"
    assert len(await place.visits.people(call.visit)) == 2


async def test_a_dropped_participant_resumes_in_time(place: Place) -> None:
    call = await place.in_call()
    place.live.dropped(call.patient)
    shown = _participant(call.seen(call.doctor), call.patient.participant)
    assert (shown["online"], shown["state"]) == (False, "admitted")
    again = await place.enter(call.guest, call.visit)
    assert place.live.view_for(again)["self"]["state"] == "admitted"


async def test_who_stays_away_has_left_and_waits_again_on_return(hasty: Place) -> None:
    call = await hasty.in_call()
    hasty.live.dropped(call.patient)
    await _until(lambda: _participant(call.seen(call.doctor), call.patient.participant)["state"] == "left")
    again = await hasty.enter(call.guest, call.visit)
    assert again.participant == call.patient.participant
    assert hasty.live.view_for(again)["self"]["state"] == "waiting"


async def test_after_a_restart_everybody_resumes_where_they_were(place: Place) -> None:
    call = await place.in_call()
    place.live = place.live_again(LONG)
    await place.live.start()
    again = await place.enter(call.guest, call.visit)
    assert place.live.view_for(again)["self"]["state"] == "admitted"
    assert place.live.view_for(again)["revision"] > 0
    await place.live.close()


async def test_after_a_restart_who_does_not_come_back_has_left(hasty: Place) -> None:
    call = await hasty.in_call()
    restarted = hasty.live_again(SHORT)
    await restarted.start()
    visit = restarted.running(call.visit)
    assert visit is not None
    await _until(lambda: not list(visit.here()))
    await restarted.close()


async def test_without_the_details_nobody_waits(place: Place) -> None:
    staff = await place.staff()
    visit, guest = await place.booked(staff)
    running = await place.live.load(visit.id)
    person = await place.live.person(running, await place.caller(guest))
    async with place.store.begin() as connection:
        await connection.exec_driver_sql("UPDATE participants SET location_sealed = NULL")
    with pytest.raises(DetailsMissing):
        await place.enter(guest, visit.id)
    assert person.state is ParticipantState.VERIFIED


async def test_a_revoked_link_closes_its_socket_and_lets_nobody_back(place: Place) -> None:
    call = await place.in_call()
    caller = call.patient.caller
    await place.booking.revoke_link(await place.caller(call.staff), call.visit, call.guest.link)
    assert (call.patient.participant, "link_revoked") in call.board.closed
    with pytest.raises(LinkOver):
        await place.live.enter(caller, call.visit, _arrival(call), lambda _here: None)


async def test_signing_out_leaves_every_call(place: Place) -> None:
    call = await place.in_call()
    await place.sessions.end(call.staff.cookie)
    assert (call.doctor.participant, "signed_out") in call.board.closed
    assert call.board.users == [(call.staff.id, call.staff.session)]
    assert _participant(call.seen(call.patient), call.doctor.participant)["state"] == "left"


async def test_an_ended_session_of_somebody_else_changes_nothing(place: Place) -> None:
    call = await place.in_call()
    await place.bus.publish(SessionEnded(call.staff.id, "ses_other"))
    await place.bus.publish(LinkRevoked(call.visit, "lnk_other"))
    assert call.seen(call.doctor)["self"]["state"] == "admitted"


async def test_ending_ends_it_for_everybody_and_for_good(place: Place) -> None:
    call = await place.in_call()
    caller = call.patient.caller
    await place.live.end(call.doctor)
    assert {reason for _, reason in call.board.closed} == {"ended"}
    with pytest.raises(VisitOver):
        await place.live.approach(caller, call.visit)
    row = await place.visits.get(call.visit)
    assert row is not None
    assert (row.state.value, row.ended_at is not None) == ("ended", True)
    assert ("visit.end", "done") in await place.actions()


async def test_leaving_goes_back_to_the_waiting_room(place: Place) -> None:
    call = await place.in_call()
    await place.live.leave(call.patient)
    assert (call.patient.participant, "left") in call.board.closed
    again = await place.enter(call.guest, call.visit)
    assert place.live.view_for(again)["self"]["state"] == "waiting"


async def test_admission_needs_the_log_unless_the_glass_is_broken(place: Place) -> None:
    staff = await place.staff()
    visit, guest = await place.booked(staff)
    doctor, patient = await place.enter(staff, visit.id), await place.enter(guest, visit.id)
    place.log.down = True
    with pytest.raises(LogUnavailable):
        await place.live.admit(doctor, patient.participant)
    assert place.live.view_for(patient)["self"]["state"] == "waiting"
    await place.live.admit(doctor, patient.participant, break_glass=True)
    assert place.live.view_for(patient)["self"]["state"] == "admitted"
    assert [entry.action for entry in place.log.spooled] == ["break_glass.admit"]


async def test_while_the_log_is_down_a_patient_may_wait_but_staff_may_not_enter(place: Place) -> None:
    staff = await place.staff()
    visit, guest = await place.booked(staff)
    caller = await place.caller(staff)
    place.log.down = True
    patient = await place.enter(guest, visit.id)
    assert place.live.view_for(patient)["self"]["state"] == "waiting"
    with pytest.raises(LogUnavailable):
        await place.live.enter(caller, visit.id, _arrival_of(staff), lambda _here: None)
    doctor = await place.enter(staff, visit.id, break_glass=True)
    assert place.live.view_for(doctor)["self"]["state"] == "admitted"


async def test_a_removal_while_somebody_enters_wins(place: Place) -> None:
    call = await place.in_call()
    entering = asyncio.create_task(place.enter(call.guest, call.visit))
    await asyncio.sleep(0)
    await place.live.remove(call.doctor, call.patient.participant)
    with pytest.raises((Removed, WrongState)):
        await entering
    row = await place.visits.person(call.patient.participant)
    assert row is not None
    assert row.state is ParticipantState.REMOVED


async def written(place: Place, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Entries into the database wait: set once one is written, and to be set to let it go on."""
    reached, go = asyncio.Event(), asyncio.Event()
    real = place.visits.set_person

    async def slow(participant: str, state: ParticipantState, **values: Any) -> None:
        await real(participant, state, **values)
        reached.set()
        await go.wait()

    monkeypatch.setattr(place.visits, "set_person", slow)
    return reached, go


async def test_whose_link_is_revoked_while_their_return_is_written_is_not_let_in_by_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = await place.in_call()
    reached, go = await written(place, monkeypatch)
    entering = asyncio.create_task(place.enter(call.guest, call.visit))
    await reached.wait()
    revoking = asyncio.create_task(place.bus.publish(LinkRevoked(call.visit, call.guest.link)))
    async with asyncio.timeout(2):
        while call.seen(call.doctor)["media"]["topology"] != "alone":
            await asyncio.sleep(0.01)
    go.set()
    with pytest.raises(WrongState):
        await entering
    await revoking
    row = await place.visits.person(call.patient.participant)
    assert row is not None
    assert row.state is ParticipantState.LEFT
    assert call.seen(call.doctor)["media"]["topology"] == "alone"


async def test_a_clinician_who_left_while_they_came_back_is_in_the_call_with_their_media(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = await place.in_call()
    reached, go = await written(place, monkeypatch)
    entering = asyncio.create_task(place.enter(call.staff, call.visit))
    await reached.wait()
    leaving = asyncio.create_task(place.live.leave(call.doctor))
    await call.settled()
    assert call.seen(call.patient)["media"]["topology"] == "alone"
    go.set()
    await asyncio.gather(entering, leaving)
    assert call.seen(call.doctor)["media"]["topology"] == "direct"


async def test_a_recording_goes_on_when_whoever_was_being_admitted_has_gone(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = await place.in_call()
    await call.recorded()
    late = await place.enter(await place.invited(call.staff, call.visit), call.visit)
    reached, go = await written(place, monkeypatch)
    admitting = asyncio.create_task(place.live.admit(call.doctor, late.participant))
    await reached.wait()
    assert call.recording()["state"] == "paused"
    leaving = asyncio.create_task(place.live.leave(late))
    await call.settled()
    go.set()
    with pytest.raises(WrongState):
        await admitting
    await leaving
    await call.settled()
    assert place.recorder.told[-1] == ("resume",)
    assert all(leg.sink is not None for leg in place.legs.live)


async def test_a_patient_sees_nothing_of_the_patient_but_the_clinicians_name(place: Place) -> None:
    call = await place.in_call()
    shown = call.seen(call.patient)
    assert CANARY not in str(shown)
    assert "at home" not in str(shown)
    assert "Dr ada" in str(shown)
    assert (shown["polite"], call.seen(call.doctor)["polite"]) == (True, False)
    assert CANARY in str(call.seen(call.doctor))


async def test_what_is_past_its_window_with_nobody_there_ends(place: Place) -> None:
    call = await place.in_call()
    for here in (call.patient, call.doctor):
        await place.live.leave(here)
    async with place.store.begin() as connection:
        await connection.exec_driver_sql("UPDATE visits SET scheduled_at = '2020-01-01 00:00:00'")
    await place.live.tidy()
    row = await place.visits.get(call.visit)
    assert row is not None
    assert row.state.value == "ended"


def _window(place: Place):  # type: ignore[no-untyped-def]
    from telehealth.identity.standing import window_of

    return window_of(place.clock.now(), 30, place.config.visits)


def _arrival(call):  # type: ignore[no-untyped-def]
    return _arrival_of(call.guest)


def _arrival_of(who):  # type: ignore[no-untyped-def]
    from telehealth.visits.receipts import signing_key
    from telehealth.visits.roster import Arrival

    return Arrival(signing_key(who.key.jwk), "en", True, True)


def _participant(view, participant):  # type: ignore[no-untyped-def]
    return next(person for person in view["participants"] if person["participant"] == participant)


async def _until(there) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(2):
        while not there():
            await asyncio.sleep(0.01)
