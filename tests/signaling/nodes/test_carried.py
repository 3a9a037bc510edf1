"""A socket at one server is as good as one at the other: carried inside one process, and through a real Redis."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from socketio.exceptions import ConnectionError as Refused

from signaling.nodes.redis import RedisCarriage
from signaling.nodes.seal import ORDERED, header_of
from telehealth.access import SYSTEM
from telehealth.events import LinkRevoked, SessionEnded
from telehealth.limits.settings import Redis as Settings
from telehealth.secret import Secret
from telehealth.visits.states import VisitStep
from tests.partners.databases import Databases
from tests.partners.redis import PASSWORD, Redis
from tests.signaling.nodes.house_pair import Pair, open_pair
from tests.signaling.nodes.node_lineup import Hub
from tests.signaling.socket_house import Browser
from tests.telehealth.visits.visit_house import LONG


@pytest.fixture
async def lossy(hub: Hub, tmp_path: Path, socket_databases: Databases) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        yield await open_pair(tmp_path, socket_databases, LONG, stack, lambda: hub)


@pytest.fixture
async def through_redis(redis: Redis, tmp_path: Path, socket_databases: Databases) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:

        def carriage() -> RedisCarriage:
            made = RedisCarriage(Settings(url=redis.url), Secret(PASSWORD))
            stack.push_async_callback(made.close)
            return made

        yield await open_pair(tmp_path, socket_databases, LONG, stack, carriage)


@pytest.fixture(params=["lossy", "through_redis"])
def pair(request: pytest.FixtureRequest, socket_databases: Databases, redis: Redis) -> Pair:
    found: Pair = request.getfixturevalue(request.param)
    return found


async def call(pair: Pair) -> tuple[Browser, Browser]:
    """The clinician at the first server, where the visit runs; the patient at the second."""
    staff = await pair.first.house.place.staff()
    visit, guest = await pair.first.house.place.booked(staff)
    doctor = await pair.first.house.doctor(staff, visit.id)
    patient = await pair.second.house.patient(guest)
    assert patient.view["self"]["state"] == "waiting"
    assert (await doctor.send("admit", {"participant": patient.participant})) == {"ok": True}
    await patient.sees(lambda view: view["self"]["state"] == "admitted")
    return doctor, patient


def state_of(patient: Browser) -> Any:
    def found(view: Any) -> Any:
        return next(one for one in view["participants"] if one["participant"] == patient.participant)

    return found


async def test_a_visit_of_two_servers_from_the_waiting_room_to_its_end(pair: Pair) -> None:
    doctor, patient = await call(pair)
    told = {"to": patient.participant, "candidate": {"candidate": "a candidate"}}
    assert (await doctor.send("signal", told)) == {"ok": True}
    assert (await patient.event("signal"))["candidate"]["candidate"] == "a candidate"
    assert (await patient.send("media", {"audio": False, "video": True, "screen": False})) == {"ok": True}
    await doctor.sees(lambda view: state_of(patient)(view)["audio"] is False)
    assert (await patient.send("admit", {"participant": doctor.participant})) == {
        "ok": False,
        "error": "clinician_only",
    }
    assert (await patient.send("media", {"audio": "?"}))["error"] == "malformed"
    assert (await patient.send("no such thing"))["error"] == "unknown_event"
    assert (await doctor.send("end")) == {"ok": True}
    for browser in (doctor, patient):
        assert (await browser.event("ended"))["reason"] == "ended"
        await browser.closed()


async def test_a_connection_that_drops_far_away_keeps_its_seat(pair: Pair) -> None:
    doctor, patient = await call(pair)
    await patient.drop()
    await doctor.sees(lambda view: not state_of(patient)(view)["online"])
    again = await pair.second.house.browser(patient.who, {"join": True})
    assert (await again.enter())["view"]["self"]["state"] == "admitted"
    here = await pair.first.house.browser(patient.who, {"join": True})
    assert (await here.enter())["view"]["self"]["state"] == "admitted"
    await again.event("replaced")  # one seat, wherever its socket is
    await again.closed()


async def test_a_removed_patient_stays_out_at_both(pair: Pair) -> None:
    doctor, patient = await call(pair)
    assert (await doctor.send("remove", {"participant": patient.participant})) == {"ok": True}
    assert (await patient.event("ended"))["reason"] == "removed"
    for node in (pair.first, pair.second):
        browser = Browser(patient.who, node.house.url)
        with pytest.raises(Refused):
            await browser.connect({"join": True})
        await browser.drop()
        assert browser.refused["data"]["error"] in ("removed", "unauthenticated")


async def test_what_one_house_decides_both_do(pair: Pair) -> None:
    doctor, patient = await call(pair)
    guest: Any = patient.who
    second = pair.second.house.place
    await second.bus.publish(LinkRevoked(guest.visit, guest.link))
    assert (await patient.event("ended"))["reason"] == "link_revoked"
    await doctor.sees(lambda view: state_of(patient)(view)["state"] == "left")
    staff: Any = doctor.who
    await second.bus.publish(SessionEnded(staff.id))
    assert (await doctor.event("ended"))["reason"] == "signed_out"


async def test_a_visit_is_ended_wherever_it_runs(pair: Pair) -> None:
    doctor, patient = await call(pair)
    guest: Any = patient.who
    await pair.second.noding.together.end_from_outside(SYSTEM, guest.visit, VisitStep.END)
    for browser in (doctor, patient):
        assert (await browser.event("ended"))["reason"] == "ended"


async def test_lists_of_the_day_agree(pair: Pair) -> None:
    staff = await pair.first.house.place.staff()
    _, guest = await pair.first.house.place.booked(staff)
    desks = [await node.house.browser(staff, {"watch": True}) for node in (pair.first, pair.second)]
    await pair.second.house.patient(guest)
    for desk in desks:
        await desk.hears("today", lambda today: today["visits"] and today["visits"][0]["waiting"])


async def test_of_what_a_page_says_only_what_is_understood_is_carried(hub: Hub, lossy: Pair) -> None:
    _, patient = await call(lossy)
    sizes: list[int] = []
    hub.fate = lambda packet: sizes.append(len(packet)) or 1
    assert patient.who is not None
    answer = await patient.enter(public_key={**patient.who.key.jwk, "key_ops": "x" * 100_000})
    assert answer["ok"]
    assert 0 < max(sizes) < 10_000


async def test_what_is_lost_on_the_way_begins_anew(hub: Hub, lossy: Pair) -> None:
    """One event did not arrive: the far socket is dropped, and its page comes back into the same seat."""
    doctor, patient = await call(lossy)
    dropped: list[bytes] = []

    def once(packet: bytes) -> int:
        if header_of(packet).stream == ORDERED and not dropped:
            dropped.append(packet)
            return 0
        return 1

    hub.fate = once
    told = {"to": patient.participant, "candidate": {"candidate": "lost"}}
    assert (await doctor.send("signal", told)) == {"ok": True}
    await patient.closed()
    again = await lossy.second.house.browser(patient.who, {"join": True})
    assert (await again.enter())["view"]["self"]["state"] == "admitted"
    assert (await doctor.send("signal", told | {"candidate": {"candidate": "heard"}})) == {"ok": True}
    assert (await again.event("signal"))["candidate"]["candidate"] == "heard"


async def test_while_nothing_is_carried_whoever_is_elsewhere_is_refused(hub: Hub, lossy: Pair) -> None:
    doctor, patient = await call(lossy)
    hub.away = True
    answer = await patient.send("media", {"audio": True, "video": True, "screen": False})
    assert answer == {"ok": False, "error": "unavailable"}
    told = {"to": patient.participant, "candidate": {"candidate": "x"}}
    assert (await doctor.send("signal", told)) == {"ok": True}  # the visit itself goes on
    staff, place = doctor.who, lossy.first.house.place
    _, guest = await place.booked(staff)  # type: ignore[arg-type]
    assert (await lossy.second.house.patient(guest)).view["self"]["state"] == "waiting"  # runs where they came


async def test_a_dead_servers_visit_goes_on_at_the_other(lossy: Pair) -> None:
    doctor, patient = await call(lossy)
    lossy.first.die()
    await patient.closed()  # its page comes back
    guest = patient.who
    again = await lossy.second.house.browser(guest, {"join": True})
    assert (await again.enter())["view"]["self"]["state"] == "admitted"
    assert doctor.participant in {one["participant"] for one in again.view["participants"]}
    answer = await doctor.send("remove", {"participant": patient.participant})  # the dead one's word
    assert not answer["ok"] or again.client.connected
    assert (await again.send("ping"))["ok"]
