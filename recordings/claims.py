"""Who works on a recording right now: one of capture, sealing, deletion."""

from collections.abc import Iterator
from contextlib import contextmanager

from telehealth.errors import WrongState


class Claims:
    """One worker at a time for each recording, within this process."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def __contains__(self, recording: str) -> bool:
        return recording in self._taken

    def take(self, recording: str) -> None:
        """Raises WrongState when another has it."""
        if recording in self._taken:
            raise WrongState
        self._taken.add(recording)

    def give_back(self, recording: str) -> None:
        self._taken.discard(recording)

    @contextmanager
    def having(self, recording: str) -> Iterator[None]:
        """Take it for the length of a block. Raises WrongState when another has it."""
        self.take(recording)
        try:
            yield
        finally:
            self.give_back(recording)
