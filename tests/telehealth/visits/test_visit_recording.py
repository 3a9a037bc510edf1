"""A visit's recording: nothing before everyone's yes, nothing after anyone's no, and it says what it does."""

import asyncio

import pytest

from recordings.refusals import DiskFull
from telehealth.audit.faults import LogUnavailable
from telehealth.errors import WrongState
from telehealth.visits.consent import AlreadyAnswered, NotAsked
from telehealth.visits.faults import LegNotWanted, NobodyElse, NotAdmitted
from telehealth.visits.neighbours import Settings
from telehealth.visits.receipts import ReceiptInvalid
from telehealth.visits.states import ParticipantState
from tests.telehealth.visits.visit_house import LONG, Call, Place


async def test_the_last_yes_and_only_the_last_begins_the_recorder(place: Place) -> None:
    call = await place.in_call()
    await place.live.recording_ask(call.doctor, "treatment_record")
    assert call.recording()["state"] == "asking"
    await call.answer(call.doctor, "yes")
    await call.settled()
    assert place.recorder.told == []
    with pytest.raises(LegNotWanted):
        await place.live.leg_offer(call.doctor, "v=0")
    await call.answer(call.patient, "yes")
    await call.settled()
    assert place.recorder.words() == ["begin"]
    assert call.recording()["state"] == "starting"


async def test_everybody_is_asked_in_their_language_with_the_whole_text(place: Place) -> None:
    call = await place.in_call()
    await place.enter(call.guest, call.visit, language="ar-EG")
    await place.live.recording_ask(call.doctor, "second_opinion")
    asked = call.asked(call.patient)
    assert (asked["language"], asked["by"]["name"], asked["purpose"]) == ("ar", "Dr ada", "second_opinion")
    assert (asked["retention_days"], call.asked(call.doctor)["language"]) == (2557, "en")


async def test_it_says_recording_only_when_a_frame_of_everybody_is_stored(place: Place) -> None:
    call = await place.in_call()
    await call.agreed()
    await call.leg(call.doctor)
    call.send_frames()
    assert call.recording()["state"] == "starting"
    await call.leg(call.patient)
    call.send_frames()
    assert call.recording()["state"] == "recording"
    assert call.seen(call.patient)["recording"]["state"] == "recording"


async def test_a_no_ends_the_request_and_keeps_the_visit(place: Place) -> None:
    call = await place.in_call()
    await place.live.recording_ask(call.doctor, "training")
    await call.answer(call.doctor, "yes")
    await call.answer(call.patient, "no")
    shown = call.recording()
    assert (shown["state"], shown["reason"]) == ("none", "declined")
    assert place.recorder.told == []
    assert call.seen(call.patient)["self"]["state"] == "admitted"
    assert ("consent.refuse", "done") in await place.actions()
    await place.live.recording_ask(call.doctor, "training")
    assert call.recording()["state"] == "asking"


async def test_a_withdrawal_cuts_before_anything_else_then_tells_then_enters(place: Place) -> None:
    call = await place.in_call()
    await call.recorded()
    legs, before = place.legs.live, len(place.recorder.stored)
    sinks = [leg.sink for leg in legs]
    place.log.down = True  # the log would hold up whatever waits for it
    withdrawing = place.live.consent_withdraw(call.patient)
    task = asyncio.ensure_future(withdrawing)
    await asyncio.sleep(0)
    assert place.recorder.told[-1] == ("cut", "withdrawn")
    assert call.recording()["reason"] == "withdrawn"
    assert call.board.of(call.doctor.participant, "view")[-1]["recording"]["state"] == "stopping"
    for sink in sinks:
        sink.frame(None)  # type: ignore[arg-type,union-attr]  # whatever still arrives
    assert len(place.recorder.stored) == before
    await task
    await call.settled()
    assert place.recorder.words()[-2:] == ["cut", "stop"]
    assert [leg.reason for leg in legs] == [None, None], "the call goes on"
    assert [entry.action for entry in place.log.spooled] == ["consent.withdraw"]
    assert call.recording()["state"] == "none"


async def test_a_withdrawal_while_the_recorder_begins_leaves_nothing(place: Place) -> None:
    call = await place.in_call()
    place.recorder.gate = asyncio.Event()
    await place.live.recording_ask(call.doctor, "training")
    await call.answer(call.doctor, "yes")
    await call.answer(call.patient, "yes")
    await place.live.consent_withdraw(call.doctor)
    place.recorder.gate.set()
    await call.settled()
    assert place.recorder.words() == ["begin", "cut", "stop"]
    assert place.legs.opened == []
    assert call.recording()["state"] == "none"


async def test_a_wrong_receipt_is_refused_and_counts_as_nothing(place: Place) -> None:
    call = await place.in_call()
    await place.live.recording_ask(call.doctor, "training")
    with pytest.raises(ReceiptInvalid):
        await call.answer(call.patient, "yes", purpose="treatment_record")
    said = call.staff.key.receipt(call.asked(call.patient), call.visit, call.patient.participant, "yes")
    with pytest.raises(ReceiptInvalid):
        await place.live.consent_answer(call.patient, **said)
    await call.answer(call.doctor, "yes")
    await call.settled()
    assert place.recorder.told == []
    with pytest.raises(AlreadyAnswered):
        await call.answer(call.doctor, "yes")


async def test_receipts_are_kept_with_their_signature(place: Place) -> None:
    call = await place.in_call()
    await call.agreed()
    async with place.store.read() as connection:
        rows = (await connection.exec_driver_sql("SELECT answer, receipt, signature FROM consents")).all()
    assert [(row.answer, len(row.signature)) for row in rows] == [("yes", 64), ("yes", 64)]
    assert call.visit in rows[0].receipt


async def test_without_the_log_there_is_no_yes_but_there_is_a_no(place: Place) -> None:
    call = await place.in_call()
    await place.live.recording_ask(call.doctor, "training")
    place.log.down = True
    with pytest.raises(LogUnavailable):
        await call.answer(call.doctor, "yes")
    await call.answer(call.patient, "no")
    assert call.recording()["reason"] == "declined"


async def test_alone_nobody_is_recorded(place: Place) -> None:
    staff = await place.staff()
    visit, guest = await place.booked(staff)
    doctor, patient = await place.enter(staff, visit.id), await place.enter(guest, visit.id)
    with pytest.raises(NobodyElse):
        await place.live.recording_ask(doctor, "training")
    with pytest.raises(NotAdmitted):
        await place.live.consent_withdraw(patient)
    with pytest.raises(NotAdmitted):
        await place.live.consent_answer(patient, "con_x", "yes", "", "")


async def test_a_withdrawal_or_stop_of_nothing_is_the_wrong_state(place: Place) -> None:
    call = await place.in_call()
    for refused in (
        place.live.consent_withdraw(call.patient),
        place.live.recording_stop(call.doctor),
        place.live.recording_pause(call.doctor),
        place.live.recording_resume(call.doctor),
    ):
        with pytest.raises(WrongState):
            await refused
    with pytest.raises(NotAsked):
        await place.live.consent_answer(call.patient, "con_x", "yes", "", "")


async def test_pause_and_resume_by_the_clinician(place: Place) -> None:
    call = await place.in_call()
    await call.recorded()
    await place.live.recording_pause(call.doctor)
    await call.settled()
    assert (call.recording()["state"], call.recording()["reason"]) == ("paused", "paused")
    await place.live.recording_resume(call.doctor)
    await call.settled()
    assert place.recorder.told[-2:] == [("pause", "paused"), ("resume",)]
    assert call.recording()["state"] == "recording"
    await place.live.recording_stop(call.doctor)
    await call.settled()
    assert place.recorder.told[-1] == ("stop", "stopped")


async def test_the_starter_lost_pauses_and_their_return_goes_on(place: Place) -> None:
    call = await place.in_call()
    await call.recorded()
    place.live.dropped(call.doctor)
    await call.settled()
    assert place.recorder.told[-1] == ("pause", "starter_lost")
    assert call.seen(call.patient)["recording"]["state"] == "paused"
    again = await place.enter(call.staff, call.visit)
    await call.settled()
    assert place.recorder.told[-1] == ("resume",)
    assert place.legs.of(again.participant)[0].sink is not None


async def test_the_starter_lost_for_good_stops_it(hasty: Place) -> None:
    call = await hasty.in_call()
    await call.recorded()
    hasty.live.dropped(call.doctor)
    async with asyncio.timeout(2):
        while call.seen(call.patient)["recording"]["state"] != "none":
            await asyncio.sleep(0.01)
    assert call.seen(call.patient)["recording"]["reason"] == "starter_lost"
    assert hasty.recorder.words()[-2:] == ["pause", "stop"]


async def test_a_patient_who_reloads_is_recorded_again_over_their_new_leg(place: Place) -> None:
    call = await place.in_call()
    await call.recorded()
    place.live.dropped(call.patient)
    again = await place.enter(call.guest, call.visit, page="p2")
    assert (await call.leg(again, "o=new")).sink is not None
    assert call.recording()["state"] == "recording"


async def test_a_reload_while_asked_shows_the_question_again(place: Place) -> None:
    call = await place.in_call()
    await place.live.recording_ask(call.doctor, "training")
    await place.enter(call.guest, call.visit)
    assert len(call.board.of(call.patient.participant, "consent.asked")) == 2


async def test_the_patient_leaving_ends_it(place: Place) -> None:
    call = await place.in_call()
    await call.recorded()
    await place.live.leave(call.patient)
    await call.settled()
    assert call.recording()["reason"] == "left"
    assert place.recorder.words()[-1] == "stop"


async def test_a_full_disk_is_said_and_the_call_goes_on(place: Place) -> None:
    call = await place.in_call()
    place.recorder.refusal = DiskFull()
    await place.live.recording_ask(call.doctor, "training")
    await call.answer(call.doctor, "yes")
    await call.answer(call.patient, "yes")
    await call.settled()
    assert (call.recording()["state"], call.recording()["reason"]) == ("none", "disk_full")
    assert call.seen(call.patient)["self"]["state"] == "admitted"


async def test_a_fault_on_the_way_is_said_and_the_call_goes_on(place: Place) -> None:
    call = await place.in_call()
    recording = await call.recorded()
    place.recorder.listeners[recording].fault(recording, "recorder_too_slow")
    assert call.recording()["state"] == "recording"
    place.recorder.listeners[recording].fault(recording, "disk_full")
    await call.settled()
    assert (call.recording()["state"], call.recording()["reason"]) == ("none", "disk_full")
    assert call.seen(call.patient)["self"]["state"] == "admitted"
    assert all(leg.sink is None for leg in place.legs.live)


async def test_a_leg_that_breaks_off_is_asked_for_again(place: Place) -> None:
    call = await place.in_call()
    await call.recorded()
    place.legs.live[1].finish("connection_lost")
    await call.settled()
    assert len(call.board.of(call.patient.participant, "leg.open")) == 1


async def test_a_start_that_brings_no_frames_ends_as_such(place: Place) -> None:
    call = await place.in_call()
    place.live = place.live_again(Settings(start_seconds=0.05, tidy_seconds=3600))
    await place.live.start()
    await place.enter(call.staff, call.visit)
    await place.enter(call.guest, call.visit)
    await call.agreed()
    async with asyncio.timeout(2):
        while call.recording()["state"] != "none":
            await asyncio.sleep(0.01)
    assert call.recording()["reason"] == "start_timeout"
    await place.live.close()


async def test_shutdown_hands_the_recording_over(place: Place) -> None:
    call = await place.in_call()
    await call.recorded()
    await place.live.close()
    assert place.recorder.told[-1] == ("stop", "server_stopped")


async def test_who_joins_late_pauses_it_until_they_said_yes(place: Place) -> None:
    call = await place.in_call()
    place.live = place.live_again(LONG)
    await place.live.start()
    doctor = await place.enter(call.staff, call.visit)
    await place.enter(call.guest, call.visit)
    await call.recorded()
    late = await _late(call)
    await place.live.admit(doctor, late.participant)
    assert place.recorder.told[-1] == ("pause", "consent")
    assert (call.recording()["state"], call.recording()["reason"]) == ("paused", "consent")
    said = call.guest.key.receipt(call.asked(late), call.visit, late.participant, "yes")
    await place.live.consent_answer(late, **said)
    await call.settled()
    assert place.recorder.words()[-2:] == ["stop", "begin"] or place.recorder.words()[-2:] == ["begin", "stop"]
    assert len(place.recorder.begun[-1]["parties"]) == 3
    assert call.recording()["state"] == "starting"
    await place.live.close()


async def test_who_joins_late_and_says_no_ends_it(place: Place) -> None:
    call = await place.in_call()
    place.live = place.live_again(LONG)
    await place.live.start()
    doctor = await place.enter(call.staff, call.visit)
    await place.enter(call.guest, call.visit)
    await call.recorded()
    late = await _late(call)
    await place.live.admit(doctor, late.participant)
    said = call.guest.key.receipt(call.asked(late), call.visit, late.participant, "no")
    await place.live.consent_answer(late, **said)
    await call.settled()
    assert place.recorder.told[-2:] == [("cut", "declined"), ("stop", "declined")]
    assert call.recording()["reason"] == "declined"
    await place.live.close()


async def _late(call: Call):  # type: ignore[no-untyped-def]
    """A second patient, by a link of their own beside the first."""
    from sqlalchemy import insert

    from telehealth.access import Caller
    from telehealth.ids import Kind, new_id
    from telehealth.store.tables import links, participants
    from telehealth.visits.receipts import signing_key
    from telehealth.visits.roster import Arrival

    place, now = call.place, call.place.clock.now()
    person, link = new_id(Kind.PARTICIPANT), new_id(Kind.LINK)
    sealed = {
        column: place.fields.seal("there", table="participants", column=column, row=person)
        for column in ("location_sealed", "callback_sealed")
    }
    window = _window(place)
    async with place.store.begin() as connection:
        await connection.execute(
            insert(links).values(
                id=link,
                visit_id=call.visit,
                role="interpreter",
                channel="passcode",
                token_hash=b"t" * 32,
                not_before=window.opens,
                expires_at=window.closes,
                created_at=now,
            )
        )
        await connection.execute(
            insert(participants).values(
                id=person,
                visit_id=call.visit,
                link_id=link,
                role="interpreter",
                state=ParticipantState.VERIFIED,
                **sealed,
            )
        )
    caller = Caller("participant", person, "patient", visit=call.visit, participant=person)
    arrival = Arrival(signing_key(call.guest.key.jwk), "en", True, True)
    here, _ = await place.live.enter(caller, call.visit, arrival, lambda _here: None)
    return here


def _window(place: Place):  # type: ignore[no-untyped-def]
    from telehealth.identity.standing import window_of

    return window_of(place.clock.now(), 30, place.config.visits)
