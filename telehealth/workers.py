"""The long-running tasks of the server: each has a name, and none dies unnoticed."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from telehealth.log import get_logger

log = get_logger(__name__)


class WorkerDied(Exception):
    """A task that should run for ever ended; the process must not go on without it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Workers:
    """Owns the tasks given to it and waits for them in `close`."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any], str] = {}

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        """Run `work` until `close`; ended earlier, however, it is dead."""
        self._tasks[asyncio.create_task(work, name=name)] = name

    async def watch(self, stop: asyncio.Event) -> None:
        """Return when `stop` is set. Raises WorkerDied when a task ends before, after logging how."""
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            done, _ = await asyncio.wait((stopping, *self._tasks), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            await asyncio.wait((stopping,))
        dead = [task for task in done if task in self._tasks]
        for task in dead:
            error = None if task.cancelled() else task.exception()
            log.critical("server.worker_died", code="worker_died", kind=self._tasks[task], exc_info=error)
        if dead:
            raise WorkerDied(self._tasks[dead[0]])

    async def close(self) -> None:
        """Cancel every task and wait until it has ended."""
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception):
                log.error("server.worker_failed", code="worker_failed", exc_info=result)
        self._tasks.clear()
