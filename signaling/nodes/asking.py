"""Asking another node and waiting for its answer, not for long; and the way back to a socket that it holds."""

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from signaling.nodes.lines import Lines
from telehealth.errors import Unavailable

PATIENCE: Final = 1.2  # seconds for an answer of another node


class NodeAway(Unavailable):
    """The node that runs the visit does not answer."""

    message = "The server that runs this visit cannot be reached now. Please try again in a moment."


@dataclass(slots=True)
class _Asked:
    node: str
    answer: asyncio.Future[dict[str, Any]]


class Asking:
    """Bounded by whoever asks: each socket has a bounded number of events without an answer."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._numbers = itertools.count(1)
        self._asked: dict[int, _Asked] = {}

    async def ask(self, node: str, message: Mapping[str, Any], patience: float = PATIENCE) -> dict[str, Any]:
        """The answer. Raises NodeAway, at once for a node that is not heard."""
        if not self._lines.reachable(node):
            raise NodeAway(retry_after=1.0)
        number = next(self._numbers)
        asked = self._asked[number] = _Asked(node, asyncio.get_running_loop().create_future())
        self._lines.post(node, {**message, "number": number})
        try:
            async with asyncio.timeout(patience):
                return await asked.answer
        except TimeoutError:
            raise NodeAway(retry_after=1.0) from None
        finally:
            del self._asked[number]

    def answered(self, node: str, message: Mapping[str, Any]) -> None:
        """An answer came; one that nobody waits for any more is dropped."""
        asked = self._asked.get(message["number"])
        if asked is not None and asked.node == node and not asked.answer.done():
            asked.answer.set_result(message["answer"])

    def fail(self, node: str) -> None:
        """The node's answers will not come."""
        for asked in tuple(self._asked.values()):
            if asked.node == node and not asked.answer.done():
                asked.answer.set_exception(NodeAway(retry_after=1.0))


@dataclass(slots=True, eq=False)
class Outward:
    """The way of one socket from home to its edge; implements `signaling.presence.Carrier`."""

    lines: Lines
    node: str
    sid: str
    over: bool = False

    async def carry(self, _sid: str, event: str, payload: Mapping[str, Any]) -> None:
        self.lines.post(self.node, {"kind": "push", "sid": self.sid, "event": event, "payload": payload})

    async def hang_up(self, _sid: str, *, for_good: bool) -> None:
        self.over = True
        self.lines.post(self.node, {"kind": "close", "sid": self.sid, "for_good": for_good})

    def abort(self) -> None:
        """Drop it without a word; the edge tells when it is gone."""
        if not self.over:
            self.over = True
            self.lines.post(self.node, {"kind": "abort", "sid": self.sid})
