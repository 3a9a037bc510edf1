"""A worker is killed while a visit is recorded: the visit's legs are asked for again, and the recording goes on."""

import asyncio
import os
import signal
from pathlib import Path

from tests.faults.clinic import Clinic
from tests.faults.wire import raw_call
from tests.recordings.recording_clips import watch
from tests.stories.house import House


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


async def test_a_recorded_visit_is_back_and_its_recording_goes_on(tmp_path: Path) -> None:
    with House(tmp_path, {"MEDIA__WORKERS": "1"}) as house:
        clinic = await asyncio.to_thread(Clinic, house)
        async with raw_call(clinic) as call:
            cameras = await call.record()
            asked = {wire: wire.count("leg.open") for wire in (call.doctor, call.patient)}
            os.kill(carrier(house), signal.SIGKILL)
            for wire in (call.doctor, call.patient):
                await wire._until(lambda wire=wire: wire.count("leg.open") > asked[wire])
            again = (await call.leg(call.doctor), await call.leg(call.patient))
            await call.film(again, lambda: again[0].sent > 90)
            assert call.recording()
            assert cameras[0].sent > 0
            await call.doctor.does("recording.stop")
            recording = await asyncio.to_thread(clinic.recording_in, "sealed", 15)
        tracks = await asyncio.to_thread(clinic.tracks, recording)
        for film in tracks.values():
            assert len(watch(film).pictures) > 20
