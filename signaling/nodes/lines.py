"""Messages from node to node: sealed, in order, each once, or both sides learn that something was lost.

A message is numbered and sealed when it is posted, waits in a bounded queue of its receiver, and is sent until somebody
listens or it is too old. Whoever hears a number that is not the next, or a sign of life that speaks of more than came,
says `lost`; what hung on the messages in between begins anew. Nothing is kept anywhere else: Redis may forget all.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from signaling.nodes.seal import HELLO, OLDEST, ORDERED, Header, NotSealed, Seal, header_of
from telehealth.clock import Clock
from telehealth.log import get_logger
from telehealth.secret import Secret

log = get_logger(__name__)

MOST_WAITING: Final = 4_000  # packets for one node; further ones are lost there, which it notices
MOST_OCTETS: Final = 32 << 20
HELLO_SECONDS: Final = 0.5
SILENT_SECONDS: Final = 2.5  # without a word: not reachable
AGAIN_SECONDS: Final = 0.05
_LOOK_SECONDS: Final = 0.2  # between looks at who lives


class CarriageAway(Exception):
    """What carries packets cannot be reached now."""


class Carriage(Protocol):
    """Carries packets by the receiver's id: may lose, repeat, delay and mix up all of them."""

    async def send(self, node: str, packet: bytes) -> bool:
        """Whether anybody listens there. Raises CarriageAway within a second."""
        ...

    async def listen(self, node: str, heard: Callable[[bytes], None]) -> None:
        """Hear what is sent to this node, until cancelled; comes back by itself after every fault."""
        ...


class Node(Protocol):
    """Of `telehealth.nodes.registry.Registry`."""

    @property
    def id(self) -> str: ...


class Nodes(Protocol):
    """The part of `telehealth.nodes.registry.Registry` used here."""

    @property
    def id(self) -> str: ...
    @property
    def others(self) -> Sequence[Node]: ...
    def time(self) -> float: ...


@dataclass(slots=True, eq=False)
class _Line:
    """Both directions between this node and another. `sent`: the last number that left, or never will."""

    node: str
    out: dict[int, Seal]
    into: dict[int, Seal]
    posted: int = 0
    sent: int = 0
    heard: int = 0
    hellos: int = 0
    hellos_heard: int = 0
    hello_at: float = float("-inf")
    heard_at: float = float("-inf")
    octets: int = 0
    waiting: deque[tuple[int, bytes, float]] = field(default_factory=deque)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    writer: asyncio.Task[None] | None = None


class Lines:
    """`heard(node, message)` and `lost(node)` are called on the loop and wait for nothing. `run` is the one task."""

    def __init__(
        self,
        nodes: Nodes,
        carriage: Carriage,
        secret: Secret[bytes],
        clock: Clock,
        heard: Callable[[str, Mapping[str, Any]], None],
        lost: Callable[[str], None],
    ) -> None:
        self._nodes = nodes
        self._carriage = carriage
        self._secret = secret
        self._clock = clock
        self._heard = heard
        self._lost = lost
        self._lines: dict[str, _Line] = {}
        self._over: set[asyncio.Task[None]] = set()  # writers to nodes that are gone, ending
        self.figures = {"sent": 0, "heard": 0, "refused": 0, "lost": 0}

    def post(self, node: str, message: Mapping[str, Any]) -> None:
        """Send it as soon as possible, after what was posted before; to a node that does not live, not at all."""
        line = self._line(node)
        if line is None:
            return
        if len(line.waiting) >= MOST_WAITING or line.octets >= MOST_OCTETS:
            line.posted += 1  # its number is missing there
            return
        try:
            packet = line.out[ORDERED].close(line.posted + 1, self._nodes.time(), message)
        except ValueError:  # whoever posted it waits in vain; nobody else does
            log.error("node.message_too_large", kind=str(message.get("kind")))
            return
        line.posted += 1
        line.waiting.append((line.posted, packet, self._clock.steady()))
        line.octets += len(packet)
        line.woken.set()

    def reachable(self, node: str) -> bool:
        """Whether it was heard lately."""
        line = self._lines.get(node)
        return line is not None and self._clock.steady() - line.heard_at < SILENT_SECONDS

    def all_reachable(self) -> bool:
        """Whether every living node was heard lately."""
        return all(self.reachable(other.id) for other in self._nodes.others)

    async def run(self) -> None:
        """Listen, and keep a writer for every living node, until cancelled."""
        listening = asyncio.create_task(self._carriage.listen(self._nodes.id, self._take), name="node listener")
        try:
            while not listening.done():
                self._keep()
                await asyncio.wait({listening, *self._writers()}, timeout=_LOOK_SECONDS)
            await listening
        finally:
            await _ended({listening, *self._writers()})

    async def flush(self, seconds: float = 0.5) -> None:
        """Give what waits for reachable nodes a moment to leave."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(one.waiting and self.reachable(one.node) for one in self._lines.values()):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)  # at the end of the process alone

    def _writers(self) -> set[asyncio.Task[None]]:
        mine = {line.writer for line in self._lines.values() if line.writer is not None and not line.writer.done()}
        return mine | self._over

    def _keep(self) -> None:
        living = {other.id for other in self._nodes.others}
        for node in [node for node in self._lines if node not in living]:
            over = self._lines.pop(node)
            if over.writer is not None:
                over.writer.cancel()
                self._over.add(over.writer)
        self._over = {task for task in self._over if not task.done()}
        for line in filter(None, map(self._line, living)):
            if line.writer is None:
                line.writer = asyncio.create_task(self._write(line), name="node writer")
            elif line.writer.done():
                line.writer.result()  # raises what it died of: a bug stops the process, it does not rot

    def _line(self, node: str) -> _Line | None:
        if not any(other.id == node for other in self._nodes.others):
            return None  # dead, or not known yet: nothing is said to it, and nothing it says is heard
        line = self._lines.get(node)
        if line is None:
            mine, both = self._nodes.id, (ORDERED, HELLO)
            line = self._lines[node] = _Line(
                node,
                out={stream: Seal(self._secret, mine, node, stream) for stream in both},
                into={stream: Seal(self._secret, node, mine, stream) for stream in both},
            )
        return line

    # Sending.

    async def _write(self, line: _Line) -> None:
        while True:
            now = self._clock.steady()
            if line.waiting:
                await self._push(line, now)
            elif now - line.hello_at >= HELLO_SECONDS:
                line.sent = line.posted  # what is neither waiting nor sent is lost, and they must know
                line.hello_at = now
                await self._hello(line)
            else:
                line.woken.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(HELLO_SECONDS):
                        await line.woken.wait()

    async def _push(self, line: _Line, now: float) -> None:
        number, packet, born = line.waiting[0]
        if now - born < OLDEST and not await self._sent(line, packet):
            await asyncio.sleep(AGAIN_SECONDS)
            return
        line.waiting.popleft()
        line.octets -= len(packet)
        line.sent = number
        self.figures["sent"] += 1

    async def _hello(self, line: _Line) -> None:
        line.hellos += 1
        packet = line.out[HELLO].close(line.hellos, self._nodes.time(), {"sent": line.sent})
        await self._sent(line, packet)

    async def _sent(self, line: _Line, packet: bytes) -> bool:
        try:
            return await self._carriage.send(line.node, packet)
        except CarriageAway:
            return False

    # Hearing.

    def _take(self, packet: bytes) -> None:
        try:
            header = header_of(packet)
            line = self._line(header.sender)
            if line is None:
                raise NotSealed
            if header.stream == HELLO:
                self._take_hello(line, header, packet)
            elif header.sequence > line.heard:  # what is not new was sent again
                self._take_ordered(line, header, packet)
        except NotSealed:
            self.figures["refused"] += 1

    def _take_hello(self, line: _Line, header: Header, packet: bytes) -> None:
        if header.sequence <= line.hellos_heard:
            raise NotSealed
        hello = line.into[HELLO].open(packet, header.sequence, self._nodes.time())
        line.hellos_heard = header.sequence
        line.heard_at = self._clock.steady()
        if hello["sent"] > line.heard:
            line.heard = hello["sent"]
            self._missed(line)

    def _take_ordered(self, line: _Line, header: Header, packet: bytes) -> None:
        message = line.into[ORDERED].open(packet, header.sequence, self._nodes.time())
        missed = header.sequence > line.heard + 1
        line.heard = header.sequence
        line.heard_at = self._clock.steady()
        self.figures["heard"] += 1
        if missed:
            self._missed(line)
        try:
            self._heard(line.node, message)
        except Exception:  # the boundary: another release may say what this one cannot read
            log.error("node.message_failed", kind=str(message.get("kind"))[:16], exc_info=True)

    def _missed(self, line: _Line) -> None:
        self.figures["lost"] += 1
        log.warning("node.messages_lost", code="messages_lost")
        self._lost(line.node)


async def _ended(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel them and wait; a library that swallows a cancellation is told again."""
    while tasks:
        for task in tasks:
            task.cancel()
        done, tasks = await asyncio.wait(tasks, timeout=_LOOK_SECONDS)
        await asyncio.gather(*done, return_exceptions=True)
