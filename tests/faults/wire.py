"""Pages' sockets and media legs without browsers: every event and every datagram is ours to send."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import socketio
from aiohttp import ClientSession, ClientWebSocketResponse

from tests.faults.clinic import Booked, Client, Clinic
from tests.recordings.recording_clips import GREEN, pictures, tone
from tests.signaling.rtc.media_parts import AUDIO_SSRC, AUDIO_TYPE, VIDEO_SSRC, VIDEO_TYPE, RawBrowser, rtp
from tests.stories.house import House
from tests.telehealth.visits.visit_house import Key

SOON = 10.0  # seconds that anything may take
NAMESPACE = "/visit"


class Wire:
    """One socket of a page; keeps what it is told."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.key = Key()
        self.view: Mapping[str, Any] = {}
        self.heard: list[tuple[str, Any]] = []
        self.refused: Any = None
        self._news = asyncio.Condition()
        self.socket = socketio.AsyncClient(reconnection=False)
        self.socket.on("*", self._hear, namespace=NAMESPACE)
        self.socket.on("connect_error", self._refused, namespace=NAMESPACE)

    async def _hear(self, event: str, payload: Any = None) -> None:
        if event == "view" and payload["revision"] > self.view.get("revision", -1):
            self.view = payload
        async with self._news:
            self.heard.append((event, payload))
            self._news.notify_all()

    async def _refused(self, data: Any) -> None:
        self.refused = data

    async def connect(self, auth: Any, *, cookie: str | None = None) -> "Wire":
        """Raises ConnectionError where the server refuses; `refused` has its word."""
        headers = {"Origin": self.client.house.url, "Cookie": self.client.cookie if cookie is None else cookie}
        await self.socket.connect(
            self.client.house.url,
            headers=headers,
            auth=auth,
            transports=["websocket"],
            namespaces=[NAMESPACE],
            wait_timeout=SOON,
        )
        return self

    async def send(self, event: str, payload: Any = None) -> dict[str, Any]:
        answer: dict[str, Any] = await self.socket.call(event, payload, namespace=NAMESPACE, timeout=SOON)
        return answer

    async def does(self, event: str, payload: Any = None) -> dict[str, Any]:
        """An event that must succeed."""
        answer = await self.send(event, payload)
        assert answer["ok"], (event, answer)
        return answer

    async def enter(self) -> None:
        asked = {"public_key": self.key.jwk, "language": "en", "audio": True, "video": True, "page": "page-1"}
        self.view = (await self.does("enter", asked))["view"]

    @property
    def participant(self) -> str:
        participant: str = self.view["self"]["participant"]
        return participant

    def has(self, name: str) -> bool:
        """Whether the event came already."""
        return any(event == name for event, _ in self.heard)

    def count(self, name: str) -> int:
        """How often the event came."""
        return sum(event == name for event, _ in self.heard)

    async def hears(self, name: str) -> Any:
        """The first payload of the event, now or soon."""
        await self._until(lambda: self.has(name))
        return next(payload for event, payload in self.heard if event == name)

    async def sees(self, what: Callable[[Mapping[str, Any]], bool]) -> None:
        """Wait until the view is so."""
        await self._until(lambda: what(self.view))

    async def _until(self, so: Callable[[], bool]) -> None:
        async with asyncio.timeout(SOON), self._news:
            await self._news.wait_for(so)

    async def gone(self) -> None:
        """Wait until the server has closed it."""
        async with asyncio.timeout(SOON):
            while self.socket.connected:
                await asyncio.sleep(0.02)

    async def agrees(self) -> None:
        """Say yes to what is asked, signed."""
        asked = await self.hears("consent.asked")
        said = self.key.receipt(asked, self.view["visit"]["id"], self.participant, "yes")
        await self.does("consent.answer", said)


class Camera(RawBrowser):
    """A leg's browser that sends real pictures and tones."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.sent = 0
        self._pictures, self._tone = pictures(((GREEN, 30),)), tone(440, 50)

    async def film(self, until: Callable[[], bool], most: int = 150) -> None:
        """Send frame after frame until something is so. Raises AssertionError if it never is."""
        for _ in range(most):
            if until():
                return
            self.send_rtp(*self._next())
            await asyncio.sleep(0.02)
        raise AssertionError("filmed to the end for nothing")

    def _next(self) -> list[bytes]:
        number = self.sent
        self.sent += 1
        picture, sound = self._pictures[number % 30][0], self._tone[number % 50]
        return [
            rtp(VIDEO_TYPE, number, number * 1800, VIDEO_SSRC, b"\x10" + picture, marker=True),
            rtp(AUDIO_TYPE, number, number * 960, AUDIO_SSRC, sound),
        ]


class RawCall:
    """A clinician and an admitted patient, by their sockets."""

    def __init__(self, clinic: Clinic, visit: Booked, doctor: Wire, patient: Wire, stack: AsyncExitStack) -> None:
        self.clinic, self.visit, self.doctor, self.patient = clinic, visit, doctor, patient
        self._stack = stack

    async def consent(self) -> None:
        """Asked, and both said yes: legs are wanted."""
        await self.doctor.does("recording.ask", {"purpose": "treatment_record"})
        for wire in (self.doctor, self.patient):
            await wire.agrees()
        for wire in (self.doctor, self.patient):
            await wire.sees(lambda view: bool(view["media"]["topology"] == "relay"))

    def camera(self) -> Camera:
        made = Camera(self.clinic.house.media_port)
        self._stack.callback(made.close)
        return made

    async def leg(self, wire: Wire) -> Camera:
        """A connected leg of that person."""
        camera = self.camera()
        await camera.connect((await wire.does("leg.offer", {"sdp": camera.offer}))["sdp"])
        return camera

    async def record(self) -> tuple[Camera, Camera]:
        """Both send, and it is shown as recording."""
        await self.consent()
        cameras = (await self.leg(self.doctor), await self.leg(self.patient))
        await self.film(cameras, self.recording)
        return cameras

    async def film(self, cameras: Sequence[Camera], until: Callable[[], bool]) -> None:
        async with asyncio.TaskGroup() as group:
            for camera in cameras:
                group.create_task(camera.film(until))

    def recording(self) -> bool:
        return bool(self.doctor.view["recording"]["state"] == "recording")


@asynccontextmanager
async def raw_call(clinic: Clinic) -> AsyncIterator[RawCall]:
    """A call that runs, and is ended afterwards."""
    visit = clinic.book()
    async with AsyncExitStack() as stack:
        doctor, patient = Wire(clinic.clinician), Wire(clinic.verified(visit))
        for wire, auth in ((doctor, {"visit": visit.id}), (patient, {"join": True})):
            stack.push_async_callback(wire.socket.disconnect)
            await wire.connect(auth)
            await wire.enter()
        await doctor.does("admit", {"participant": patient.participant})
        await patient.sees(lambda view: bool(view["self"]["state"] == "admitted"))
        yield RawCall(clinic, visit, doctor, patient, stack)


@asynccontextmanager
async def bare_socket(house: House, **headers: str) -> AsyncIterator[ClientWebSocketResponse]:
    """A WebSocket to the engine, before any namespace."""
    url = f"{house.url}/socket.io/?EIO=4&transport=websocket"
    async with ClientSession() as session, session.ws_connect(url, headers=headers) as wire:
        yield wire
