"""Work that outlives the event that caused it: every task and timer has this one owner."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from telehealth.log import get_logger

log = get_logger(__name__)


class Timer:
    """A call later on, unless cancelled."""

    __slots__ = ("_handle",)

    def __init__(self, handle: asyncio.TimerHandle) -> None:
        self._handle = handle

    def cancel(self) -> None:
        self._handle.cancel()


class Chores:
    """Starts work and waits for it at the end. A failure is logged and alarmed by its code; it stops no other work.

    Bounded by its callers: each person and each recording has at most a handful of chores at a time.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._closed = False

    def start(self, work: Coroutine[Any, Any, object], name: str) -> None:
        """Run `work` soon; after `close` nothing starts any more."""
        if self._closed:
            work.close()
            return
        task = asyncio.create_task(_logged(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def later(self, seconds: float, act: Callable[[], None]) -> Timer:
        """Call `act` on the loop in so many seconds."""

        def ring() -> None:
            self._timers.discard(handle)
            if not self._closed:
                act()

        handle = asyncio.get_running_loop().call_later(seconds, ring)
        self._timers = {timer for timer in self._timers if not timer.cancelled()}
        self._timers.add(handle)
        return Timer(handle)

    async def settle(self) -> None:
        """Wait until all that was started has ended, what it starts in turn included."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def close(self, patience: float = 10.0) -> None:
        """Cancel the timers, give running work `patience` seconds, then cancel it."""
        for timer in self._timers:
            timer.cancel()
        try:
            async with asyncio.timeout(patience):
                await self.settle()
        except TimeoutError:
            log.error("chores.cancelled", count=len(self._tasks))
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _logged(work: Coroutine[Any, Any, object], name: str) -> None:
    try:
        await work
    except Exception:  # the boundary: one chore's failure is logged and stops no other
        log.error("chore.failed", action=name.partition(" ")[0], exc_info=True)
