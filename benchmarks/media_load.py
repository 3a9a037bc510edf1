"""The load of two-party visits, as a process: the same for every server that is measured.

`offers` makes peers; `connect` brings them up; `subscribe` answers a server's offers with receiving peers; `play`
lets all publish; `window` measures; `stop` ends all. One thread sends and receives, the event loop only takes orders.
"""

import asyncio
import queue
import random
import resource
import select
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from heapq import heapify, heappop, heappush
from typing import Any

from benchmarks.clips import Clip, encode
from benchmarks.figure import percentile
from benchmarks.media_flow import Source, picture, sound
from benchmarks.media_line import Line
from benchmarks.media_peer import Part, Peer, sections
from benchmarks.pipe import serve

_TICK = 0.02  # seconds
_REPORT = 1.0
_PATIENCE = 30.0  # seconds to connect


class Engine:
    """The thread that moves packets. Every call runs between two of its rounds."""

    def __init__(self, clip: Clip, seed: int) -> None:
        self._dice = random.Random(seed)
        self._sound, self._picture = sound(clip), picture(clip)
        self._lines: dict[int, Line] = {}
        self._queue: list[tuple[float, int, Source]] = []
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._epoll = select.epoll()
        self._order = self._made = 0
        self._late: list[float] = []
        self._running = True
        self.thread = threading.Thread(target=self._run, name="load", daemon=True)

    async def do(self, act: Callable[[], Any]) -> Any:
        """Run `act` on the thread."""
        future: Future[Any] = Future()
        self._calls.put((act, future))
        return await asyncio.wrap_future(future)

    def end(self) -> None:
        self._running = False

    def _run(self) -> None:
        tick = 0.0
        while self._running:
            self._send_due()
            now = time.monotonic()
            if now >= tick:
                tick = now + _TICK
                self._tick(now)
            ahead = min(tick, self._queue[0][0] if self._queue else tick) - time.monotonic()
            if ahead > 0:  # epoll counts milliseconds, select microseconds
                select.select([self._epoll], [], [], ahead)
            for number, _ in self._epoll.poll(0, 64):
                if number in self._lines:
                    self._lines[number].drain()

    def _send_due(self) -> None:
        """At most 32 packets, so that receiving has its turn."""
        for _ in range(32):
            waiting = self._queue
            if not waiting:
                return
            now = time.monotonic()
            if waiting[0][0] > now:
                return
            due, order, source = heappop(waiting)
            self._late.append(now - due)
            source.send()
            heappush(waiting, (source.due, order, source))

    def _tick(self, now: float) -> None:
        for line in list(self._lines.values()):
            line.peer.tick(now)
            if line.peer.live and now >= line.report_at:
                line.report_at = now + _REPORT * (0.8 + 0.4 * self._dice.random())
                line.report()
        while not self._calls.empty():
            act, future = self._calls.get()
            try:
                future.set_result(act())
            except Exception as error:  # noqa: BLE001  # it belongs to the caller
                future.set_exception(error)

    # Each of these runs on the thread.

    def open(self, parts: tuple[Part, ...], visit: int, side: int) -> Line:
        line = Line(Peer(parts), visit, side)
        self._lines[line.peer.socket.fileno()] = line
        self._epoll.register(line.peer.socket, select.EPOLLIN)
        return line

    def offers(self, visits: int, receiving: bool) -> list[str]:
        """Two peers for each visit; with `receiving` they also offer to hear each other."""
        found = [self.publish(number // 2, number % 2, receiving).peer.describe() for number in range(2 * visits)]
        self.listen()
        return found

    def publish(self, visit: int, side: int, receiving: bool) -> Line:
        """One publishing peer of a visit."""
        self._made += 1
        first = 0x1000_0000 + 16 * self._made
        parts: tuple[Part, ...] = (Part("audio", "0", first + 1), Part("video", "1", first + 2))
        if receiving:
            parts += (Part("audio", "2"), Part("video", "3"))
        line = self.open(parts, visit, side)
        for part, chunks in zip(parts[:2], (self._sound, self._picture), strict=True):
            line.sources.append(Source(line.peer, part.kind, part.mid, part.ssrc, chunks, self._dice))
        return line

    def subscribe(self, offers: list[str]) -> list[str]:
        """One receiving peer for each offer, in the order of the publishers."""
        answers = []
        for number, offer in enumerate(offers):
            parts = tuple(Part(kind, mid) for kind, mid in sections(offer))
            line = self.open(parts, number // 2, number % 2)
            line.peer.connect(offer)
            answers.append(line.peer.describe())
        self.listen()
        return answers

    def listen(self) -> None:
        """Everybody is to hear the other one of the visit."""
        lines = list(self._lines.values())
        for line in lines:
            line.far = [
                source
                for other in lines
                if other.visit == line.visit and other.side != line.side
                for source in other.sources
            ]

    def connect(self, answers: list[str]) -> None:
        publishers = [line for line in self._lines.values() if line.sources]
        for line, answer in zip(publishers, answers, strict=True):
            line.peer.connect(answer)

    def standing(self) -> tuple[int, int, list[str]]:
        """How many peers are up, of how many, and what went wrong."""
        peers = [line.peer for line in self._lines.values()]
        return sum(peer.live for peer in peers), len(peers), [peer.fault for peer in peers if peer.fault]

    def play(self) -> None:
        for line in self._lines.values():
            self.start(line)

    def start(self, line: Line) -> None:
        """Let one publish, from a moment of its own on."""
        for source in line.sources:
            source.due = time.monotonic() + self._dice.random() / 30
            self._order += 1
            heappush(self._queue, (source.due, self._order, source))

    def leave(self, line: Line, goodbye: bool) -> None:
        """One peer goes."""
        self._queue = [waiting for waiting in self._queue if waiting[2] not in line.sources]
        heapify(self._queue)
        del self._lines[line.peer.socket.fileno()]
        self._epoll.unregister(line.peer.socket)
        line.peer.close(goodbye=goodbye)

    def hush(self) -> None:
        self._queue = []

    def begin(self) -> None:
        """A window starts: counters at zero."""
        self._late = []
        for line in self._lines.values():
            line.begin()
            for source in line.sources:
                source.begin()

    def count(self) -> dict[str, Any]:
        """What the window saw; times in milliseconds."""
        lines = list(self._lines.values())
        heard = [one for line in lines for one in line.hears.values() if one.source is not None]
        late = [nanoseconds / 1e6 for one in heard for nanoseconds in one.late]
        shares = {f"p{share}": percentile(late, share / 100) if late else 0.0 for share in (50, 90, 99)}
        return {
            "sent": sum(source.sent for line in lines for source in line.sources),
            "pictures": sum(source.sent for line in lines for source in line.sources if source.kind == "video"),
            "failures": sum(source.failures for line in lines for source in line.sources),
            "delivered": sum(one.delivered() for one in heard),
            "copies": sum(one.copies for one in heard),
            "checked": sum(one.checked for one in heard),
            "wrong": sum(one.wrong for one in heard),
            "untied": sum(one.source is None for line in lines for one in line.hears.values()),
            "keys_asked": sum(line.keys_asked for line in lines),
            "controls": sum(line.controls for line in lines),
            "latency": shares | {"max": max(late, default=0.0)},
            "behind_p99": 1000 * percentile(self._late, 0.99) if self._late else 0.0,
        }

    def close(self) -> None:
        self.hush()
        for line in self._lines.values():
            self._epoll.unregister(line.peer.socket)
            line.peer.close()
        self._lines = {}


class Load:
    """Takes the orders."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def answer(self, words: dict[str, Any]) -> dict[str, Any]:
        engine = self._engine
        match words["ask"]:
            case "offers":
                return {"offers": await engine.do(lambda: engine.offers(words["visits"], words["receiving"]))}
            case "connect":
                await engine.do(lambda: engine.connect(words["answers"]))
                return await self._wait()
            case "subscribe":
                return {"answers": await engine.do(lambda: engine.subscribe(words["offers"]))}
            case "connected":
                return await self._wait()
            case "play" | "hush" | "begin" | "count" as what:
                return await engine.do(getattr(engine, what)) or {}
            case "stop":
                await engine.do(engine.close)
                return {}
        raise ValueError(words["ask"])

    async def _wait(self) -> dict[str, Any]:
        """Until every peer is up. Raises TimeoutError, RuntimeError."""
        async with asyncio.timeout(_PATIENCE):
            while True:
                up, of, faults = await self._engine.do(self._engine.standing)
                if faults:
                    raise RuntimeError(f"a peer failed: {faults[0]}")
                if up == of:
                    return {"up": up}
                await asyncio.sleep(0.02)


def files_wanted() -> None:
    """As many sockets as the system lets one process have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def main(seed: int) -> None:
    files_wanted()
    engine = Engine(await asyncio.to_thread(encode, seed), seed)
    engine.thread.start()
    try:
        await serve(Load(engine).answer)
    finally:
        engine.end()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
