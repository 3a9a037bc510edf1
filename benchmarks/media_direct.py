"""Direct visits: DIRECT (2,000) in a call at once on one signalling process; what each weighs, how soon it answers.

Everybody enters, is admitted and keeps the socket. Then each couple negotiates once (a description and eight
candidates each way) at a moment of its own within a minute, less with fewer visits; timed is every event until its
answer.
"""

import asyncio
import json
import os
import random
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, WSMsgType

from benchmarks.figure import Figure, measured, percentile, said, say
from benchmarks.media_sides import ahead_of_others, resident
from benchmarks.pipe import Partner, partner

VISITS = int(os.environ.get("DIRECT", "") or 2_000)
_SECONDS = 3 + 0.03 * VISITS  # within which all have negotiated
_BATCH = 100  # visits asked for at once
_JOINING = 20  # that join at the same time
_FIRST = 20  # visits that are not weighed
_PATIENCE = 120.0
_CANDIDATES = 8
_DESCRIPTION = "v=0\r\n" + "a=rtpmap:96 VP8/90000\r\n" * 120  # as long as a browser's
_CANDIDATE = {"candidate": "candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host", "sdpMid": "0", "sdpMLineIndex": 0}


class Page:
    """One socket. It answers the server's pings, counts what it hears, and times its own events."""

    def __init__(self, wire: ClientWebSocketResponse, key: dict[str, str]) -> None:
        self._wire, self._key = wire, key
        self._waits: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._asked = 0
        self.participant = ""
        self.signals = 0

    async def listen(self) -> None:
        """Until the socket closes. Whoever waits then hears of it."""
        async for message in self._wire:
            if message.type is not WSMsgType.TEXT:
                break
            text: str = message.data
            if text == "2":
                await self._wire.send_str("3")
            elif text.startswith("43/visit,"):
                number, _, answer = text[9:].partition("[")
                self._waits.pop(int(number)).set_result(json.loads("[" + answer)[0])
            elif text.startswith('42/visit,["signal"'):
                self.signals += 1
        for wait in self._waits.values():
            wait.set_exception(ConnectionError("the server hung up"))

    async def ask(self, event: str, payload: Any) -> float:
        """Seconds until the answer. Raises RuntimeError for a refusal, ConnectionError."""
        self._asked += 1
        wait = self._waits[self._asked] = asyncio.get_running_loop().create_future()
        begun = time.perf_counter()
        await self._wire.send_str(f"42/visit,{self._asked}{json.dumps([event, payload])}")
        async with asyncio.timeout(_PATIENCE):
            answer = await wait
        took = time.perf_counter() - begun
        if not answer["ok"]:
            raise RuntimeError(f"{event}: {answer}")
        if event == "enter":
            self.participant = answer["view"]["self"]["participant"]
        return took

    async def enter(self) -> float:
        return await self.ask("enter", {"public_key": self._key, "language": "en", "audio": True, "video": True})

    async def negotiate(self, to: str, kind: str) -> list[float]:
        """What a browser says when a connection begins; each event waits for the one before."""
        took = [await self.ask("signal", {"to": to, "description": {"type": kind, "sdp": _DESCRIPTION}})]
        for _ in range(_CANDIDATES):
            took.append(await self.ask("signal", {"to": to, "candidate": _CANDIDATE}))
        return took


class Pages:
    """Opens sockets and owns who listens to them."""

    def __init__(self, url: str, session: ClientSession, listeners: asyncio.TaskGroup) -> None:
        self._url, self._session, self._listeners = url, session, listeners

    async def open(self, page: dict[str, Any]) -> Page:
        address = f"{self._url}/socket.io/?EIO=4&transport=websocket"
        wire = await self._session.ws_connect(address, headers={"Cookie": page["cookie"]})
        await wire.receive_str()
        await wire.send_str("40/visit," + json.dumps(page["auth"]))
        while (welcome := await wire.receive_str()) == "2":  # a busy server's ping comes first
            await wire.send_str("3")
        if not welcome.startswith("40/visit,"):
            raise RuntimeError(welcome)
        found = Page(wire, page["key"])
        self._listeners.create_task(found.listen())
        return found


def run(seed: int) -> Iterator[Figure]:
    """Joining, then negotiating, then what it weighed."""
    found = asyncio.run(_measure(seed))
    told: dict[str, Any] = {"n": VISITS, "seed": seed}
    say(f"  load {os.getloadavg()[0]:.1f}; {found['events']} events in {found['lasted']:.0f} s")
    yield measured("media.direct.visits", found["visits"], "at once", **told, at_least=VISITS)
    yield measured("media.direct.memory", found["memory"], "KB a visit", **told, at_most=100)
    yield measured("media.direct.cpu", found["cpu"], "% of a core", **told)
    yield measured("media.direct.delivered", found["delivered"], "of those sent", **told, at_least=1)
    for name in ("join", "event"):
        for share in (0.5, 0.99):
            value = 1000 * percentile(found[name], share)
            yield measured(f"media.direct.{name}.p{share * 100:.0f}", value, "ms", n=len(found[name]), seed=seed)


async def _measure(seed: int) -> dict[str, Any]:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        async with partner("benchmarks.direct_server", folder) as server:
            for pid in (server.pid, os.getpid()):
                ahead_of_others(pid)
            url, booked = await _booked(server)
            async with _pages(url) as pages:
                joined: list[float] = []
                couples = await _gathered(_JOINING, [_call(pages, visit, joined) for visit in booked[:_FIRST]])
                before = resident(server.pid)  # what is made once is made now
                couples += await _gathered(_JOINING, [_call(pages, visit, joined) for visit in booked[_FIRST:]])
                cpu, begun = server.cpu(), time.monotonic()
                took = await asyncio.gather(*(_talk(couple, _SECONDS * chance.random()) for couple in couples))
                lasted, spent = time.monotonic() - begun, server.cpu() - cpu
                await asyncio.sleep(1)  # what is under way arrives
                memory = (resident(server.pid) - before) / 1e3 / max(1, VISITS - _FIRST)
                events = [one for some in took for one in some]
                heard = sum(page.signals for couple in couples for page in couple)
    sent = 2 * (1 + _CANDIDATES) * len(couples)
    measures = {"memory": memory, "cpu": 100 * spent / lasted, "delivered": heard / sent, "lasted": lasted}
    return measures | {"visits": len(couples), "join": joined, "event": events, "events": len(events)}


async def _booked(server: Partner) -> tuple[str, list[dict[str, Any]]]:
    visits: list[dict[str, Any]] = []
    while len(visits) < VISITS:
        answer = await server.ask("visits", visits=min(_BATCH, VISITS - len(visits)))
        visits += answer["visits"]
        say(f"  {len(visits)} visits booked")
    return answer["url"], visits


@asynccontextmanager
async def _pages(url: str) -> AsyncIterator[Pages]:
    async with AsyncExitStack() as stack:
        listeners = await stack.enter_async_context(asyncio.TaskGroup())
        session = ClientSession(headers={"Origin": "http://clinic.example"}, connector=TCPConnector(limit=0))
        await stack.enter_async_context(session)
        yield Pages(url, session, listeners)


async def _gathered(at_once: int, acts: list[Any]) -> list[Any]:
    """All results; so many at a time."""
    turn = asyncio.Semaphore(at_once)

    async def one(act: Any) -> Any:
        async with turn:
            return await act

    return await asyncio.gather(*map(one, acts))


async def _call(pages: Pages, visit: dict[str, Any], took: list[float]) -> tuple[Page, Page]:
    """A clinician and a patient, admitted."""
    clinician, patient = [await pages.open(page) for page in visit["pages"]]
    took += [await clinician.enter(), await patient.enter()]
    took.append(await clinician.ask("admit", {"participant": patient.participant}))
    return clinician, patient


async def _talk(couple: tuple[Page, Page], after: float) -> list[float]:
    """Both negotiate and report, at a moment of their own."""
    await asyncio.sleep(after)
    clinician, patient = couple
    one = await clinician.negotiate(patient.participant, "offer")
    return one + await patient.negotiate(clinician.participant, "answer")


if __name__ == "__main__":
    said(run)
