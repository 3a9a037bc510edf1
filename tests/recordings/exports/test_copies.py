"""The patient's own copy: asked for, decided, sent, taken with a code; every step in the patient's report."""

import os
import re
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from exported import Taped, looked_at
from recordings_house import House
from test_recordings_circle import colleague

from telehealth.access import Caller, Context, Unseen
from telehealth.copies.copies import Copies
from telehealth.copies.door import CopyDoor
from telehealth.copies.faults import CopiesOff, CopyAskedAlready, CopyUnknown
from telehealth.copies.states import State
from telehealth.copies.store import CopyStore
from telehealth.copying import RecordingStudio
from telehealth.errors import Forbidden, NotFound, WrongState
from telehealth.events import Bus
from telehealth.identity.faults import CodeExpired, CodeWrong, SlowDown, TriesUsedUp
from telehealth.outbox.messages import Message
from telehealth.outbox.outbox import Outbox
from telehealth.sections import Export
from telehealth.store import care
from telehealth.visits.rows import Patient
from telehealth.visits.store import VisitStore

NOBODY = {"address": "192.0.2.7", "device": "phone"}


@dataclass
class Mailbox:
    """Where e-mail ends up."""

    came: list[tuple[str, str]] = field(default_factory=list)

    async def send(self, to: str, message: Message) -> None:
        self.came.append((to, message.text))


@dataclass
class Desk:
    """Both sides of copies over a taped visit."""

    taped: Taped
    mail: Mailbox
    outbox: Outbox
    copies: Copies
    door: CopyDoor

    @property
    def house(self) -> House:
        return self.taped.house

    @property
    def patient(self) -> Caller:
        name = self.house.patient.participant
        return Caller("participant", name, "patient", visit=self.house.visit, participant=name)

    @property
    def admin(self) -> Caller:
        """Who proved both factors a moment ago."""
        return replace(self.house.admin, context=Context(mfa_age=timedelta(seconds=5)))

    async def asked(self) -> str:
        return (await self.copies.ask_patient(self.patient, self.taped.recording, "en")).id

    async def ready(self) -> tuple[str, str]:
        """Approved, made and sent; the copy and the link's token."""
        copy = await self.asked()
        await self.copies.approve(self.admin, copy)
        await self.house.service.exports.settle()
        await self.copies.look()
        return copy, re.findall(r"/copy#(\S+)", await self.letter())[-1]

    async def letter(self) -> str:
        await self.outbox.deliver_due()
        return self.mail.came[-1][1]

    async def code(self, token: str) -> str:
        await self.door.send_code(token)
        return re.findall(r"\b\d{6}\b", await self.letter())[0]


async def desk_of(taped: Taped, carriers: bool = True, settings: Export | None = None) -> Desk:
    house = taped.house
    visits = VisitStore(house.store, house.fields)
    await visits.change(house.visit, patient=Patient("Zora Quill", "zora@example.org"))
    mail = Mailbox()
    common = {"clock": house.clock, "audit": house.log}
    outbox = Outbox(
        **common,
        store=house.store,
        fields=house.fields,
        bus=Bus(),
        carriers={"email": mail} if carriers else {},
        entropy=os.urandom,
    )
    shared = {
        **common,
        "rows": CopyStore(house.store),
        "studio": RecordingStudio(house.service, visits),
        "post": outbox,
        "entropy": os.urandom,
        "clinic": "Clinic",
    }
    copies = Copies(**shared, settings=settings or Export(), url="https://visits.example")
    return Desk(taped, mail, outbox, copies, CopyDoor(**shared, fields=house.fields))


@pytest.fixture
async def desk(taped: Taped) -> Desk:
    return await desk_of(taped)


async def test_the_patient_asks_an_admin_approves_and_the_link_with_a_code_gives_a_film(desk: Desk) -> None:
    copy, token = await desk.ready()
    assert desk.mail.came[0][0] == "zora@example.org"
    assert "Zora" not in desk.mail.came[0][1]
    assert (await desk.door.open(token, **NOBODY)).channel == "email"
    code = await desk.code(token)
    with pytest.raises(CodeWrong):
        await desk.door.verify(token, "000000" if code != "000000" else "111111", **NOBODY)
    opened = await desk.door.verify(token, code, **NOBODY)
    with pytest.raises(CodeExpired):
        await desk.door.verify(token, code, **NOBODY)
    with pytest.raises(Forbidden):
        await desk.door.download(token, "guessed", **NOBODY)
    making, pieces = await desk.door.download(token, opened.session.reveal(), **NOBODY)
    film = b"".join([piece async for piece in pieces(0, 2**40)])
    assert len(film) == making.size
    assert abs(looked_at(film).seconds - 5) < 0.3
    view = (await desk.copies.list(desk.admin, desk.taped.recording))[0]
    assert (view.id, view.state, view.fetched_at is not None) == (copy, "ready", True)


async def test_every_step_stands_in_the_patients_report(desk: Desk) -> None:
    _, token = await desk.ready()
    opened = await desk.door.verify(token, await desk.code(token), **NOBODY)
    _, pieces = await desk.door.download(token, opened.session.reveal(), **NOBODY)
    assert [piece async for piece in pieces(0, 2**40)]
    whose = desk.house.log.patient_pseudonym((b"p" * 32).hex())
    steps = [entry.action for entry in await desk.house.entries() if entry.patient == whose and entry.outcome == "done"]
    wanted = ["copy.ask", "copy.approve", "copy.send", "copy.code", "identity.verified", "recording.download"]
    assert [step for step in steps if step in wanted] == wanted
    assert "recording.export" in steps


async def test_only_the_visits_own_patient_asks_and_only_once(desk: Desk) -> None:
    other = Caller("participant", "par_x", "patient", visit="vis_other", participant="par_x")
    with pytest.raises(Forbidden):
        await desk.copies.ask_patient(other, desk.taped.recording, "en")
    await desk.asked()
    with pytest.raises(CopyAskedAlready):
        await desk.asked()
    assert await desk.copies.of_patient(desk.patient) == [(desk.taped.recording, "asked")]


async def test_staff_may_ask_but_only_an_admin_decides(desk: Desk) -> None:
    copy = (await desk.copies.ask(desk.house.doctor_caller, desk.taped.recording, "ar")).id
    with pytest.raises(Forbidden):
        await desk.copies.approve(desk.house.doctor_caller, copy)
    with pytest.raises(Forbidden):
        await desk.copies.approve(
            replace(desk.house.admin, context=Context()), copy
        )  # both factors were proved long ago
    with pytest.raises(Forbidden):
        await desk.copies.list(desk.house.doctor_caller)
    assert (await desk.copies.decline(desk.admin, copy, "third_party")).decline_reason == "third_party"
    with pytest.raises(WrongState):
        await desk.copies.approve(desk.admin, copy)
    assert (await desk.house.entries("copy.decline"))[0].detail["reason"] == "third_party"


async def test_a_clinic_may_let_the_visits_clinician_decide(taped: Taped) -> None:
    desk = await desk_of(taped, settings=Export(copy_approver="clinician"))
    copy = await desk.asked()
    stranger = Caller("user", "usr_other", "clinician", session="ses_o")
    with pytest.raises(NotFound):
        await desk.copies.approve(stranger, copy)
    assert [one.id for one in await desk.copies.list(desk.house.doctor_caller)] == [copy]
    assert (await desk.copies.decline(desk.house.doctor_caller, copy, "other")).state == "declined"


async def test_a_clinic_that_gives_no_copies_takes_no_request(taped: Taped) -> None:
    desk = await desk_of(taped, settings=Export(patient_copy=False))
    with pytest.raises(CopiesOff):
        await desk.asked()


async def test_guessing_a_code_ends_the_link_and_codes_are_counted(desk: Desk) -> None:
    _, token = await desk.ready()
    code = await desk.code(token)
    wrong = "000000" if code != "000000" else "111111"
    for _ in range(5):
        with pytest.raises(CodeWrong):
            await desk.door.verify(token, wrong, **NOBODY)
    with pytest.raises(TriesUsedUp):
        await desk.door.verify(token, code, **NOBODY)
    for _ in range(4):
        code = await desk.code(token)
    with pytest.raises(SlowDown):
        await desk.door.send_code(token)
    with pytest.raises(TriesUsedUp):
        await desk.door.verify(token, code, **NOBODY)


async def test_a_link_dies_with_its_time_and_with_its_successor(desk: Desk) -> None:
    copy, token = await desk.ready()
    fresh = (await desk.copies.link(desk.admin, copy)).reveal().split("#")[1]
    with pytest.raises(CopyUnknown):
        await desk.door.open(token, **NOBODY)
    assert (await desk.door.open(fresh, **NOBODY)).channel == "told"
    desk.house.clock.move(days=8)
    with pytest.raises(CopyUnknown):
        await desk.door.open(fresh, **NOBODY)
    await desk.copies.look()
    assert (await desk.copies.list(desk.admin, desk.taped.recording))[0].state == "expired"
    assert await desk.house.service.exports.sweep() == 1


async def test_where_nothing_can_be_sent_staff_hand_over_link_and_code(taped: Taped) -> None:
    desk = await desk_of(taped, carriers=False)
    copy = await desk.asked()
    await desk.copies.approve(desk.admin, copy)
    await desk.house.service.exports.settle()
    await desk.copies.look()
    token = (await desk.copies.link(desk.admin, copy)).reveal().split("#")[1]
    row = await desk.copies.may_decide(desk.admin, copy)
    code, _ = await desk.door.tell_code(desk.admin.actor(), row)
    assert (await desk.door.verify(token, code.reveal(), **NOBODY)).size > 1000


async def test_a_deleted_recording_leaves_no_copy_behind(desk: Desk) -> None:
    _, token = await desk.ready()
    opened = await desk.door.verify(token, await desk.code(token), **NOBODY)
    await desk.house.service._playback.end_all(recording=desk.taped.recording)
    with pytest.raises(CopyUnknown):
        await desk.door.download(token, opened.session.reveal(), **NOBODY)


async def test_one_request_that_cannot_go_on_holds_up_no_other(desk: Desk) -> None:
    """The newest is looked at first, and what it asks for is not there."""
    first, token = await desk.ready()
    rows = CopyStore(desk.house.store)
    await rows.note(first, state=State.EXPIRED)
    desk.house.clock.move(hours=1)
    stuck = {"state": State.APPROVED, "decided_at": desk.house.clock.now(), "export_id": "exp_nowhere"}
    await rows.note(await desk.asked(), **stuck)
    await rows.note(first, state=State.READY)
    desk.house.clock.move(days=30)
    await desk.copies.look()
    assert [row.state for row in await rows.of_recording(desk.taped.recording)] == ["approved", "expired"]
    with pytest.raises(CopyUnknown):
        await desk.door.open(token, **NOBODY)


async def test_the_visits_team_may_ask_and_a_stranger_is_refused_by_a_named_rule(desk: Desk) -> None:
    who = await colleague(desk.house)
    with pytest.raises(Unseen) as refused:
        await desk.copies.ask(who, desk.taped.recording, "en")
    assert (refused.value.verdict.rule, refused.value.thing.id) == ("circle", desk.taped.recording)
    async with desk.house.store.begin() as connection:
        await care.join(connection, desk.house.visit, who.id, desk.house.clinician, desk.house.clock.now())
    assert (await desk.copies.ask(who, desk.taped.recording, "en")).state == "asked"
