"""What a long command says while it runs: to the terminal, or through the control socket to whoever asked."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Tell = Callable[[str], None]


def _terminal(text: str) -> None:
    """One line that is written over, for people who wait at a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


_teller: ContextVar[Tell] = ContextVar("telehealth_progress", default=_terminal)


def tell(text: str) -> None:
    """Say how far it is. May be called from any thread and as often as wished; only the newest counts."""
    _teller.get()(text)


@contextmanager
def telling(to: Tell) -> Iterator[None]:
    """Commands inside tell `to` instead."""
    before = _teller.set(to)
    try:
        yield
    finally:
        _teller.reset(before)
