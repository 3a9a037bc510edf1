"""The one place that says whether this server is going: running visits finish, nothing new begins."""

import asyncio
from typing import ClassVar

from telehealth.errors import Reason, Refusal
from telehealth.log import get_logger

log = get_logger(__name__)


class ServerDraining(Refusal):
    """This server is about to stop and takes no visit that is not running already."""

    code: ClassVar[str] = "draining"
    reason: ClassVar[Reason] = Reason.UNAVAILABLE
    message: ClassVar[str] = "The service is being restarted. Please try again in a moment."


class Draining:
    """Begun once, never taken back; `telehealth.base.Base.draining` is the process's only one."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()

    @property
    def begun(self) -> bool:
        """Whether nothing new may begin here."""
        return self._begun.is_set()

    def begin(self) -> None:
        """From now on nothing new begins; a second call does nothing."""
        if not self.begun:
            self._begun.set()
            log.warning("server.draining", code=ServerDraining.code)

    async def wait(self) -> None:
        """Return when it has begun."""
        await self._begun.wait()

    def refuse_new(self) -> None:
        """Raises ServerDraining once it has begun."""
        if self.begun:
            raise ServerDraining(retry_after=5.0)
