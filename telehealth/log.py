"""Structured logs whose fields are on an allow-list: what is not named here is not written."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

ALLOWED = frozenset(
    {
        "event",
        "level",
        "timestamp",
        "logger",
        "code",
        "visit",
        "recording",
        "participant",
        "node",
        "user",
        "role",
        "link",
        "file",
        "leg",
        "action",
        "outcome",
        "seconds",
        "bytes",
        "count",
        "port",
        "host",
        "path_kind",
        "status",
        "method",
        "route",
        "attempts",
        "kind",
        "state",
        "version",
        "error",
        "exception_type",
        "where",
        "bucket",
        "index",
        "channel",
        "export",
        "copy",
    }
)


def _keep_allowed(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    dropped = [name for name in fields if name not in ALLOWED]
    for name in dropped:
        del fields[name]
    return fields


def _name_exception(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace exception objects by their type and place; messages may carry data from outside."""
    info = fields.pop("exc_info", None)
    if info:
        error = sys.exc_info()[1] if info is True else (info[1] if isinstance(info, tuple) else info)
        if error is not None:
            fields["exception_type"] = type(error).__name__
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            if trace is not None:
                fields["where"] = f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"
    return fields


def configure(stream: TextIO | None = None, level: str = "INFO") -> None:
    """Send all logs as JSON lines to `stream` (stderr by default); other libraries' warnings pass the same list."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _name_exception,
            _keep_allowed,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.WriteLoggerFactory(file=stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    bridge = _Bridge()
    logging.root.handlers[:] = [bridge]
    logging.root.setLevel(logging.WARNING)


class _Bridge(logging.Handler):
    """Libraries' records: only where they came from and how grave, for their messages may carry anything."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        structlog.get_logger().log(
            record.levelno,
            "library",
            logger=record.name,
            where=f"{record.module}:{record.lineno}",
            exception_type=type(error).__name__ if error else None,
        )


class Log:
    """Writes events of one module; looks the configuration up at each call, so that importing early is harmless."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def info(self, event: str, **fields: object) -> None:
        structlog.get_logger().info(event, **{"logger": self._name, **fields})

    def warning(self, event: str, **fields: object) -> None:
        structlog.get_logger().warning(event, **{"logger": self._name, **fields})

    def error(self, event: str, **fields: object) -> None:
        structlog.get_logger().error(event, **{"logger": self._name, **fields})

    def critical(self, event: str, **fields: object) -> None:
        """Something a person has to look at now."""
        structlog.get_logger().critical(event, **{"logger": self._name, **fields})

    def exception(self, event: str, **fields: object) -> None:
        """Inside an `except` block: with the exception's type and place, never its message."""
        structlog.get_logger().error(event, **{"logger": self._name, "exc_info": True, **fields})


def get_logger(name: str) -> Log:
    """A logger whose events are dotted names: `log.info("visit.opened", visit=visit_id)`."""
    return Log(name)
