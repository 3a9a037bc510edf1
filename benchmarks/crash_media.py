"""People who send numbered pictures without a pause, and know when they sent which."""

import asyncio
import io
import itertools
import struct
import time
from dataclasses import dataclass
from typing import Any

import av

from tests.faults.wire import Camera, RawCall, Wire
from tests.signaling.rtc.media_parts import AUDIO_SSRC, AUDIO_TYPE, VIDEO_SSRC, VIDEO_TYPE, rtp

_TICK = 0.02  # seconds: a packet of sound, and with every other one a picture
_MARK = struct.Struct(">4sII")  # behind each picture, where no decoder looks: name, camera, number
_NAME = b"#pic"
_LOOP = 10  # pictures from one key frame to the next
_CHECK = 100  # ticks between checks of the path
_serial = itertools.count(1)


class NumberedCamera(Camera):
    """Sends from `play` on; `sent_at[number]` is when, in steady seconds."""

    def __init__(self, port: int, role: str) -> None:
        super().__init__(port)
        self.role = role
        self.serial = next(_serial)
        self.sent_at: list[float] = []

    async def play(self) -> None:
        """Pictures and sound in real time until cancelled."""
        begun = time.monotonic()
        for tick in itertools.count():
            self.send_rtp(*self._packets(tick))
            if tick % _CHECK == _CHECK - 1:
                self.send(self.check())
            await asyncio.sleep(max(0.0, begun + (tick + 1) * _TICK - time.monotonic()))

    def _packets(self, tick: int) -> list[bytes]:
        sound = rtp(AUDIO_TYPE, tick, tick * 960, AUDIO_SSRC, self._tone[tick % 50])
        if tick % 2:
            return [sound]
        number = len(self.sent_at)
        self.sent_at.append(time.monotonic())
        picture = self._pictures[number % _LOOP][0] + _MARK.pack(_NAME, self.serial, number)
        return [rtp(VIDEO_TYPE, number, number * 3600, VIDEO_SSRC, b"\x10" + picture, marker=True), sound]


class Filming:
    """A recorded call whose people send all the time."""

    def __init__(self, call: RawCall) -> None:
        self.call = call
        self.cameras: list[NumberedCamera] = []
        self._playing: list[asyncio.Task[None]] = []

    async def leg(self, wire: Wire, role: str) -> None:
        """A connected leg that sends from now on; an earlier one of the same person goes on sending into the void."""
        camera = NumberedCamera(self.call.clinic.house.media_port, role)
        self.cameras.append(camera)
        answer = await wire.does("leg.offer", {"sdp": camera.offer})
        await camera.connect(answer["sdp"])
        self._playing.append(asyncio.create_task(camera.play(), name=f"camera {camera.serial}"))

    async def record(self) -> None:
        """Asked, agreed, sending, and shown as recording."""
        await self.call.consent()
        await self.leg(self.call.doctor, "clinician")
        await self.leg(self.call.patient, "patient")
        await self.call.doctor.sees(lambda view: bool(view["recording"]["state"] == "recording"))

    async def stop(self) -> None:
        """Nobody sends any more."""
        for task in self._playing:
            task.cancel()
        await asyncio.gather(*self._playing, return_exceptions=True)
        for camera in self.cameras:
            camera.close()

    def lost(self, role: str, found: "Found", until: float) -> float:
        """Seconds between the last picture (and the last sound) of a role that is kept and the last sent till then."""
        cameras = {camera.serial: camera for camera in self.cameras if camera.role == role}
        sent = [moment for camera in cameras.values() for moment in camera.sent_at if moment <= until]
        kept = [cameras[serial].sent_at[number] for serial, number in found.pictures]
        if not sent:
            return 0.0
        return max(0.0, max(sent) - max(kept, default=sent[0])) + found.sound_short


@dataclass(frozen=True, slots=True)
class Found:
    """What a track holds: (camera, number) of each picture, and by how many seconds the sound ends before them."""

    pictures: list[tuple[int, int]]
    sound_short: float


def decoded(webm: bytes) -> Found:
    """Decode everything. Raises av's errors, and ValueError for packets that give no picture or no sound."""
    marks: list[tuple[int, int]] = []
    ends = {"video": 0.0, "audio": 0.0}
    packets, frames = {"video": 0, "audio": 0}, {"video": 0, "audio": 0}
    container: Any = av.open(io.BytesIO(webm), "r", format="webm")
    with container:
        for packet in container.demux():
            kind = packet.stream.type
            if packet.size:
                packets[kind] += 1
                ends[kind] = max(ends[kind], float(packet.pts * packet.time_base))
                if kind == "video":
                    marks.append(_mark(bytes(packet)))
            frames[kind] += len(packet.decode())
    if frames["video"] != packets["video"] or bool(frames["audio"]) != bool(packets["audio"]):
        raise ValueError(f"{packets} packets gave {frames} frames")
    return Found(marks, max(0.0, ends["video"] - ends["audio"]))


def _mark(picture: bytes) -> tuple[int, int]:
    name, serial, number = _MARK.unpack(picture[-_MARK.size :])
    if name != _NAME:
        raise ValueError("a picture that nobody sent")
    return serial, number
