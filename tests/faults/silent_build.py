"""A server wrong on purpose: a recording that broke off tells nobody."""

from recordings.recorder import Recorder
from telehealth.__main__ import main


def say_nothing(self: Recorder, _recording: str, _participant: str | None, _fault: object) -> None:
    """As if nothing had happened."""


if __name__ == "__main__":
    setattr(Recorder, "_faulted", say_nothing)  # noqa: B010  # a method replaced on purpose
    main()
