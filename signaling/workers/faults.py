"""Why a worker's leg or the whole worker is not to be had."""

import errno
from typing import ClassVar, Final

from telehealth.errors import Reason, Refusal

LOST: Final = "worker_lost"  # how the legs of a worker end that ended


class MediaAway(Refusal):
    """No worker is there to take a leg; one is being started."""

    code: ClassVar[str] = "media_away"
    reason: ClassVar[Reason] = Reason.UNAVAILABLE
    message: ClassVar[str] = "The media part of the server is being restarted. Please try again in a moment."

    def __init__(self) -> None:
        super().__init__(retry_after=1.0)


class WorkerFailed(OSError):
    """A worker did not come up, and not because of its port."""

    def __init__(self) -> None:
        super().__init__(errno.ECHILD, "A media worker did not start")
