"""What workers log, written by the server: its own level, its own allow-list, and which worker it was."""

from collections.abc import Callable
from typing import Final

from signaling.workers.words import Line
from telehealth.log import ALLOWED, Log, get_logger

_LONGEST: Final = 200  # characters of one value
_LEVELS: Final[dict[str, Callable[..., None]]] = {
    "info": Log.info,
    "warning": Log.warning,
    "error": Log.error,
    "critical": Log.critical,
}


def relay(index: int, line: Line) -> None:
    """Write one event of worker `index`."""
    fields = {
        name: value[:_LONGEST] if isinstance(value, str) else value
        for name, value in line.fields.items()
        if name in ALLOWED and name not in ("event", "level", "timestamp", "index")
    }
    log = get_logger(str(fields.pop("logger", "signaling.workers")))
    _LEVELS.get(line.level, Log.info)(log, line.event[:_LONGEST], index=index, **fields)
