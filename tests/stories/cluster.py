"""Several real servers with one PostgreSQL and one Redis, and people whose sockets land on any of them."""

import asyncio
import signal
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import socketio

from tests.attack.cast import Somebody, enrolled
from tests.partners.postgres import Postgres
from tests.partners.redis import Redis
from tests.stories.house import House
from tests.telehealth.visits.visit_house import Key

NAMES = ("a", "b", "c")
PATIENCE = 2.0  # a browser's page notices at once that its socket was dropped; this client waits for its answer


class Cluster:
    """`with Cluster(folder) as cluster:` starts PostgreSQL, Redis and so many servers, one after the other."""

    def __init__(self, folder: Path, servers: int = 2, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._stack = ExitStack()
        self._servers = servers
        self._settings = dict(settings or {})
        self.houses: list[House] = []

    def __enter__(self) -> "Cluster":
        with ExitStack() as stack:
            postgres = Postgres()
            stack.callback(postgres.stop)
            self.database = postgres.database()
            self.redis = Redis(self.folder)
            stack.callback(self.redis.stop)
            for name in NAMES[: self._servers]:
                house = self.house(name)
                house.start()
                stack.callback(house.stop, signal.SIGKILL)
                self.houses.append(house)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for house in self.houses:
            if house.process.poll() is None:
                house.process.send_signal(signal.SIGCONT)
        self._stack.close()

    def house(self, name: str, **settings: str) -> House:
        """Another server of this name, not started."""
        own, shared = self.folder / name, self.folder / "shared"
        own.mkdir(exist_ok=True)
        first = self.houses[0].url if self.houses else ""
        return House(
            own,
            {
                "PLACES__DATABASE": self.database,
                "PLACES__KEYS": str(shared / "keys"),
                "PLACES__ROOT_KEY": str(shared / "root" / "root.key"),
                "PLACES__RECORDINGS": str(shared / "recordings"),
                "REDIS__URL": self.redis.url,
                "REDIS__PASSWORD_FILE": str(self.redis.password_file),
                "REDIS__NODE": name,
                **({"SERVER__PUBLIC_URL": first} if first else {}),
                **self._settings,
                **settings,
            },
        )

    @property
    def url(self) -> str:
        """What people see in front of all servers."""
        return self.houses[0].url

    def clinician(self) -> tuple[Somebody, Somebody]:
        """An admin and a clinician, enrolled at the first server."""
        admin = enrolled(self.houses[0], "admin", self.houses[-1].said(r"/setup#(\S+)"), login="root", name="Root")
        added = admin.post("/users", login="ada", name="Dr Ada", role="clinician")
        return admin, enrolled(self.houses[0], "clinician", added["enrolment_url"].split("#")[1])

    def patient(self, clinician: Somebody, name: str = "Zora Quill", *, at: int = 0) -> tuple[str, Somebody]:
        """A visit booked now, and its patient, who came by link and code."""
        booked = clinician.post("/visits", patient={"name": name}, channel="passcode")
        patient = Somebody("patient", self.houses[at].url)
        patient.session.headers["Origin"] = self.url
        patient.post("/join", token=booked["link"]["url"].split("#")[1])
        patient.post("/join/verify", code=booked["link"]["passcode"])
        patient.post("/join/details", location="at home", callback="+41 44 000 00 00")
        return booked["visit"]["id"], patient


class Page:
    """One page's socket at one server; keeps what it hears."""

    def __init__(self, cluster: Cluster, who: Somebody, house: House, auth: Any) -> None:
        self.cluster, self.who, self.house, self.auth = cluster, who, house, auth
        self.key = Key()
        self.heard: list[tuple[str, Any]] = []
        self.view: Mapping[str, Any] = {}
        self.today: Mapping[str, Any] = {}
        self.refused: Any = None
        self._news = asyncio.Condition()
        self.client = self._client()

    def _client(self) -> socketio.AsyncClient:
        client = socketio.AsyncClient(reconnection=False)
        client.on("*", self._hear, namespace="/visit")
        client.on("connect_error", self._refuse, namespace="/visit")
        return client

    async def _hear(self, event: str, payload: Any = None) -> None:
        if event == "view" and payload["revision"] > self.view.get("revision", -1):
            self.view = payload
        if event == "today":
            self.today = payload
        async with self._news:
            self.heard.append((event, payload))
            self._news.notify_all()

    async def _refuse(self, data: Any) -> None:
        self.refused = data

    async def connect(self) -> "Page":
        cookies = "; ".join(f"{one.name}={one.value}" for one in self.who.session.cookies)
        headers = {"Origin": self.cluster.url, "Cookie": cookies}
        await self.client.connect(
            self.house.url, headers=headers, auth=self.auth, transports=["websocket"], namespaces=["/visit"],
            wait_timeout=5,
        )  # fmt: skip
        return self

    async def again(self, house: House | None = None) -> "Page":
        """Connect anew, at another server if need be, and enter; tried until it works, as a page does."""
        self.house = house or self.house
        async with asyncio.timeout(20):
            while True:
                await self.client.disconnect()
                self.client = self._client()
                try:
                    await self.connect()
                    if (await self.enter(PATIENCE))["ok"]:
                        return self
                except (socketio.exceptions.ConnectionError, socketio.exceptions.SocketIOError):
                    pass
                await asyncio.sleep(0.05)

    async def send(self, event: str, payload: Any = None, seconds: float = 5) -> Any:
        return await self.client.call(event, payload, namespace="/visit", timeout=seconds)

    async def enter(self, seconds: float = 5) -> Any:
        asked = {"public_key": self.key.jwk, "language": "en", "audio": True, "video": True, "page": "p1"}
        answer = await self.send("enter", asked, seconds)
        if answer["ok"]:
            self.view = answer["view"]
            self.participant = self.view["self"]["participant"]
        return answer

    async def sees(self, what: Any, seconds: float = 10) -> None:
        """Wait until the view is so."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: self.view and what(self.view))

    async def hears(self, name: str, what: Any = lambda _payload: True, seconds: float = 10) -> Any:
        """The newest payload of the event that is so, now or soon."""

        def found() -> list[Any]:
            return [payload for event, payload in self.heard if event == name and what(payload)]

        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(found)
        return found()[-1]

    async def closed(self, seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while self.client.connected:
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        await self.client.disconnect()
