"""The server on a database whose n-th statement or commit fails, before or after it was done, as a test arms it.

The disk below is failed by the layer of `disk.c`; this is for what drivers raise.
"""

import errno
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.engine.default import DefaultDialect

from telehealth.__main__ import main
from tests.faults.disk import Control, Sort

_WORDS = {errno.ENOSPC: "database or disk is full", errno.EIO: "disk I/O error"}


def failing(real: Callable[..., Any], control: Control) -> Callable[..., Any]:
    """The same, until it is this call's turn to fail."""

    def call(*args: Any) -> Any:
        fail(control, after=False)
        answer = real(*args)
        fail(control, after=True)
        return answer

    return call


def fail(control: Control, *, after: bool) -> None:
    """Raises OperationalError as the driver does when the disk lets it down."""
    if error := control.fails(Sort.DATABASE, after=after):
        control.note_fired(time.monotonic())
        raise sqlite3.OperationalError(_WORDS.get(error, os.strerror(error)))


if __name__ == "__main__":
    shared = Control(Path(os.environ["DISK_CONTROL"]))
    for name in ("do_execute", "do_commit"):
        setattr(DefaultDialect, name, failing(getattr(DefaultDialect, name), shared))
    main()
