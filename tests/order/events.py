"""Every socket event, how it stands to the log, and how it is sent."""

import asyncio

from telehealth.audit.actions import Action
from telehealth.frames import EncodedFrame
from tests.order.cast import ada_of
from tests.order.place import Ask, Place, Reply, opus, soon
from tests.order.sorts import Prepare, Shows, Ways, closes, opens
from tests.signaling.socket_house import Browser

A = Action


def said(answer: dict[str, object]) -> Reply:
    return Reply(None if answer["ok"] else str(answer["error"]), answer)


def sending(browser: Browser, event: str, **payload: object) -> Ask:
    async def asked() -> Reply:
        return said(await browser.send(event, payload))

    return asked


async def booked(place: Place) -> tuple[Browser, Browser]:
    """Sockets of a clinician and a patient, not yet entered."""
    ada = await ada_of(place)
    made = await place.booked(ada)
    _, guest = await place.verified(made)
    visit = made["visit"]["id"]
    return await place.browser(ada.staff, visit), await place.browser(guest, visit)


async def waiting(place: Place) -> tuple[Browser, Browser]:
    doctor, patient = await booked(place)
    assert (await doctor.enter())["ok"]
    assert (await patient.enter())["ok"]
    return doctor, patient


async def call(place: Place) -> tuple[Browser, Browser]:
    """A clinician and an admitted patient."""
    doctor, patient = await waiting(place)
    assert (await doctor.send("admit", {"participant": patient.participant}))["ok"]
    await patient.sees(lambda view: view["self"]["state"] == "admitted")
    return doctor, patient


async def asked(place: Place) -> tuple[Browser, Browser]:
    doctor, patient = await call(place)
    assert (await doctor.send("recording.ask", {"purpose": "treatment_record"}))["ok"]
    await patient.event("consent.asked")
    await doctor.event("consent.asked")
    return doctor, patient


async def answer(browser: Browser, word: str) -> Ask:
    question = await browser.event("consent.asked")
    who = browser.who
    assert who is not None
    visit = browser.view["visit"]["id"]
    return sending(browser, "consent.answer", **receipt(browser, question, visit, word))


def receipt(browser: Browser, question: dict[str, str], visit: str, word: str) -> dict[str, str]:
    """`consent.answer` as a browser makes it."""
    import json

    from telehealth.clock import SystemClock, rfc3339

    told = {
        "visit": visit,
        "participant": browser.participant,
        "answer": word,
        "at": rfc3339(SystemClock().now()),
        **{name: question[name] for name in ("request", "sha256", "version", "language", "purpose")},
    }
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    assert browser.who is not None
    return {"request": question["request"], "answer": word, "receipt": text, "signature": browser.who.key.sign(text)}


async def recorded(place: Place) -> tuple[Browser, Browser]:
    """Everybody said yes, and a frame of everybody is stored."""
    doctor, patient = await asked(place)
    for browser in (doctor, patient):
        assert (await (await answer(browser, "yes"))()).done
    await doctor.sees(lambda view: view["recording"]["recording"] is not None)
    recording = doctor.view["recording"]["recording"]
    for browser in (doctor, patient):
        sink = place.house.recordings.sink(recording, browser.participant)
        for number in range(50):
            arrived = place.house.clock.steady() + number * 0.02
            sink.frame(EncodedFrame("audio", opus(number * 960), number * 960, True, arrived))
    await doctor.sees(lambda view: view["recording"]["state"] == "recording")
    return doctor, patient


async def enter_patient(place: Place) -> Ask:
    _, patient = await booked(place)

    async def enter() -> Reply:
        return said(await patient.enter())

    return enter


async def enter_staff(place: Place) -> Ask:
    doctor, _ = await booked(place)

    async def enter() -> Reply:
        return said(await doctor.enter())

    return enter


async def admit(place: Place) -> Ask:
    doctor, patient = await waiting(place)
    return sending(doctor, "admit", participant=patient.participant)


async def break_glass(place: Place) -> Ask:
    doctor, patient = await waiting(place)
    return sending(doctor, "admit", participant=patient.participant, break_glass=True)


async def remove(place: Place) -> Ask:
    doctor, patient = await call(place)
    return sending(doctor, "remove", participant=patient.participant)


async def end(place: Place) -> Ask:
    return sending((await call(place))[0], "end")


async def leave(place: Place) -> Ask:
    return sending((await call(place))[1], "leave")


async def forbid_screen(place: Place) -> Ask:
    doctor, patient = await call(place)
    assert (await patient.send("media", {"audio": True, "video": True, "screen": True}))["ok"]
    await soon(lambda: any(one["screen"] for one in doctor.view["participants"]))
    return sending(doctor, "screen_policy", forbidden=True)


async def ask(place: Place) -> Ask:
    return sending((await call(place))[0], "recording.ask", purpose="treatment_record")


def answering(word: str) -> Prepare:
    async def prepare(place: Place) -> Ask:
        return await answer((await asked(place))[1], word)

    return prepare


async def withdraw(place: Place) -> Ask:
    return sending((await recorded(place))[1], "consent.withdraw")


async def stop(place: Place) -> Ask:
    return sending((await recorded(place))[0], "recording.stop")


async def pause(place: Place) -> Ask:
    return sending((await recorded(place))[0], "recording.pause")


async def resume(place: Place) -> Ask:
    doctor, _ = await recorded(place)
    recording = doctor.view["recording"]["recording"]
    assert (await doctor.send("recording.pause"))["ok"]
    while (await place.house.recordings.catalogue.recording(recording)).state != "paused":
        await asyncio.sleep(0.005)  # the recorder follows the button
    return sending(doctor, "recording.resume")


EVENTS: Ways = {
    # The row of a clinician's own participant is there before the entry names it; it says "invited" and admits nobody.
    # Waiting opens nothing, so a patient may wait while the log is down; the clinician comes in by breaking the glass.
    "enter": (
        opens(enter_staff, A.JOIN, reserves="participants"),
        Shows("a patient waits: the way in is the admission"),
    ),
    "admit": (opens(admit, A.ADMIT), closes(break_glass, A.BREAK_GLASS_ADMIT)),
    "remove": (closes(remove, A.REMOVE),),
    "end": (closes(end, A.VISIT_END),),
    "leave": (closes(leave, A.LEAVE),),
    "signal": (Shows("carries between people who were admitted"),),
    "media": (Shows("says what one sends oneself"),),
    "chat": (Shows("carries between people who were admitted"),),
    "screen_policy": (closes(forbid_screen, A.SCREEN_STOP), Shows("allows what the clinic allows anyway")),
    "quality": (Shows("says how one's own connection does"),),
    "recording.ask": (opens(ask, A.CONSENT_ASK),),
    "consent.answer": (opens(answering("yes"), A.CONSENT_ANSWER), closes(answering("no"), A.CONSENT_REFUSE)),
    "consent.withdraw": (closes(withdraw, A.CONSENT_WITHDRAW),),
    "leg.offer": (Shows("a leg among people who were admitted; what records it was entered with everybody's yes"),),
    "leg.ready": (Shows("says that one's own media flows"),),
    "recording.stop": (closes(stop, A.RECORDING_STOP),),
    "recording.pause": (closes(pause, A.RECORDING_PAUSE),),
    "recording.resume": (opens(resume, A.RECORDING_RESUME),),
    "ping": (Shows("the time"),),
}
