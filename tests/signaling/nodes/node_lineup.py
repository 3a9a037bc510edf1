"""Nodes that know one another, over a carriage that can lose, repeat and delay, or over a real one."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from signaling.nodes.lines import CarriageAway, Lines
from telehealth.clock import SystemClock
from telehealth.ids import Kind, new_id
from telehealth.secret import Secret

SECRET = Secret(b"n" * 32)


class Hub:
    """Carries packets inside one process; `fate` says what becomes of each: how many times it arrives."""

    def __init__(self) -> None:
        self.fate: Callable[[bytes], int] = lambda _packet: 1
        self.away = False
        self.seen: list[tuple[str, bytes]] = []
        self._hearing: dict[str, Callable[[bytes], None]] = {}

    async def send(self, node: str, packet: bytes) -> bool:
        if self.away:
            raise CarriageAway
        self.seen.append((node, packet))
        if node not in self._hearing:
            return False
        for _ in range(self.fate(packet)):
            self._hearing[node](packet)
        return True

    async def listen(self, node: str, heard: Callable[[bytes], None]) -> None:
        self._hearing[node] = heard
        await asyncio.Event().wait()


@dataclass
class Known:
    id: str
    draining: bool = False


@dataclass
class Neighbours:
    """Who lives, as the registry would say."""

    id: str
    others: list[Known] = field(default_factory=list)
    shift: float = 0.0

    def time(self) -> float:
        return SystemClock().steady() + self.shift


@dataclass
class End:
    """One node's end of the lines."""

    nodes: Neighbours
    lines: Lines
    heard: list[Any]
    lost: list[str]

    async def hears(self, count: int, seconds: float = 10) -> list[Any]:
        async with asyncio.timeout(seconds):
            while len(self.heard) < count:
                await asyncio.sleep(0.005)
        return self.heard

    async def loses(self, seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while not self.lost:
                await asyncio.sleep(0.005)


class Lineup:
    """Nodes that know one another, over one carriage."""

    def __init__(self, carriage: Callable[[], Any], stack: AsyncExitStack) -> None:
        self._carriage, self._stack = carriage, stack
        self.ends: list[End] = []

    async def two(self) -> tuple[End, End]:
        first, second = self.end(), self.end()
        self.meet()
        await self.met(first, second)
        return first, second

    def end(self) -> End:
        nodes, heard, lost = Neighbours(new_id(Kind.NODE)), list[Any](), list[str]()

        def hear(_node: str, message: Mapping[str, Any]) -> None:
            heard.append(message["said"])

        lines = Lines(nodes, self._carriage(), SECRET, SystemClock(), hear, lost.append)
        end = End(nodes, lines, heard, lost)
        self.ends.append(end)
        running = asyncio.create_task(lines.run())
        self._stack.push_async_callback(_ended, running)
        return end

    def meet(self) -> None:
        for end in self.ends:
            end.nodes.others = [Known(other.nodes.id) for other in self.ends if other is not end]

    async def met(self, *ends: End) -> None:
        async with asyncio.timeout(10):
            while not all(end.lines.all_reachable() for end in ends):
                await asyncio.sleep(0.005)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
