"""Our media port and recordings room under churn, as a process: legs come and go one by one, recordings too."""

import asyncio
import ctypes
import gc
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.clinic import Clinic, Listener, open_clinic
from benchmarks.pipe import serve
from signaling.rtc import Leg, MediaPort
from telehealth.clock import SystemClock
from telehealth.keys.process import harden_process
from telehealth.memory import hoard_nothing
from telehealth.store.engine import READERS

_THREADS = 6  # of the event loop's own executor


@dataclass(slots=True)
class Visit:
    """The newest leg of each side, older ones that a newer took over from, and what is recorded now."""

    legs: dict[int, Leg] = field(default_factory=dict)
    left: list[Leg] = field(default_factory=list)
    listener: Listener = field(default_factory=Listener)
    recording: str = ""


class Server:
    """Visits by number, each a room of two."""

    def __init__(self, clinic: Clinic, port: MediaPort) -> None:
        self._clinic = clinic
        self._port = port
        self._made = 0
        self._visits: dict[int, Visit] = {}

    async def answer(self, words: dict[str, Any]) -> dict[str, Any]:
        if words["ask"] == "health":
            return await self._health()
        visit = self._visits.setdefault(words["visit"], Visit())
        match words["ask"]:
            case "open":
                return await self._open(visit, words["visit"], words["side"], words["sdp"])
            case "restart":
                return {"sdp": await visit.legs[words["side"]].restart(words["sdp"])}
            case "record":
                await self._record(visit)
            case "stop":
                await self._stop(visit, words["reason"])
            case "close":
                return await self._close(words["visit"])
            case unknown:
                raise ValueError(unknown)
        return {}

    async def _open(self, visit: Visit, number: int, side: int, offer: str) -> dict[str, Any]:
        self._made += 1
        old = visit.legs.get(side)
        leg, answer = await self._port.open_leg(
            f"leg_{self._made}", offer, room=f"visit_{number}", publisher=f"person_{side}"
        )
        visit.legs[side] = leg
        if old is not None:
            visit.left.append(old)
        return {"sdp": answer}

    async def _record(self, visit: Visit) -> None:
        visit.recording, people = await self._clinic.begin(visit.listener)
        for leg, person in zip(visit.legs.values(), people, strict=True):
            leg.attach(self._clinic.service.sink(visit.recording, person.participant))

    async def _stop(self, visit: Visit, reason: str) -> None:
        """End a recording as a clinician or a withdrawal does: the sinks first, the file after."""
        recording, visit.recording = visit.recording, ""
        if recording:
            self._clinic.service.cut(recording, reason)
            for leg in visit.legs.values():
                leg.detach(reason)
            await self._clinic.service.stop(recording, reason)

    async def _close(self, number: int) -> dict[str, Any]:
        visit = self._visits.pop(number)
        await self._stop(visit, "clinician")
        for leg in [*visit.legs.values(), *visit.left]:
            await leg.close("visit_ended")
        return {"faults": visit.listener.faults}

    async def _health(self) -> dict[str, Any]:
        await self._clinic.service.settle()
        gc.collect()
        _give_back()
        return {"tasks": len(asyncio.all_tasks()), "legs": len(self._port.legs()), "port": self._port.stats()}


def _give_back() -> None:
    """Let the allocator return what is free, so that what stays is what somebody holds (glibc alone knows how)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


async def _fill(clinic: Clinic) -> None:
    """Open every connection that the database's pool keeps, and every thread: later ones would look like a leak."""
    together = asyncio.Barrier(READERS)

    async def one() -> None:
        async with clinic.base.store.read():
            await together.wait()

    await asyncio.gather(*(one() for _ in range(READERS)))
    gate = threading.Barrier(_THREADS)
    await asyncio.gather(*(asyncio.to_thread(gate.wait) for _ in range(_THREADS)))


async def main(folder: Path) -> None:
    harden_process()
    hoard_nothing()
    clock = SystemClock()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
    async with open_clinic(folder, clock) as clinic:
        await _fill(clinic)
        port = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=clock)
        try:
            await serve(Server(clinic, port).answer)
        finally:
            await port.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
