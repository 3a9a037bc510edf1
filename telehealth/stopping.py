"""What signals do to a running server: SIGINT stops it, SIGTERM drains it first where that is configured."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from telehealth.draining import Draining
from telehealth.log import get_logger

_LOOK = 0.2  # seconds between two looks whether a visit is still under way

log = get_logger(__name__)


class Stop:
    """`asked` is set when the server is to stop now."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._draining: Draining | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear SIGTERM and SIGINT inside."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.terminate)
        loop.add_signal_handler(signal.SIGINT, self.asked.set)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def terminate(self) -> None:
        """Drain, where that was arranged and has not begun; else stop."""
        if self._draining is None or self._draining.begun:
            self.asked.set()
        else:
            self._draining.begin()

    def drains(self, draining: Draining) -> None:
        """From now on the first SIGTERM begins `draining` and no more."""
        self._draining = draining

    async def when_drained(self, draining: Draining, under_way: Callable[[], int], seconds: float) -> None:
        """Never ends; once draining has begun, asks to stop when no visit is under way, or after `seconds`."""
        await draining.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while under_way():  # noqa: ASYNC110  # visits end in many ways, and none of them is in a hurry here
                    await asyncio.sleep(_LOOK)
        log.info("server.drained", count=under_way())
        self.asked.set()
        await asyncio.Event().wait()
