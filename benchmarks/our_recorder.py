"""Our media port and recordings room, as a process: encoded frames kept as they come, encrypted, then sealed."""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.clinic import Clinic, Listener, open_clinic
from benchmarks.pipe import serve
from signaling.rtc import Leg, MediaPort
from telehealth.clock import SystemClock
from telehealth.keys.process import harden_process


@dataclass(slots=True)
class _Visit:
    recording: str
    listener: Listener
    legs: list[Leg]


class Server:
    """Answers offers two by two: each pair is a visit with a recording of its own."""

    def __init__(self, clinic: Clinic, port: MediaPort) -> None:
        self._clinic = clinic
        self._port = port
        self._visits: list[_Visit] = []

    async def answer(self, words: dict[str, Any]) -> dict[str, Any]:
        match words["ask"]:
            case "answers":
                offers = words["offers"]
                pairs = [offers[at : at + 2] for at in range(0, len(offers), 2)]
                return {"answers": [answer for pair in pairs for answer in await self._visit(pair)]}
            case "stop":
                return await self._stop()
        raise ValueError(words["ask"])

    async def _visit(self, offers: list[str]) -> list[str]:
        listener = Listener()
        recording, people = await self._clinic.begin(listener)
        visit = _Visit(recording, listener, [])
        answers = []
        for person, offer in zip(people, offers, strict=True):
            sink = self._clinic.service.sink(recording, person.participant)
            leg, answer = await self._port.open_leg(person.participant, offer, sink)
            visit.legs.append(leg)
            answers.append(answer)
        self._visits.append(visit)
        return answers

    async def _stop(self) -> dict[str, Any]:
        """Stop and seal all; faults, and how many pictures the sealed tracks hold."""
        service = self._clinic.service
        for visit in self._visits:
            await service.stop(visit.recording, "clinician")
        await service.settle()
        faults = [fault for visit in self._visits for fault in visit.listener.faults]
        pictures = sum([await self._clinic.pictures(visit.recording) for visit in self._visits])
        for visit in self._visits:
            for leg in visit.legs:
                await leg.close("visit_ended")
        self._visits = []
        return {"faults": faults, "pictures": pictures, "port": self._port.stats()}


async def main(folder: Path) -> None:
    harden_process()
    clock = SystemClock()
    async with open_clinic(folder, clock) as clinic:
        port = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=clock)
        try:
            await serve(Server(clinic, port).answer)
        finally:
            await port.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
