"""Our media port with rooms, as a process: forwarding, and with recording the real recordings room behind it."""

import asyncio
import gc
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.clinic import Clinic, Listener, open_clinic
from benchmarks.pipe import serve
from signaling.rtc import Leg, MediaPort
from telehealth.clock import SystemClock
from telehealth.keys.process import harden_process


@dataclass(slots=True)
class Visit:
    """A room of two; `recording` empty when it is only forwarded."""

    room: str
    recording: str = ""
    listener: Listener = field(default_factory=Listener)
    legs: list[Leg] = field(default_factory=list)
    people: list[str] = field(default_factory=list)


class Server:
    """Each pair of offers is a visit."""

    def __init__(self, clinic: Clinic, port: MediaPort) -> None:
        self._clinic = clinic
        self._port = port
        self._made = 0
        self._visits: list[Visit] = []

    async def answer(self, words: dict[str, Any]) -> dict[str, Any]:
        match words["ask"]:
            case "answers":
                return {"answers": await self._answers(words["offers"], words["record"])}
            case "stats":
                return {"port": self._port.stats(), "tasks": len(asyncio.all_tasks()), "objects": len(gc.get_objects())}
            case "stop":
                return await self._stop()
        raise ValueError(words["ask"])

    async def _answers(self, offers: list[str], record: bool) -> list[str]:
        found = []
        for at in range(0, len(offers), 2):
            found += await self._visit(offers[at : at + 2], record)
        return found

    async def _visit(self, offers: list[str], record: bool) -> list[str]:
        self._made += 1
        visit = Visit(f"visit_{self._made}")
        people: list[str] = [f"{visit.room}_{side}" for side in "ab"]
        if record:
            visit.recording, parties = await self._clinic.begin(visit.listener)
            people = [person.participant for person in parties]
        visit.people, answers = people, []
        for person, offer in zip(people, offers, strict=True):
            sink = self._clinic.service.sink(visit.recording, person) if record else None
            leg, answer = await self._port.open_leg(person, offer, sink, room=visit.room, publisher=person)
            visit.legs.append(leg)
            answers.append(answer)
        self._visits.append(visit)
        return answers

    async def _stop(self) -> dict[str, Any]:
        """Stop and seal what was recorded, end every leg; faults, pictures in all, and of each person what was kept."""
        visits, self._visits = self._visits, []
        service = self._clinic.service
        recorded = [visit for visit in visits if visit.recording]
        for visit in recorded:
            await service.stop(visit.recording, "clinician")
        await service.settle()
        faults = [fault for visit in recorded for fault in visit.listener.faults]
        lost = [leg.close_reason or "" for visit in visits for leg in visit.legs if leg.close_reason is not None]
        tracks = []
        for visit in recorded:
            kept = await self._clinic.kept(visit.recording)
            tracks += [kept.get(person, (0, 0)) for person in visit.people]
        for visit in visits:
            for leg in visit.legs:
                await leg.close("visit_ended")
        return {"faults": faults + lost, "pictures": sum(video for _, video in tracks), "kept": tracks}


async def main(folder: Path, compiled: bool) -> None:
    harden_process()
    clock = SystemClock()
    async with open_clinic(folder, clock) as clinic:
        port = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=clock, compiled=compiled)
        gc.collect()
        gc.freeze()  # as the server does once it is up
        try:
            await serve(Server(clinic, port).answer)
        finally:
            await port.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:] != ["python"]))
