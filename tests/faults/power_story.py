"""Calls on a watched server, and when people were told what: that is what a power cut must not take back."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.crash_checks import certificate_key
from benchmarks.crash_house import happens
from benchmarks.crash_media import Filming
from tests.faults.clinic import Clinic
from tests.faults.disk import WatchedServer
from tests.faults.wire import raw_call

NEVER = math.inf
SETTINGS = {"SESSIONS__STEP_UP_MINUTES": "720", "SESSIONS__IDLE_MINUTES": "720"}
_SOON = 15.0


@dataclass(slots=True)
class Filmed:
    """One recorded call; times in steady seconds. `quiet`: spans in which nothing new had to be kept."""

    film: Filming
    id: str = ""
    shown: float = NEVER
    stop_asked: float = NEVER
    ended: float = NEVER  # shown as ended
    sealed: float = NEVER  # shown as sealed
    quiet: list[tuple[float, float]] = field(default_factory=list)

    def owed_until(self, moment: float) -> float:
        """What was sent till then has to be kept, if the power goes at `moment`."""
        until = min(moment, self.stop_asked)
        return next((since for since, end in self.quiet if since <= until <= end), until)


@dataclass(slots=True)
class Told:
    """What people were told. `kept`: sealed long before. `victim`: sealed long before, its deletion asked for then."""

    calls: list[Filmed] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    victim: str = ""
    delete_asked: float = NEVER
    certified: float = NEVER
    certificate: bytes = b""
    over: float = NEVER  # the story ends, in the middle of the second call
    key: bytes = b""


async def furnished(server: WatchedServer, told: Told) -> Clinic:
    """A clinic with two sealed recordings, unwatched, and the server stopped: all of that is safe on the disk."""
    server.watches = False
    await asyncio.to_thread(server.start)
    clinic = await asyncio.to_thread(Clinic, server)
    told.key = await asyncio.to_thread(certificate_key, clinic)
    for _ in range(2):
        async with raw_call(clinic) as call, AsyncExitStack() as stack:
            film = Filming(call)
            stack.push_async_callback(film.stop)
            await film.record()
            await asyncio.sleep(0.4)
            await call.doctor.does("recording.stop")
            await _until(lambda: _all_sealed(clinic))
    told.kept = [one["id"] for one in clinic.recordings()]
    told.victim = told.kept.pop()
    await asyncio.to_thread(server.stop)
    server.watches = True
    return clinic


async def act(server: WatchedServer, clinic: Clinic | None, told: Told, *, length: float) -> None:
    """Two recorded calls under watch, while a recording is deleted and keys turn; `length`: seconds of the first.

    Ends with the power: the server is killed while the second call records. Without a clinic, it is furnished first,
    and there is nothing to delete.
    """
    await asyncio.to_thread(server.start)
    if clinic is None:
        clinic = await asyncio.to_thread(Clinic, server)
    async with _filmed(clinic, told) as one:
        chores = [asyncio.to_thread(_delete, clinic, told)] if told.victim else []
        aside: list[asyncio.Task[Any]] = [asyncio.create_task(chore) for chore in chores]
        await asyncio.sleep(length / 2)
        aside.append(asyncio.create_task(asyncio.to_thread(server.command, "keys", "rotate")))
        await one.film.leg(one.film.call.doctor, "clinician")
        await asyncio.sleep(length / 2)
        await _pause(one)
        await asyncio.gather(*aside)
        one.stop_asked = _now()
        await one.film.call.doctor.does("recording.stop")
        await one.film.call.doctor.sees(lambda view: bool(view["recording"]["state"] == "none"))
        one.ended = _now()
        await _until(lambda: one.id in _in_state(clinic, "sealed"))
        one.sealed = _now()
    async with _filmed(clinic, told):
        await asyncio.sleep(1.5)
        told.over = _now()
        await asyncio.to_thread(server.process.kill)


@asynccontextmanager
async def _filmed(clinic: Clinic, told: Told) -> AsyncIterator[Filmed]:
    """A call that is shown as recording when the block begins."""
    async with raw_call(clinic) as call, AsyncExitStack() as stack:
        one = Filmed(Filming(call))
        stack.push_async_callback(one.film.stop)
        told.calls.append(one)
        await one.film.record()
        one.shown = _now()
        found = await asyncio.to_thread(clinic.admin.get, f"/api/v1/recordings?visit={call.visit.id}")
        one.id = found["items"][0]["id"]
        yield one


async def _pause(one: Filmed) -> None:
    doctor = one.film.call.doctor
    since = _now()
    one.quiet.append((since, NEVER))
    await doctor.does("recording.pause")
    await asyncio.sleep(0.3)
    await doctor.does("recording.resume")
    await doctor.sees(lambda view: bool(view["recording"]["state"] == "recording"))
    await asyncio.sleep(0.6)
    one.quiet[-1] = (since, _now())


def _delete(clinic: Clinic, told: Told) -> None:
    told.delete_asked = _now()
    clinic.admin.do("DELETE", f"/api/v1/recordings/{told.victim}", {"reason": "patient_request"})
    told.certificate = clinic.admin.ask("GET", f"/api/v1/recordings/{told.victim}/certificate").body
    told.certified = _now()


def _in_state(clinic: Clinic, state: str) -> set[str]:
    return {one["id"] for one in clinic.recordings() if one["state"] == state}


def _all_sealed(clinic: Clinic) -> bool:
    return all(one["state"] == "sealed" for one in clinic.recordings())


async def _until(what: Callable[[], bool]) -> None:
    """Raises AssertionError where it never becomes so."""
    assert await happens(what, _SOON), "the story did not go on"


def _now() -> float:
    return time.monotonic()
