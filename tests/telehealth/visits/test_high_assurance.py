"""Visits on which much hangs: no face unseen, no code where its link went, and no contact that is no longer theirs."""

from pathlib import Path
from typing import Any

import pytest

from telehealth.errors import Malformed
from telehealth.identity.faults import ChannelNotAllowed
from telehealth.identity.sightings import Compared, Look, Sightings
from telehealth.ids import Kind, new_id
from telehealth.outbox.carriers import Carrier
from telehealth.store.tables import link_spares, links
from telehealth.visits.faults import IdentityOpen
from telehealth.visits.orders import NewLink, NewPatient, NewVisit, VisitChange
from telehealth.visits.rows import Confirmed
from tests.telehealth.visits.visit_house import LONG, Call, Place

PHONE, MAIL = "+43 660 1234567", "pat@example.org"
KNOWN: frozenset[Compared] = frozenset({"known_in_person"})


def sightings(place: Place) -> Sightings:
    parts: dict[str, Any] = {"store": place.store, "audit": place.log, "clock": place.clock, "bus": place.bus}
    return Sightings(**parts, limits=place.config.visits, entropy=lambda count: bytes(count))


async def look(call: Call, outcome: Any = "same") -> None:
    caller = await call.place.caller(call.staff)
    await sightings(call.place).record(caller, call.visit, Look(call.patient.participant, KNOWN, outcome))


async def test_nothing_is_recorded_or_shared_before_the_face_was_compared(place: Place) -> None:
    call = await place.in_call(assurance="high")
    for here in (call.doctor, call.patient):
        assert call.seen(here)["identity_open"] is True
        with pytest.raises(IdentityOpen):
            place.live.media(here, audio=True, video=True, screen=True)
    with pytest.raises(IdentityOpen):
        await place.live.recording_ask(call.doctor, "treatment_record")
    place.live.media(call.patient, audio=True, video=True, screen=False)  # to be seen is what it takes
    await look(call)
    assert call.seen(call.patient)["identity_open"] is False
    assert "sighted" not in repr(call.seen(call.patient))
    place.live.media(call.doctor, audio=True, video=True, screen=True)
    await place.live.recording_ask(call.doctor, "treatment_record")
    assert ("identity.seen", "done") in await place.actions()


async def test_whoever_is_unsure_goes_no_further(place: Place) -> None:
    call = await place.in_call(assurance="high")
    caller = await place.caller(call.staff)
    await sightings(place).record(caller, call.visit, Look(call.patient.participant, KNOWN, "unsure"))
    with pytest.raises(IdentityOpen):
        await place.live.recording_ask(call.doctor, "treatment_record")


async def test_a_restart_remembers_the_face(place: Place) -> None:
    call = await place.in_call(assurance="high")
    await look(call)
    again = place.live_again(LONG)
    running = await again.load(call.visit)
    assert not running.visit.unseen()
    await again.close()


async def test_an_ordinary_visit_waits_for_nobodys_face(place: Place) -> None:
    call = await place.in_call()
    assert call.seen(call.doctor)["identity_open"] is False
    await place.live.recording_ask(call.doctor, "treatment_record")


class Nowhere(Carrier):
    async def send(self, to: str, message: Any) -> None:
        """Keeps nothing."""


async def test_link_and_code_never_go_the_same_way(place: Place) -> None:
    place.outbox._carriers = {"sms": Nowhere(), "email": Nowhere()}
    caller = await place.caller(await place.staff())
    phone = NewPatient("Canary", PHONE)
    with pytest.raises(ChannelNotAllowed):
        await place.booking.create(caller, NewVisit(phone, assurance="high", channel="sms", send="sms"))
    with pytest.raises(ChannelNotAllowed):
        await place.booking.create(caller, NewVisit(NewPatient("Canary", MAIL), assurance="high", channel="email"))
    visit, _ = await place.booking.create(caller, NewVisit(phone, channel="sms", send="sms"))
    with pytest.raises(ChannelNotAllowed):
        await place.booking.edit(caller, visit.id, VisitChange(assurance="high"))
    await place.booking.issue_link(caller, visit.id, NewLink())
    high, _ = await place.booking.create(caller, NewVisit(phone, assurance="high", channel="sms"))
    assert high.assurance == "high"
    told, _ = await place.booking.create(caller, NewVisit(phone, assurance="high", channel="spoken", send="sms"))
    assert told.assurance == "high"


async def test_a_question_needs_its_answer_and_both_are_sealed(place: Place, tmp_path: Path) -> None:
    caller = await place.caller(await place.staff())
    patient = NewPatient("Canary", MAIL)
    for wrong in (Confirmed("question"), Confirmed("question", "Which street?"), Confirmed("question", "Which?", "?!")):
        with pytest.raises(Malformed):
            await place.booking.create(caller, NewVisit(patient, confirm=wrong))
    asked = Confirmed("question", "Which street was it?", "Lindengasse")
    visit, issued = await place.booking.create(caller, NewVisit(patient, confirm=asked, passcode="blue-river-42"))
    assert visit.confirm == "question"
    _, step = await place.joining.open(issued.token.reveal(), address=None, device=None)
    assert (step.confirm, step.question) == ("question", "Which street was it?")
    content = b"".join([one.read_bytes() for one in tmp_path.glob("telehealth.db*")])
    assert b"Lindengasse" not in content
    changed = await place.booking.edit(caller, visit.id, VisitChange(confirm=Confirmed("none")))
    assert changed.confirm == "none"


async def test_what_was_sent_to_another_contact_opens_nothing_once_the_contact_is_changed(place: Place) -> None:
    caller = await place.caller(await place.staff())
    visit, issued = await place.booking.create(caller, NewVisit(NewPatient("Canary", MAIL)))
    async with place.store.begin() as connection:
        await connection.execute(
            link_spares.insert().values(token_hash=b"s" * 32, link_id=issued.id, created_at=place.clock.now())
        )
    await place.booking.edit(caller, visit.id, VisitChange(patient=NewPatient("Canary", "other@example.org")))
    async with place.store.read() as connection:
        assert (await connection.execute(link_spares.select())).all() == []
        assert len((await connection.execute(links.select())).all()) == 1
    assert new_id(Kind.SIGHTING).startswith("sgt_")
