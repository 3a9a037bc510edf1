"""Three people over real sockets and the real media port: who hears whom, and what the recorder may have of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from signaling.rtc import MediaPort
from telehealth.clock import SystemClock
from telehealth.errors import Refusal
from telehealth.visits.neighbours import Settings
from tests.partners.databases import Databases
from tests.signaling.rtc.media_parts import KeepingSink, RawBrowser, opus, vp8
from tests.signaling.socket_house import Browser, SocketHouse, open_socket_house
from tests.signaling.test_story import answer
from tests.telehealth.visits.visit_house import LONG, Guest, Legs

PAIRS = (("audio", "recvonly"), ("video", "recvonly")) * 2  # for two others
BRIEF = Settings(tidy_seconds=3600, turn_seconds=0.4, leg_seconds=0.3)


class Page:
    """A socket and a raw browser beside it, for one person."""

    def __init__(self, socket: Browser, port: int) -> None:
        self.socket, self.raw = socket, RawBrowser(port, more=PAIRS)
        self.raw.ufrag = socket.participant[-4:]
        self.sent = 0

    @property
    def id(self) -> str:
        return self.socket.participant

    async def offers(self) -> Any:
        """The leg, connected; the answer."""
        answered = await self.socket.send("leg.offer", {"sdp": self.raw.offer})
        assert answered["ok"], answered
        await self.raw.connect(answered["sdp"])
        return answered

    async def ready(self) -> None:
        assert (await self.socket.send("leg.ready", {"turn": self.socket.view["media"]["turn"]}))["ok"]

    def films(self) -> None:
        """A sound and a whole picture of their own."""
        self.sent += 1
        number, body = self.sent, self.id.encode()
        self.raw.send_rtp(opus(number, number * 960), vp8(number, number * 3000, key=True, body=body))

    async def sees_pictures_of(self, others: set[str]) -> None:
        """Until a picture of each of them came."""
        seen: set[str] = set()
        async with asyncio.timeout(5):
            while not others <= seen:
                packet = await self.raw.hear_rtp()
                seen |= {other for other in others if other.encode() in packet}


@pytest.fixture
async def port() -> AsyncIterator[MediaPort]:
    opened = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=SystemClock())
    yield opened
    await opened.close()


@pytest.fixture
async def relayed(tmp_path: Path, socket_databases: Databases, port: MediaPort) -> AsyncIterator[SocketHouse]:
    async with AsyncExitStack() as stack:
        yield await open_socket_house(tmp_path, socket_databases, LONG, stack, port)


@pytest.fixture
async def brief(tmp_path: Path, socket_databases: Databases, port: MediaPort) -> AsyncIterator[SocketHouse]:
    async with AsyncExitStack() as stack:
        yield await open_socket_house(tmp_path, socket_databases, BRIEF, stack, port)


class Three:
    """A clinician, a patient and an interpreter, all admitted."""

    def __init__(self, house: SocketHouse, pages: list[Page]) -> None:
        self.house, self.pages = house, pages
        self.doctor, self.patient, self.guest = pages

    async def meet(self) -> None:
        """Everybody has a leg, and said so."""
        for page in self.pages:
            await page.socket.sees(lambda view: view["media"]["topology"] == "relay")
            await page.offers()
        for page in self.pages:
            await page.ready()
        for page in self.pages:
            await page.socket.sees(lambda view: view["media"]["settled"])

    async def agree(self, *pages: Page) -> None:
        for page in pages:
            await answer(page.socket, "yes")

    async def film_until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not enough():
                for page in self.pages:
                    page.films()
                await asyncio.sleep(0.02)

    def recorded(self) -> set[str]:
        """Whose picture the recorder holds, told by what is in it."""
        frames = self.house.place.recorder.frames
        return {who for who, frame in frames if frame.kind == "video" and who.encode() in frame.data}


async def third(house: SocketHouse, doctor: Browser, *, role: str = "interpreter") -> Browser:
    """A guest who waits."""
    assert doctor.who is not None
    guest: Guest = await house.place.invited(doctor.who, doctor.view["visit"]["id"], role)  # type: ignore[arg-type]
    return await house.patient(guest)


async def three(house: SocketHouse, port: MediaPort, stack: AsyncExitStack) -> Three:
    doctor, patient = await house.call()
    guest = await third(house, doctor)
    assert (await doctor.send("admit", {"participant": guest.participant}))["ok"]
    pages = [Page(socket, port.port) for socket in (doctor, patient, guest)]
    for page in pages:
        stack.callback(page.raw.close)
    return Three(house, pages)


@pytest.fixture
async def people(relayed: SocketHouse, port: MediaPort) -> AsyncIterator[Three]:
    async with AsyncExitStack() as stack:
        yield await three(relayed, port, stack)


async def test_three_people_see_and_hear_each_other_through_the_port(people: Three) -> None:
    await people.meet()
    told = (await people.doctor.socket.event("leg.slots"))["slots"]
    assert {(slot["participant"], slot["source"]) for slot in told} <= {
        (page.id, source) for page in (people.patient, people.guest) for source in ("audio", "camera")
    }
    for page in people.pages:
        page.films()
    for page in people.pages:
        await page.sees_pictures_of({other.id for other in people.pages} - {page.id})


async def test_a_recording_of_three_who_agreed_holds_three_cameras(people: Three) -> None:
    await people.meet()
    assert (await people.doctor.socket.send("recording.ask", {"purpose": "treatment_record"}))["ok"]
    await people.agree(people.doctor, people.patient)
    for page in people.pages:
        page.films()
    await people.patient.sees_pictures_of({people.doctor.id})
    assert people.house.place.recorder.frames == [], "one of three has not answered"
    await people.agree(people.guest)
    await people.film_until(lambda: len(people.recorded()) == 3)
    assert people.recorded() == {page.id for page in people.pages}
    await people.doctor.socket.sees(lambda view: view["recording"]["state"] == "recording")
    turn = people.doctor.socket.view["media"]["turn"]
    assert (await people.guest.socket.send("consent.withdraw"))["ok"]
    held = len(people.house.place.recorder.frames)
    for page in people.pages:
        page.films()
    await people.doctor.sees_pictures_of({people.guest.id, people.patient.id})
    assert len(people.house.place.recorder.frames) == held
    assert people.doctor.socket.view["media"]["turn"] == turn, "three stay where they are"


async def test_who_comes_late_is_in_no_recording_until_they_agree(relayed: SocketHouse, port: MediaPort) -> None:
    async with AsyncExitStack() as stack:
        doctor, patient = await relayed.call()
        first = [Page(socket, port.port) for socket in (doctor, patient)]
        late = Page(await third(relayed, doctor), port.port)
        everybody = Three(relayed, [*first, late])
        for page in everybody.pages:
            stack.callback(page.raw.close)
        assert (await doctor.send("recording.ask", {"purpose": "treatment_record"}))["ok"]
        await everybody.agree(*first)
        for page in first:
            await page.socket.sees(lambda view: view["media"]["topology"] == "relay")
            await page.offers()
        everybody.pages = first
        await everybody.film_until(lambda: len(everybody.recorded()) == 2)
        recorder = relayed.place.recorder
        assert (await late.socket.send("leg.offer", {"sdp": late.raw.offer}))["error"] == "not_admitted"
        assert (await doctor.send("admit", {"participant": late.id}))["ok"]
        held = len(recorder.frames)
        await late.socket.sees(lambda view: view["self"]["state"] == "admitted")
        await late.offers()
        for page in (*first, late):
            page.films()
        await first[0].sees_pictures_of({late.id})
        assert len(recorder.frames) == held, "nothing of anybody while somebody has not agreed"
        assert doctor.view["recording"]["reason"] == "consent"
        await everybody.agree(late)
        everybody.pages = [*first, late]
        await everybody.film_until(lambda: late.id in everybody.recorded())
        assert len(recorder.begun[-1]["parties"]) == 3


async def test_a_lost_leg_is_asked_for_and_the_others_go_on(people: Three) -> None:
    await people.meet()
    running = people.house.place.live.find(people.doctor.socket.view["visit"]["id"])
    assert running is not None
    running.media.legs.of(people.patient.id)[0].leg.finish("worker_lost")
    await people.patient.socket.event("leg.open")
    people.guest.films()
    await people.doctor.sees_pictures_of({people.guest.id})
    again = Page(people.patient.socket, people.patient.raw.server[1])
    again.raw.ufrag = "anew"
    await again.offers()
    people.doctor.films()
    await again.sees_pictures_of({people.doctor.id})
    again.raw.close()


async def test_a_recording_nobody_can_be_relayed_for_ends_and_the_two_go_on_direct(brief: SocketHouse) -> None:
    doctor, patient = await brief.call()
    assert (await doctor.send("recording.ask", {"purpose": "treatment_record"}))["ok"]
    for socket in (doctor, patient):
        await answer(socket, "yes")
    await doctor.sees(lambda view: view["recording"]["reason"] == "relay_failed")
    await doctor.sees(lambda view: view["media"]["topology"] == "direct")
    to = {"to": patient.participant, "candidate": {"candidate": ""}}
    assert (await doctor.send("signal", to)) == {"ok": True}


async def test_refusals_of_the_relay_have_their_codes(relayed: SocketHouse) -> None:
    doctor, patient = await relayed.call()
    assert (await doctor.send("leg.offer", {"sdp": "v=0\r\n"}))["error"] == "leg_not_wanted"
    assert (await doctor.send("leg.ready", {"turn": "1"}))["error"] == "malformed"
    assert (await doctor.send("leg.ready", {"turn": 0})) == {"ok": True}
    guest = await third(relayed, doctor)
    assert (await guest.send("leg.ready", {"turn": 1}))["error"] == "not_admitted"
    assert (await doctor.send("admit", {"participant": guest.participant}))["ok"]
    assert (await patient.send("leg.offer", {"sdp": "v=0\r\n"}))["error"] == "offer_refused"


@pytest.mark.parametrize("kind", ["stand_in", "real"])
async def test_a_leg_keeps_the_promises_that_visits_rest_on(kind: str, port: MediaPort) -> None:
    legs: Any = port if kind == "real" else Legs()
    raw, first, second = RawBrowser(port.port, more=PAIRS), KeepingSink(), KeepingSink()
    leg, sdp = await legs.open_leg("leg_one", raw.offer, None, room="room", publisher="par_one", heard=lambda _: None)
    assert tuple(leg.slots()) == ()
    leg.detach("nothing is attached")
    leg.attach(first)
    with pytest.raises(ValueError):
        leg.attach(second)
    leg.detach("done")
    leg.detach("again")
    assert first.closings == ["done"]
    if kind == "real":
        await raw.connect(sdp)
    else:
        leg.connect()
    assert await leg.wait_connected()
    assert isinstance(await leg.restart(raw.offer), str)
    leg.attach(second)
    leg.finish("over")
    assert (await leg.wait_closed(), second.closings) == ("over", ["over"])
    leg.detach("later")
    for refused in (leg.restart(raw.offer),):
        with pytest.raises(Refusal):
            await refused
    with pytest.raises(Refusal):
        leg.attach(KeepingSink())
    assert second.closings == ["over"]
    raw.close()
