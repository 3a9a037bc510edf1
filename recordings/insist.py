"""A step that must be done in the end, whatever fails meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from telehealth.errors import Refusal
from telehealth.log import get_logger

_log = get_logger(__name__)
_RETRY_SECONDS = 1.0


async def insist(closing: asyncio.Event, what: str, recording: str, step: Callable[[], Awaitable[None]]) -> None:
    """Repeat a step until it succeeds, failures logged as `what`; once closing try no more: a start does it then."""
    while True:
        try:
            await step()
            return
        except Exception as fault:  # noqa: BLE001  # whatever it is, the step must be done; logged
            code = fault.code if isinstance(fault, Refusal) else type(fault).__name__
            _log.error(what, recording=recording, code=code)
        if closing.is_set():
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(closing.wait(), _RETRY_SECONDS)
