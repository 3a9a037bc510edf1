"""A real call of two to be disturbed: numbered sound and pictures each way, and what became of them."""

import asyncio
import contextlib
import struct
import time
from collections import deque
from dataclasses import dataclass, field

from benchmarks.attack_media_target import TAG, number_of
from benchmarks.media_peer import AUDIO_TYPE, VIDEO_TYPE, Part, Peer
from benchmarks.pipe import Partner
from tests.recordings.recording_clips import GREEN, pictures

AUDIO_EVERY, VIDEO_EVERY = 0.02, 1 / 30  # seconds
_PICTURES = pictures(((GREEN, 30),))  # the first is a key frame
_SOUND = b"\xf8\xff\xfe"  # silence, 20 ms of Opus
_SET_UP = 10.0  # seconds
_SETTLES = 1.0  # seconds for what is on its way


@dataclass(slots=True)
class Sent:
    """What one caller sent and heard, each number once."""

    audio: int = 0
    video: int = 0
    heard: dict[str, set[int]] = field(default_factory=lambda: {"audio": set(), "video": set()})
    foreign: int = 0


class Caller:
    """One side: connects, talks until it is stopped, counts what it hears."""

    def __init__(self, name: str, first: int, others: int = 1) -> None:
        self.name = name
        self.sent = Sent()
        self._ssrc = {"audio": first, "video": first + 1}
        publishes = (Part("audio", "0", first), Part("video", "1", first + 1))
        kinds = ("audio", "video") * others
        self.peer = Peer((*publishes, *(Part(kind, str(mid)) for mid, kind in enumerate(kinds, 2))))
        self.captured: deque[bytes] = deque(maxlen=5_000)  # what it sent, as a listener on the way has it
        self._kinds = {AUDIO_TYPE: "audio", VIDEO_TYPE: "video"}
        self._task: asyncio.Task[None] | None = None

    async def connect(self, target: Partner, room: str) -> dict[str, str]:
        """Open a leg and bring it up; what the target answered. Raises TimeoutError, ConnectionError."""
        answered = await target.ask("offer", leg=self.name, sdp=self.peer.describe(), room=room)
        await self.take(answered["sdp"])
        return answered

    async def take(self, sdp: str) -> None:
        """Bring the leg of an answer up. Raises TimeoutError, ConnectionError."""
        self.peer.connect(sdp)
        asyncio.get_running_loop().add_reader(self.peer.socket, self._read)
        async with asyncio.timeout(_SET_UP):
            while not self.peer.live:
                self.peer.tick(time.monotonic())
                if self.peer.fault:
                    raise ConnectionError(self.peer.fault)
                await asyncio.sleep(0.01)

    def talk(self) -> None:
        """Send from now on."""
        self._task = asyncio.create_task(self._talk(), name=f"caller-{self.name}")

    async def hush(self) -> None:
        """Send no more media, and wait for what is on its way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def close(self) -> None:
        await self.hush()
        asyncio.get_running_loop().remove_reader(self.peer.socket)
        self.peer.close()

    async def _talk(self) -> None:
        begun = time.monotonic()
        while True:
            now = time.monotonic()
            self.peer.tick(now)
            while self.sent.audio * AUDIO_EVERY <= now - begun:
                self.sent.audio += 1
                self._send("audio", self.sent.audio, 960 * self.sent.audio, _SOUND, mark=False)
            while self.sent.video * VIDEO_EVERY <= now - begun:
                picture, _ = _PICTURES[self.sent.video % len(_PICTURES)]
                self.sent.video += 1
                self._send("video", self.sent.video, 3000 * self.sent.video, b"\x10" + picture, mark=True)
            await asyncio.sleep(0.005)

    def _send(self, kind: str, number: int, timestamp: int, data: bytes, *, mark: bool) -> None:
        crypt = self.peer.outgoing
        assert crypt is not None
        payload = data + TAG + struct.pack("!I", number)
        kind_of = (AUDIO_TYPE if kind == "audio" else VIDEO_TYPE) | mark << 7
        packet = struct.pack("!BBHII", 0x80, kind_of, number & 0xFFFF, timestamp, self._ssrc[kind]) + payload
        crypt.view[: len(packet)] = packet
        sealed = bytes(crypt.seal(len(packet)))
        self.captured.append(sealed)
        with contextlib.suppress(ConnectionRefusedError, BlockingIOError):  # lost, as the counts will show
            self.peer.socket.send(sealed)

    def _read(self) -> None:
        for _ in range(200):
            try:
                datagram = self.peer.socket.recv(2048)
            except (BlockingIOError, ConnectionRefusedError):
                return
            if datagram[0] < 64:
                self.peer.receive(datagram)
            elif not 192 <= datagram[1] <= 223 and self.peer.incoming is not None:
                self._hear(memoryview(datagram))

    def _hear(self, datagram: memoryview) -> None:
        assert self.peer.incoming is not None
        plain = self.peer.incoming.open(datagram)
        kind = None if plain is None else self._kinds.get(plain[1] & 0x7F)
        if plain is None or kind is None:
            return
        number = number_of(plain)
        if number is None or number in self.sent.heard[kind]:
            self.sent.foreign += 1
        else:
            self.sent.heard[kind].add(number)


@dataclass(slots=True)
class Toll:
    """What an attack cost the call: shares of frames that never came, what came that nobody sent, who was closed."""

    sent: int
    lost_forwarded: float
    lost_recorded: float
    foreign: int
    closed: int


class Call:
    """Two callers in a room, with sections for so many others each."""

    def __init__(self, target: Partner, room: str = "room", first: int = 1000, others: int = 1) -> None:
        self._target = target
        self._room = room
        self.sides = (Caller(f"{room}_a", first, others), Caller(f"{room}_b", first + 10, others))

    async def begin(self) -> None:
        for side in self.sides:
            await side.connect(self._target, self._room)
        for side in self.sides:
            side.talk()
        await asyncio.sleep(0.3)

    async def end(self) -> Toll:
        """Hush, let what is on its way arrive, count."""
        for side in self.sides:
            await side.hush()
        await asyncio.sleep(_SETTLES)
        legs = [await self._target.ask("leg", leg=side.name) for side in self.sides]
        sent = sum(side.sent.audio + side.sent.video for side in self.sides)
        heard = sum(len(found) for side in self.sides for found in side.sent.heard.values())
        kept = sum(leg["audio"] + leg["video"] for leg in legs)
        toll = Toll(
            sent,
            1 - heard / sent,
            1 - kept / sent,
            sum(leg["foreign"] for leg in legs) + sum(side.sent.foreign for side in self.sides),
            sum(bool(leg["closed"]) for leg in legs),
        )
        for side in self.sides:
            await side.close()
            await self._target.ask("close", leg=side.name)
        return toll
