"""Two real servers, one PostgreSQL, one Redis: people whose sockets land on either meet, whatever becomes of Redis."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import requests

from tests.attack.cast import Somebody, enrolled
from tests.stories.cluster import Cluster, Page

pytestmark = pytest.mark.slow

REFUSED_WITHIN = 2.0  # what is promised; asserted with room for a busy machine
ROOM = 4.0


class Clinic:
    """The cluster, its clinician, and pages that are closed at the end of a test."""

    def __init__(self, cluster: Cluster, people: tuple[Somebody, Somebody], stack: AsyncExitStack) -> None:
        self.cluster, self._stack = cluster, stack
        self.root, self.ada = people
        self.first, self.second = cluster.houses

    async def page(self, who: Somebody, house: Any, auth: Any) -> Page:
        page = Page(self.cluster, who, house, auth)
        self._stack.push_async_callback(page.close)
        return await page.connect()

    async def booked(self) -> tuple[str, Somebody]:
        return await asyncio.to_thread(self.cluster.patient, self.ada)

    async def doctor(self, visit: str, house: Any = None) -> Page:
        page = await self.page(self.ada, house or self.first, {"visit": visit})
        assert (await page.enter())["ok"]
        return page

    async def patient(self, who: Somebody, house: Any = None) -> Page:
        page = await self.page(who, house or self.second, {"join": True})
        return page if (await page.enter())["ok"] else await page.again()

    async def call(self) -> tuple[Page, Page]:
        """The clinician at the first server, the patient at the second, where the visit does not run."""
        visit, guest = await self.booked()
        doctor = await self.doctor(visit)
        patient = await self.patient(guest)
        assert (await doctor.send("admit", {"participant": patient.participant}))["ok"]
        await patient.sees(lambda view: view["self"]["state"] == "admitted")
        return doctor, patient


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, tuple[Somebody, Somebody]]]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster, cluster.clinician()


@pytest.fixture
async def clinic(cluster: tuple[Cluster, tuple[Somebody, Somebody]]) -> AsyncIterator[Clinic]:
    async with AsyncExitStack() as stack:
        yield Clinic(*cluster, stack)


async def talk(one: Page, other: Page) -> None:
    """What one says reaches the other, and back."""
    for said, heard in ((one, other), (other, one)):
        words = f"candidate {time.monotonic_ns()}"
        answer = await said.send("signal", {"to": heard.participant, "candidate": {"candidate": words}})
        assert answer["ok"], answer
        await heard.hears("signal", lambda told, words=words: (told["candidate"] or {}).get("candidate") == words)


async def test_a_patient_waits_in_and_joins_a_visit_of_the_other_server(clinic: Clinic) -> None:
    doctor, patient = await clinic.call()
    await talk(doctor, patient)
    await patient.close()
    await doctor.sees(lambda view: not all(person["online"] for person in view["participants"]))
    assert await patient.again()  # nobody is admitted twice: back within the minute, back in the call
    assert patient.view["self"]["state"] == "admitted"
    assert (await doctor.send("remove", {"participant": patient.participant}))["ok"]
    assert (await patient.hears("ended"))["reason"] == "removed"
    await patient.closed()


async def test_the_list_of_the_day_shows_at_one_server_who_waits_at_the_other(clinic: Clinic) -> None:
    visit, guest = await clinic.booked()
    watch = await clinic.page(clinic.ada, clinic.second, {"watch": True})
    await clinic.patient(guest, clinic.first)

    def waits(today: Any) -> bool:
        return any(one["id"] == visit and one["waiting"] for one in today["visits"])

    await watch.hears("today", waits)


async def test_what_is_decided_at_one_server_holds_at_the_other(clinic: Clinic) -> None:
    doctor, patient = await clinic.call()
    visit = doctor.view["visit"]["id"]
    link = await asyncio.to_thread(clinic.ada.ask, "GET", f"/api/v1/visits/{visit}")
    there = Somebody("clinician", clinic.second.url)
    there.session.cookies = clinic.ada.session.cookies
    there.session.headers["Origin"] = clinic.cluster.url
    revoked = link.json()["links"][-1]["id"]
    answer = await asyncio.to_thread(there.ask, "DELETE", f"/api/v1/visits/{visit}/links/{revoked}")
    assert answer.status_code < 300, answer.text
    assert (await patient.hears("ended"))["reason"] == "link_revoked"
    await doctor.sees(
        lambda view: all(
            one["participant"] != patient.participant or one["state"] == "left" for one in view["participants"]
        )
    )


async def test_a_visit_is_ended_from_the_other_server(clinic: Clinic) -> None:
    doctor, patient = await clinic.call()
    there = Somebody("clinician", clinic.second.url)
    there.session.cookies = clinic.ada.session.cookies
    there.session.headers["Origin"] = clinic.cluster.url
    visit = doctor.view["visit"]["id"]
    answer = await asyncio.to_thread(there.ask, "POST", f"/api/v1/visits/{visit}/end")
    assert answer.status_code < 300, answer.text
    for page in (doctor, patient):
        assert (await page.hears("ended"))["reason"] == "ended"


@pytest.mark.parametrize("fault", ["killed", "paused", "emptied"])
async def test_redis_in_trouble_lets_calls_go_on_and_nobody_in_by_it(clinic: Clinic, fault: str) -> None:
    redis = clinic.cluster.redis
    doctor, patient = await clinic.call()
    held, waiting = await clinic.booked()
    await clinic.doctor(held)  # runs at the first server
    _, newcomer = await clinic.booked()
    await asyncio.to_thread(
        {"killed": redis.kill, "paused": redis.freeze, "emptied": lambda: redis.ask("FLUSHALL")}[fault]
    )
    try:
        for who, runs_there in ((waiting, True), (newcomer, False)):
            begun = time.monotonic()
            page = await clinic.page(who, clinic.second, {"join": True})
            answer = await page.enter()
            assert time.monotonic() - begun < REFUSED_WITHIN + ROOM
            if runs_there and fault != "emptied":
                assert answer == {"ok": False, "error": "unavailable"}
            else:
                assert answer["ok"], answer
                assert answer["view"]["self"]["state"] == "waiting"
            await page.close()
    finally:
        if fault != "emptied":
            await asyncio.to_thread({"killed": redis.restart, "paused": redis.thaw}[fault])
    page = await clinic.page(waiting, clinic.second, {"join": True})
    await page.again()
    if not patient.client.connected:  # what it said may have been lost: its page came back by itself
        await patient.again()
    assert patient.view["self"]["state"] == "admitted"
    await talk(doctor, patient)


async def test_a_sign_out_whose_message_was_lost_still_holds(clinic: Clinic) -> None:
    """While servers cannot hear one another, each asks the database again whether whoever is connected may be."""
    added = await asyncio.to_thread(clinic.root.post, "/users", login="bob", name="Dr Bob", role="clinician")
    bob = await asyncio.to_thread(enrolled, clinic.first, "clinician", added["enrolment_url"].split("#")[1])
    watch = await clinic.page(bob, clinic.second, {"watch": True})
    await asyncio.to_thread(clinic.cluster.redis.kill)
    try:
        assert (await asyncio.to_thread(bob.ask, "DELETE", "/api/v1/session")).status_code < 300
        assert (await watch.hears("ended", seconds=20))["reason"] == "signed_out"
        await watch.closed()
    finally:
        await asyncio.to_thread(clinic.cluster.redis.restart)


async def test_who_listens_at_redis_reads_nothing(clinic: Clinic) -> None:
    listening = asyncio.create_task(asyncio.to_thread(_overheard, clinic.cluster, 40))
    doctor, patient = await clinic.call()
    while not listening.done():
        await talk(doctor, patient)
    overheard = await listening
    assert b"THN\x01" in overheard
    for word in (b"Zora", b"Quill", b"candidate", b"at home", b"participant", doctor.view["visit"]["id"].encode()):
        assert word not in overheard


def _overheard(cluster: Cluster, packets: int) -> bytes:
    """What goes through Redis, seen by somebody with its password."""
    import redis

    from tests.partners.redis import PASSWORD

    heard: list[bytes] = []
    with redis.Redis(port=cluster.redis.port, password=PASSWORD) as client, client.pubsub() as wire:
        wire.psubscribe("*")
        while len(heard) < packets:
            said = wire.get_message(timeout=1.0)
            if said and said["type"] == "pmessage":
                heard.append(bytes(said["data"]))
    return b"\n".join(heard)


def test_two_servers_never_share_a_log_or_a_name(cluster: tuple[Cluster, tuple[Somebody, Somebody]]) -> None:
    running = cluster[0]
    first = running.houses[0].settings["PLACES__AUDIT"]
    for settings, code in (
        ({"PLACES__AUDIT": first, "REDIS__NODE": "c"}, "already using this data folder"),
        ({"REDIS__NODE": "a"}, "its own redis.node"),
        ({"REDIS__NODE": ""}, "Give this one a redis.node"),
    ):
        wrong = running.house(f"wrong-{settings['REDIS__NODE']}", **settings)
        with pytest.raises(RuntimeError) as refused:
            wrong.start()
        assert code in str(refused.value) or code in "".join(wrong.lines), refused.value


async def test_a_killed_servers_visits_go_on_at_the_other(clinic: Clinic) -> None:
    doctor, patient = await clinic.call()
    clinic.first.stop(signal.SIGKILL)
    await doctor.closed()
    await asyncio.gather(doctor.again(clinic.second), patient.again(clinic.second))
    assert doctor.view["self"]["state"] == patient.view["self"]["state"] == "admitted"
    await talk(doctor, patient)
    await asyncio.to_thread(clinic.first.start)
    await talk(doctor, patient)


async def test_a_frozen_server_is_taken_for_dead_and_stops_when_it_wakes(clinic: Clinic) -> None:
    doctor, patient = await clinic.call()
    frozen = clinic.first
    frozen.process.send_signal(signal.SIGSTOP)
    await asyncio.gather(doctor.again(clinic.second), patient.again(clinic.second))
    await talk(doctor, patient)
    assert await asyncio.to_thread(frozen.stop, signal.SIGCONT) != 0
    await talk(doctor, patient)
    await asyncio.to_thread(frozen.start)


async def test_a_server_that_drains_takes_no_new_visit_and_finishes_its_calls(clinic: Clinic) -> None:
    """Its newcomers are carried to the other server; it is gone once its last call is over."""
    drained, other = clinic.first, clinic.second
    assert await asyncio.to_thread(drained.stop) == 0
    drained.settings["SERVER__DRAIN_SECONDS"] = "60"
    await asyncio.to_thread(drained.start)
    doctor, patient = await clinic.call()
    waiting_visit, waiting = await clinic.booked()
    waits = await clinic.patient(waiting, drained)
    drained.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(_until_draining, drained.url)
    await waits.again(drained)  # handed over: the socket is here, the visit there
    _, newcomer = await clinic.booked()
    await clinic.patient(newcomer, drained)
    await talk(doctor, patient)
    assert (await doctor.send("end"))["ok"]
    assert await asyncio.to_thread(drained.stop, signal.SIGCONT) == 0
    again = await clinic.doctor(waiting_visit, other)
    await again.sees(lambda view: any(one["state"] == "waiting" for one in view["participants"]))
    await asyncio.to_thread(drained.start)


def _until_draining(url: str) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if "draining" in requests.get(f"{url}/readyz", timeout=5).json().get("failing", []):
            return
        time.sleep(0.05)
    raise TimeoutError("the server does not say that it is draining")
