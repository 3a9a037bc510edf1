"""Work that a cancelled caller does not tear apart."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end even when the caller is cancelled meanwhile; the cancellation goes on afterwards.

    A thread that writes a file cannot be stopped; giving a lock back before it ended would let two writers meet.
    """
    task = asyncio.ensure_future(work)
    stopped: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as stop:
            stopped = stop
    if stopped is not None:
        raise stopped from (None if task.cancelled() else task.exception())
    return task.result()
