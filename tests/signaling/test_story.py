"""One visit over real sockets, from the waiting room to the end."""

from telehealth.frames import EncodedFrame
from tests.signaling.socket_house import Browser, SocketHouse
from tests.telehealth.visits.visit_house import CANARY


async def answer(browser: Browser, said: str) -> None:
    assert browser.who is not None
    asked = await browser.event("consent.asked")
    browser.heard.clear()
    visit = browser.view["visit"]["id"]
    receipt = browser.who.key.receipt(asked, visit, browser.participant, said)
    assert (await browser.send("consent.answer", receipt)) == {"ok": True}


async def test_a_visit_from_the_waiting_room_to_its_end(house: SocketHouse) -> None:
    place = house.place
    staff = await place.staff()
    visit, guest = await place.booked(staff, recording_planned=True)
    desk = await house.browser(staff, {"watch": True})
    assert [item["state"] for item in (await desk.event("today"))["visits"]] == ["booked"]

    patient = await house.patient(guest)
    assert patient.view["self"]["state"] == "waiting"
    assert CANARY not in str(patient.view)
    doctor = await house.doctor(staff, visit.id)
    assert doctor.view["visit"]["patient_name"] == CANARY
    knocking = [person for person in doctor.view["participants"] if person["state"] == "waiting"]
    assert [(person["location"], person["online"]) for person in knocking] == [("at home", True)]

    assert (await patient.send("admit", {"participant": patient.participant}))["error"] == "clinician_only"
    assert (await patient.send("signal", {"to": doctor.participant, "candidate": {"candidate": ""}}))["error"] == (
        "not_admitted"
    )
    assert (await doctor.send("admit", {"participant": patient.participant})) == {"ok": True}
    await patient.sees(lambda view: view["self"]["state"] == "admitted")

    offer = {"to": doctor.participant, "description": {"type": "offer", "sdp": "v=0\r\n"}}
    assert (await patient.send("signal", offer)) == {"ok": True}
    carried = await doctor.event("signal")
    assert (carried["from"], carried["description"]) == (patient.participant, {"type": "offer", "sdp": "v=0\r\n"})

    assert (await doctor.send("recording.ask", {"purpose": "treatment_record"}))["ok"]
    await answer(doctor, "yes")
    await answer(patient, "no")
    await doctor.sees(lambda view: view["recording"]["reason"] == "declined")

    assert (await doctor.send("recording.ask", {"purpose": "treatment_record"}))["ok"]
    for browser in (doctor, patient):
        await answer(browser, "yes")
    for browser in (doctor, patient):
        await browser.sees(lambda view: view["media"]["topology"] == "relay")
        answered = await browser.send("leg.offer", {"sdp": "v=0\r\n"})
        assert (answered["sdp"][:6], answered["slots"]) == ("answer", [])
    for leg in place.legs.live:
        leg.connect()
    assert [slot["participant"] for slot in (await doctor.event("leg.slots"))["slots"]] == [patient.participant] * 2
    for leg in place.legs.live:
        assert leg.sink is not None
        leg.sink.frame(EncodedFrame("audio", b"opus", 960, True, 0.0))
    await patient.sees(lambda view: view["recording"]["state"] == "recording")

    assert (await patient.send("consent.withdraw")) == {"ok": True}
    await doctor.sees(lambda view: view["recording"]["reason"] == "withdrawn")
    assert place.recorder.words() == ["begin", "cut", "stop"]

    assert (await doctor.send("end")) == {"ok": True}
    assert (await patient.event("ended"))["reason"] == "ended"
    await patient.closed()
    names = [action for action, _ in await place.actions()]
    for action in ("join", "admit", "consent.ask", "consent.refuse", "consent.answer", "consent.withdraw", "visit.end"):
        assert action in names
    assert names.index("join") < names.index("admit") < names.index("consent.ask")


async def test_the_clinicians_list_shows_who_waits_and_codes_to_tell(house: SocketHouse) -> None:
    place = house.place
    staff = await place.staff()
    visit, issued = await place.booking.create(await place.caller(staff), _spoken())
    desk = await house.browser(staff, {"watch": True})
    await desk.event("today")
    pre, _ = await place.joining.open(issued.token.reveal(), address=None, device=None)
    desk.heard.clear()
    await place.joining.mint(pre.reveal())
    codes = (await desk.hears("today", lambda today: today["codes"]))["codes"]
    assert [(code["visit"], len(code["code"]) >= 6) for code in codes] == [(visit.id, True)]
    cookie, verified = await place.joining.verify(pre.reveal(), codes[0]["code"])
    await place.joining.details(cookie.reveal(), "at home", "+41 44 000 00 00")
    desk.heard.clear()
    from tests.telehealth.visits.visit_house import Guest

    await house.patient(Guest(visit.id, issued.id, verified.participant, cookie.reveal()))
    item = (await desk.hears("today", lambda today: today["visits"][0]["waiting"]))["visits"][0]
    assert [(one["participant"], one["online"]) for one in item["waiting"]] == [(verified.participant, True)]
    assert (item["link_channel"], item["in_call"], item["patient_name"]) == ("spoken", False, CANARY)


def _spoken():  # type: ignore[no-untyped-def]
    from telehealth.visits.orders import NewPatient, NewVisit

    return NewVisit(NewPatient(CANARY), channel="spoken")
