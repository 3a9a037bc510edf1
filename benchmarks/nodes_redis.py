"""Two servers behind one Redis that is killed, paused or emptied: how long joins take, and how soon all is well again.

N: rounds of each fault (3). A call runs between a clinician at one server and a patient at the other all the while.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figure import Figure, measured, said, wished
from tests.attack.cast import Somebody
from tests.stories.cluster import Cluster, Page

OUTAGE = 4.0  # seconds of each fault
JOIN, BACK = 2.0, 5.0  # seconds, the aims
FAULTS = ("killed", "paused", "emptied")


def run(seed: int) -> Iterator[Figure]:
    """All figures of one round after the other."""
    with TemporaryDirectory(prefix="nodes-") as folder, Cluster(Path(folder)) as cluster:
        _, clinician = cluster.clinician()
        for fault in FAULTS:
            yield from asyncio.run(_suffered(cluster, clinician, fault, wished(3), seed))


async def _suffered(cluster: Cluster, clinician: Somebody, fault: str, rounds: int, seed: int) -> list[Figure]:
    first, second = cluster.houses
    joins, backs, lost, refused = list[float](), list[float](), 0, 0
    visit, guest = await asyncio.to_thread(cluster.patient, clinician, at=0)
    doctor = await Page(cluster, clinician, first, {"visit": visit}).connect()
    patient = await Page(cluster, guest, second, {"join": True}).connect()
    await doctor.enter()
    await patient.again()
    await doctor.send("admit", {"participant": patient.participant})
    for _ in range(rounds):
        others = [await asyncio.to_thread(cluster.patient, clinician, at=0) for _ in range(3)]
        owned, owner = others[0]
        holder = await Page(cluster, clinician, first, {"visit": owned}).connect()
        await holder.enter()  # it runs at the first server, so the second cannot serve it alone
        begun = await _broken(cluster, fault)
        joins.append(await _joined(cluster, owner))
        refused += joins[-1] < 0
        joins[-1] = abs(joins[-1])
        for _, nobodys in others[1:]:
            joins.append(abs(await _joined(cluster, nobodys)))
        await asyncio.sleep(max(0.0, begun + OUTAGE - time.monotonic()))
        healed = await _healed(cluster, fault)
        page = await Page(cluster, owner, second, {"join": True}).connect()
        await page.again()
        backs.append(time.monotonic() - healed)
        if not patient.client.connected:  # its page comes back by itself, its call never stopped
            await patient.again()
        lost += not (patient.view["self"]["state"] == "admitted" and (await _talks(patient, doctor)))
        for one in (page, holder):
            await one.close()
    await doctor.send("end")
    for one in (doctor, patient):
        await one.close()
    name = f"media.nodes.redis_{fault}"
    return [
        measured(f"{name}.join", max(joins), "s", n=len(joins), seed=seed, at_most=JOIN),
        measured(f"{name}.back", max(backs), "s", n=len(backs), seed=seed, at_most=BACK),
        measured(f"{name}.refused", refused, "joins", n=rounds, seed=seed),
        measured(f"{name}.calls_lost", lost, "calls", n=rounds, seed=seed, at_most=0),
    ]


async def _broken(cluster: Cluster, fault: str) -> float:
    match fault:
        case "killed":
            await asyncio.to_thread(cluster.redis.kill)
        case "paused":
            cluster.redis.freeze()
        case "emptied":
            await asyncio.to_thread(cluster.redis.ask, "FLUSHALL")
    return time.monotonic()


async def _healed(cluster: Cluster, fault: str) -> float:
    if fault == "paused":
        cluster.redis.thaw()
    elif fault == "killed":
        await asyncio.to_thread(cluster.redis.restart)
    return time.monotonic()


async def _joined(cluster: Cluster, who: Somebody) -> float:
    """Seconds until a newcomer at the second server had an answer; negative where it was a refusal."""
    begun = time.monotonic()
    page = await Page(cluster, who, cluster.houses[1], {"join": True}).connect()
    answer = await page.enter()
    seconds = time.monotonic() - begun
    await page.close()
    return seconds if answer["ok"] else -seconds


async def _talks(patient: Page, doctor: Page) -> bool:
    told = {"to": doctor.participant, "candidate": {"candidate": f"candidate {time.monotonic_ns()}"}}
    return bool((await patient.send("signal", told))["ok"])


if __name__ == "__main__":
    said(run)
