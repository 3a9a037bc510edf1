"""The seam between a visit and its recording."""

from datetime import datetime
from typing import Protocol


class Party(Protocol):
    """Somebody whose leg is recorded."""

    @property
    def participant(self) -> str: ...
    @property
    def role(self) -> str: ...


class ConsentFact(Protocol):
    """That a participant said yes to the text with this SHA-256 (hex) and version."""

    @property
    def participant(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def text_sha256(self) -> str: ...
    @property
    def version(self) -> str: ...


class RecordingListener(Protocol):
    """Told what becomes of a recording; calls come on the event loop and return at once."""

    def first_stored(self, recording: str, participant: str) -> None:
        """That participant's first frame is durable."""
        ...

    def fault(self, recording: str, code: str) -> None:
        """Capture broke off on its own, or (`recorder_too_slow`) goes on with a gap; the visit is untouched."""
        ...

    def sealed(self, recording: str) -> None:
        """It can be played."""
        ...
