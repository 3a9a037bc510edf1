"""Blocking work that may hang for ever, in a thread that nothing else waits for, the end of the process included."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Any, TypeVar

from telehealth.log import get_logger

log = get_logger(__name__)
_Found = TypeVar("_Found")


class OneThread:
    """Does one piece of work at a time; while one hangs, a further one is refused."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._free = Lock()
        self._followed: Future[Any] | None = None

    def begin(self, work: Callable[[], _Found]) -> Future[_Found]:
        """Its result, to be waited for by a thread. Raises TimeoutError while earlier work hangs."""
        if not self._free.acquire(blocking=False):
            raise TimeoutError("the work before has not come back")
        landed: Future[_Found] = Future()
        landed.set_running_or_notify_cancel()  # from here on nobody takes it back
        try:
            Thread(target=self._do, args=(work, landed), name=self._name, daemon=True).start()
        except BaseException:
            self._free.release()
            raise
        return landed

    async def run(self, work: Callable[[], _Found]) -> _Found:
        """Wait for it; cancelled, the thread goes on, and what it fails with then is logged. Raises TimeoutError."""
        landed = self.begin(work)
        try:
            return await asyncio.wrap_future(landed)
        except asyncio.CancelledError:
            landed.add_done_callback(self._came_late)
            raise

    async def follow(self, work: Callable[[], _Found], patience: float) -> Future[_Found] | None:
        """The work when it is done, None after `patience` seconds: it goes on, and is followed by the next call."""
        pending = self._followed or self.begin(work)
        self._followed = pending
        waiting = asyncio.wrap_future(pending)
        try:
            await asyncio.wait((waiting,), timeout=patience)
        finally:
            waiting.cancel()  # the work itself cannot be taken back
        if not pending.done():
            return None
        self._followed = None
        return pending

    def _do(self, work: Callable[[], _Found], landed: Future[_Found]) -> None:
        try:
            found = work()
        except BaseException as fault:  # noqa: BLE001  # handed to whoever waits
            self._free.release()
            landed.set_exception(fault)
        else:
            self._free.release()
            landed.set_result(found)

    def _came_late(self, landed: Future[_Found]) -> None:
        fault = landed.exception()
        if fault is not None:
            log.warning("audit.late_fault", kind=self._name, code=getattr(fault, "code", type(fault).__name__))
