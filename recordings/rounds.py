"""Work that comes round again and again until somebody says that it is enough."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from telehealth.log import get_logger

_log = get_logger(__name__)


class Rounds:
    """`end` lets every round finish what it is at and come no more."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()

    async def every(self, seconds: float, work: Callable[[], Awaitable[object]], kind: str) -> None:
        """Do the work now and after each pause; a round that fails is logged and the next one comes."""
        while not self._ended.is_set():
            try:
                await work()
            except Exception:  # noqa: BLE001  # logged; the next round tries again
                _log.error("round.failed", kind=kind, exc_info=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), seconds)

    def end(self) -> None:
        self._ended.set()
