"""Turns at work that is dear: a few at once, each source in its own queue, the queues served one after the other."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from telehealth.identity.faults import SlowDown

RETRY_SECONDS = 2.0


class FairTurns:
    """`at_once` work; `waiting` wait, at most `each` of one source. Full: who asks most has to come again."""

    def __init__(self, at_once: int, waiting: int, each: int) -> None:
        self._free = at_once
        self._waiting = waiting
        self._each = each
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, source: str) -> AsyncIterator[None]:
        """Work in here. Raises SlowDown where there is no room to wait."""
        await self._begin(source)
        try:
            yield
        finally:
            self._pass_on()

    async def _begin(self, source: str) -> None:
        if self._free > 0:
            self._free -= 1
            return
        called = self._queue_up(source)
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled() and called.exception() is None:
                self._pass_on()  # it was this one's turn already
            else:
                self._leave(source, called)
            raise

    def _queue_up(self, source: str) -> asyncio.Future[None]:
        queue = self._queues.setdefault(source, deque())
        if len(queue) >= self._each or (self._count() >= self._waiting and not self._make_room(source)):
            if not queue:
                del self._queues[source]
            raise SlowDown(retry_after=RETRY_SECONDS)
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(called)
        return called

    def _make_room(self, source: str) -> bool:
        """Send the last of the longest queue away, unless this source would itself be as long."""
        longest = max(self._queues, key=lambda name: len(self._queues[name]))
        if len(self._queues[longest]) <= len(self._queues[source]) + 1:
            return False
        self._queues[longest].pop().set_exception(SlowDown(retry_after=RETRY_SECONDS))
        return True

    def _leave(self, source: str, called: asyncio.Future[None]) -> None:
        queue = self._queues.get(source)
        if queue is not None and called in queue:
            queue.remove(called)
            if not queue:
                del self._queues[source]

    def _pass_on(self) -> None:
        """The next source's first; a source that was served goes to the end."""
        while self._queues:
            source, queue = self._queues.popitem(last=False)
            called = queue.popleft()
            if queue:
                self._queues[source] = queue
            if not called.done():
                called.set_result(None)
                return
        self._free += 1

    def _count(self) -> int:
        return sum(map(len, self._queues.values()))
