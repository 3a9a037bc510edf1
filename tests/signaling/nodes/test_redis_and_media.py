"""A recorded call through the server goes on while Redis is killed, paused or emptied: not one picture is missing."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from benchmarks.crash_media import NumberedCamera, decoded
from tests.attack.cast import Somebody
from tests.stories.cluster import Cluster, Page

pytestmark = pytest.mark.slow

BEGINNING, OUTAGE = 1.5, 4.0  # seconds; a capture begins with a key frame that was asked for
ROLES = ("clinician", "patient")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, tuple[Somebody, Somebody]]]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster, cluster.clinician()


async def come(cluster: Cluster, ada: Somebody) -> tuple[str, tuple[Page, Page]]:
    """The clinician at the first server, the patient at the second; both said yes to be recorded."""
    visit, guest = await asyncio.to_thread(cluster.patient, ada)
    doctor = await Page(cluster, ada, cluster.houses[0], {"visit": visit}).connect()
    assert (await doctor.enter())["ok"]
    patient = await (await Page(cluster, guest, cluster.houses[1], {"join": True}).connect()).again()
    await does(doctor, "admit", {"participant": patient.participant})
    await does(doctor, "recording.ask", {"purpose": "treatment_record"})
    for page in (doctor, patient):
        asked = await page.hears("consent.asked")
        await does(page, "consent.answer", page.key.receipt(asked, visit, page.participant, "yes"))
    for page in (doctor, patient):
        await page.sees(lambda view: view["media"]["topology"] == "relay")
    return visit, (doctor, patient)


async def does(page: Page, event: str, payload: Any = None) -> Any:
    answer = await page.send(event, payload)
    assert answer["ok"], (event, answer)
    return answer


@asynccontextmanager
async def filming(cluster: Cluster, pages: tuple[Page, Page]) -> AsyncIterator[list[NumberedCamera]]:
    """Both send by legs of their own, numbered picture after numbered picture."""
    cameras, playing = list[NumberedCamera](), list[asyncio.Task[None]]()
    try:
        for page, role in zip(pages, ROLES, strict=True):
            cameras.append(camera := NumberedCamera(cluster.houses[0].media_port, role))
            await camera.connect((await does(page, "leg.offer", {"sdp": camera.offer}))["sdp"])
            playing.append(asyncio.create_task(camera.play()))
        await pages[0].sees(lambda view: view["recording"]["state"] == "recording")
        yield cameras
    finally:
        for task in playing:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)
        for camera in cameras:
            camera.close()


def sealed(root: Somebody, visit: str) -> dict[str, Any] | None:
    items = root.ask("GET", "/api/v1/recordings").json()["items"]
    return next((one for one in items if one["visit"] == visit and one["state"] == "sealed"), None)


def tracks(root: Somebody, recording: dict[str, Any]) -> dict[str, bytes]:
    made = root.post(f"/recordings/{recording['id']}/grants", purpose="quality")
    roles = {track["id"]: track["role"] for track in recording["tracks"]}
    found = {}
    for one in made["tracks"]:
        answer = root.ask("GET", one["url"].removeprefix(root.url))
        assert answer.status_code == 200
        found[roles[one["id"]]] = answer.content
    return found


@pytest.mark.parametrize("fault", ["killed", "paused", "emptied"])
async def test_what_is_sent_while_redis_is_in_trouble_is_recorded_to_the_last_picture(
    cluster: tuple[Cluster, tuple[Somebody, Somebody]], fault: str
) -> None:
    servers, (root, ada) = cluster
    redis = servers.redis
    break_it = {"killed": redis.kill, "paused": redis.freeze, "emptied": lambda: redis.ask("FLUSHALL")}[fault]
    visit, pages = await come(servers, ada)
    async with filming(servers, pages) as cameras:
        await asyncio.sleep(BEGINNING)
        await asyncio.to_thread(break_it)
        before = [len(camera.sent_at) for camera in cameras]
        await asyncio.sleep(OUTAGE)
        if fault != "emptied":
            await asyncio.to_thread({"killed": redis.restart, "paused": redis.thaw}[fault])
        after = [len(camera.sent_at) for camera in cameras]
        if not pages[1].client.connected:  # what it said may have been lost: its page came back by itself
            await pages[1].again()
        await asyncio.sleep(1.0)
    await does(pages[0], "recording.stop")
    async with asyncio.timeout(15):
        while (recording := await asyncio.to_thread(sealed, root, visit)) is None:
            await asyncio.sleep(0.05)
    kept = await asyncio.to_thread(tracks, root, recording)
    for camera, begun, ended in zip(cameras, before, after, strict=True):
        numbers = [number for serial, number in decoded(kept[camera.role]).pictures if serial == camera.serial]
        assert ended - begun > OUTAGE * 10
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        assert numbers[0] <= begun
        assert numbers[-1] >= ended
    for page in pages:
        await page.close()
