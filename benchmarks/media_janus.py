"""Janus's VideoRoom as a peer of the benchmark: its own process on loopback, spoken to by its HTTP API."""

import asyncio
import os
import secrets
import shutil
import socket
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

_PATIENCE = 30.0  # seconds for one answer
_PLUGIN = "janus.plugin.videoroom"
_BITRATE = 2_500_000


class JanusRefused(Exception):
    """Janus answered with an error."""


class Janus:
    """Rooms of two, made and filled."""

    def __init__(self, process: Process, http: aiohttp.ClientSession, url: str, tapes: Path) -> None:
        self.process = process
        self.tapes = tapes
        self._http, self._url = http, url
        self._session = 0
        self._waits: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._publishers: list[tuple[int, int, int]] = []  # room, handle, publisher
        self._subscribers: list[int] = []
        self._rooms = 0

    def cpu(self) -> float:
        """Seconds of processor time, user and system, all threads."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    async def begin(self) -> None:
        self._session = (await self._post("", {"janus": "create"}))["data"]["id"]

    async def listen(self) -> None:
        """Take events until cancelled."""
        while True:
            async with self._http.get(f"{self._url}/{self._session}?maxev=20") as response:
                found = await response.json(content_type=None)
            for event in found if isinstance(found, list) else [found]:
                wait = self._waits.pop(event.get("transaction", ""), None)
                if wait is not None and not wait.done():
                    wait.set_result(event)

    async def answers(self, offers: list[str], record: bool) -> list[str]:
        """Two offers are a visit: a room of its own, two publishers."""
        found = []
        for number, offer in enumerate(offers):
            handle = await self._attach()
            if number % 2 == 0:
                self._rooms += 1
                await self._create(handle, record)
            asked = {"request": "joinandconfigure", "ptype": "publisher", "room": self._rooms}
            event = await self._message(handle, asked, {"type": "offer", "sdp": offer})
            self._publishers.append((self._rooms, handle, event["plugindata"]["data"]["id"]))
            found.append(event["jsep"]["sdp"])
        return found

    async def invite(self) -> list[str]:
        """Janus's own offers to each publisher, of what the other one of the room sends."""
        offers = []
        for room, own, _ in self._publishers:
            far = next(feed for other, handle, feed in self._publishers if other == room and handle != own)
            handle = await self._attach()
            asked = {"request": "join", "ptype": "subscriber", "room": room, "streams": [{"feed": far}]}
            event = await self._message(handle, asked)
            self._subscribers.append(handle)
            offers.append(event["jsep"]["sdp"])
        return offers

    async def start(self, answers: list[str]) -> None:
        for handle, answer in zip(self._subscribers, answers, strict=True):
            await self._message(handle, {"request": "start"}, {"type": "answer", "sdp": answer})

    async def stop(self) -> None:
        """Destroy every room, hang up everybody."""
        handles = [*self._subscribers, *(handle for _, handle, _ in self._publishers)]
        rooms = {room: handle for room, handle, _ in self._publishers}
        for room, handle in rooms.items():
            await self._message(handle, {"request": "destroy", "room": room}, event=False)
        for handle in handles:
            await self._post(f"/{self._session}/{handle}", {"janus": "detach"})
        self._publishers, self._subscribers = [], []

    async def _create(self, handle: int, record: bool) -> None:
        asked = {"request": "create", "room": self._rooms, "publishers": 2, "audiocodec": "opus", "videocodec": "vp8"}
        asked |= {"bitrate": _BITRATE, "fir_freq": 0, "record": record, "rec_dir": str(self.tapes)}
        await self._message(handle, asked, event=False)

    async def _attach(self) -> int:
        answer = await self._post(f"/{self._session}", {"janus": "attach", "plugin": _PLUGIN})
        return int(answer["data"]["id"])

    async def _message(
        self, handle: int, body: dict[str, Any], jsep: dict[str, str] | None = None, *, event: bool = True
    ) -> dict[str, Any]:
        transaction = secrets.token_hex(8)
        asked: dict[str, Any] = {"janus": "message", "body": body, "transaction": transaction}
        if jsep is not None:
            asked["jsep"] = jsep
        wait: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        if event:
            self._waits[transaction] = wait
        answer = await self._post(f"/{self._session}/{handle}", asked)
        if event:
            async with asyncio.timeout(_PATIENCE):
                answer = await wait
        data = answer.get("plugindata", {}).get("data", {})
        if "error" in data:
            raise JanusRefused(data["error"])
        return answer

    async def _post(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        async with self._http.post(self._url + path, json={"transaction": secrets.token_hex(8), **asked}) as response:
            answer: dict[str, Any] = await response.json(content_type=None)
        if answer["janus"] == "error":
            raise JanusRefused(answer["error"]["reason"])
        return answer


@asynccontextmanager
async def janus(folder: Path) -> AsyncIterator[Janus]:
    """Debian's Janus with VideoRoom and the HTTP API alone; JANUS_LOOPS of the environment is its `event_loops`."""
    binary = shutil.which("janus")
    if binary is None:
        raise FileNotFoundError("janus is not installed")
    port, tapes, settings = _free_port(), folder / "tapes", folder / "settings"
    tapes.mkdir(parents=True)
    settings.mkdir()
    _configure(settings, port)
    with (folder / "janus.log").open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            binary, "-F", str(settings), "-C", str(settings / "janus.jcfg"), stdin=DEVNULL, stdout=said, stderr=said
        )
    try:
        async with aiohttp.ClientSession() as http:
            url = f"http://127.0.0.1:{port}/janus"
            await _ready(http, url)
            found = Janus(process, http, url, tapes)
            await found.begin()
            listening = asyncio.create_task(found.listen())
            try:
                yield found
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _configure(settings: Path, port: int) -> None:
    """Debian's defaults where they cost nothing; loopback alone, ICE-lite as ours is, everything not needed off."""
    loops = os.environ.get("JANUS_LOOPS", "")
    modules = Path("/usr/lib")
    found = next(modules.glob("*/janus/plugins")).parent
    off = ",".join(sorted(path.name for path in (found / "plugins").glob("*.so") if "videoroom" not in path.name))
    quiet = ",".join(sorted(path.name for path in (found / "transports").glob("*.so") if "http" not in path.name))
    (settings / "janus.jcfg").write_text(
        f'general: {{ configs_folder = "{settings}" plugins_folder = "{found / "plugins"}" '
        f'transports_folder = "{found / "transports"}" debug_level = 2 {"event_loops = " + loops if loops else ""} }}\n'
        'nat: { ice_lite = true full_trickle = false ice_enforce_list = "lo" ice_ignore_list = "vmnet" }\n'
        "media: { ipv6 = false }\n"
        f'plugins: {{ disable = "{off}" }}\ntransports: {{ disable = "{quiet}" }}\nevents: {{ broadcast = false }}\n'
    )
    (settings / "janus.transport.http.jcfg").write_text(
        f'general: {{ json = "compact" base_path = "/janus" http = true https = false port = {port} ip = "127.0.0.1" }}'
    )
    (settings / "janus.plugin.videoroom.jcfg").write_text("general: { }\n")


async def _ready(http: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(_PATIENCE):
        while True:
            try:
                async with http.get(f"{url}/info") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
