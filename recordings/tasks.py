"""Background work with an owner who waits for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from telehealth.log import get_logger

_log = get_logger(__name__)


class Tasks:
    """Holds tasks until they end; what one of them dies of is logged and counted as `failed`."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self.failed = 0

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def settle(self) -> None:
        """Wait until nothing runs any more, what was started meanwhile included."""
        while self._running:
            await asyncio.wait(set(self._running))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            self.failed += 1
            _log.error("recordings.task_failed", exc_info=fault)
