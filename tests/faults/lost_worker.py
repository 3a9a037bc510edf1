"""A worker that dies under a recorded call of two, and how long neither of them is recorded because of it."""

import asyncio
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.crash_media import Filming, NumberedCamera, decoded
from tests.faults.clinic import Clinic
from tests.faults.wire import raw_call
from tests.stories.house import House

ROLES = ("clinician", "patient")


@dataclass(frozen=True, slots=True)
class Lost:
    """Of one kill, the worse of both people, in seconds."""

    tail: float  # between the last picture that is kept from before it and the last that was sent before it
    back: float  # from it until the first picture that is kept again


async def killed_while_recording(folder: Path, kills: int) -> list[Lost]:
    """SIGKILL the one worker again and again in one recorded call. Raises ValueError for holes between."""
    with House(folder, {"MEDIA__WORKERS": "1"}) as house:
        clinic = await asyncio.to_thread(Clinic, house)
        async with raw_call(clinic) as call:
            filming = Filming(call)
            try:
                await filming.record()
                moments = [await _kill(house, filming) for _ in range(kills)]
                await asyncio.sleep(1.0)
            finally:
                await filming.stop()
            await call.doctor.does("recording.stop")
            recording = await asyncio.to_thread(clinic.recording_in, "sealed", 15)
        tracks = await asyncio.to_thread(clinic.tracks, recording)
    told = [_told(tracks[role], [one for one in filming.cameras if one.role == role], moments) for role in ROLES]
    return [
        Lost(max(tails), max(backs)) for tails, backs in (zip(*each, strict=True) for each in zip(*told, strict=True))
    ]


async def _kill(house: House, filming: Filming) -> float:
    """When it was; everybody has a leg again at the end."""
    wires = (filming.call.doctor, filming.call.patient)
    await asyncio.sleep(1.0)
    asked = [wire.count("leg.open") for wire in wires]
    moment = time.monotonic()
    os.kill(carrier(house), signal.SIGKILL)

    async def again(place: int) -> None:
        wire = wires[place]
        await wire._until(lambda: wire.count("leg.open") > asked[place])
        await filming.leg(wire, ROLES[place])

    await asyncio.gather(*(again(place) for place in range(len(wires))))
    return moment


def _told(track: bytes, cameras: list[NumberedCamera], moments: list[float]) -> list[tuple[float, float]]:
    """Tail and return of each kill, in one person's track."""
    found = decoded(track).pictures
    kept = [[number for serial, number in found if serial == camera.serial] for camera in cameras]
    for camera, numbers in zip(cameras, kept, strict=True):
        if not numbers or numbers != list(range(numbers[0], numbers[-1] + 1)):
            raise ValueError(f"pictures are lost between {numbers[:1]} and {numbers[-1:]} of camera {camera.serial}")
    told = []
    for at, moment in enumerate(moments):
        sent = max(when for when in cameras[at].sent_at if when <= moment)
        tail = max(0.0, sent - cameras[at].sent_at[kept[at][-1]])
        told.append((tail, cameras[at + 1].sent_at[kept[at + 1][0]] - moment))
    return told


def carrier(house: House) -> int:
    """The process that has the media port."""
    for folder in Path("/proc").iterdir():
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            links = {os.readlink(link) for link in (folder / "fd").iterdir() if parent == house.process.pid}
        except (OSError, IndexError, NotADirectoryError):
            continue
        if sockets(house) & links:
            return int(folder.name)
    raise AssertionError("nobody has the media port")


def sockets(house: House) -> set[str]:
    """The UDP sockets on the media port, as descriptors name them."""
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if int(row[1].split(":")[1], 16) == house.media_port}
