"""All destinations that the configuration names."""

import os
import socket
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from telehealth.audit.log import AuditLog, log_alarm
from telehealth.clock import Clock
from telehealth.ids import Entropy
from telehealth.outward.cursor import Cursor
from telehealth.outward.ecs import ecs_line
from telehealth.outward.feed import Alarm, Feed, Lag
from telehealth.outward.outlets import FileOutlet, Outlet, StandardOutput, SyslogOutlet
from telehealth.outward.settings import Outward
from telehealth.outward.told import Origin, Render, json_line, syslog_message

Gauge = Callable[[str, str, Callable[[], float]], None]


class Feeds:
    """Each destination for itself: one that is away holds up no other."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._feeds = tuple(feeds)

    def workers(self) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        return [(f"outward {feed.name}", feed.run()) for feed in self._feeds]

    def lags(self) -> list[Lag]:
        return [feed.lag() for feed in self._feeds]

    async def up_to_date(self) -> bool:
        """Whether no destination is late."""
        return not any(lag.alarmed for lag in self.lags())

    async def load(self) -> None:
        """Know how far each is, where they do not run. Raises OSError."""
        for feed in self._feeds:
            await feed.load()

    def find(self, name: str) -> Feed | None:
        return next((feed for feed in self._feeds if feed.name == name), None)

    def measure(self, gauge: Gauge) -> None:
        """Three figures for each destination."""
        for feed in self._feeds:
            name = f"outward_{feed.name}"
            gauge(f"{name}_lag_entries", "Entries the destination has not confirmed", lambda of=feed: of.lag().entries)  # type: ignore[misc]
            gauge(f"{name}_lag_seconds", "Seconds it has lacked one", lambda of=feed: of.lag().seconds)  # type: ignore[misc]
            gauge(f"{name}_alarm", "1 while it is late", lambda of=feed: float(of.lag().alarmed))  # type: ignore[misc]


def feeds_of(
    section: Outward,
    folder: Path,
    audit: AuditLog,
    clock: Clock,
    entropy: Entropy = os.urandom,
    alarm: Alarm = log_alarm,
) -> Feeds:
    """`folder`: where the cursors are kept."""
    log = audit.head().origin
    origin = Origin(log, socket.gethostname(), str(os.getpid()))

    def feed(name: str, outlet: Outlet, render: Render, settle: float = 0.0, overlap: float = 0.0) -> Feed:
        return Feed(
            name,
            audit,
            outlet,
            render,
            Cursor(folder / f"{name}.json", log, overlap),
            clock=clock,
            alarm=alarm,
            entropy=entropy,
            settle_seconds=settle,
            late_seconds=section.late_seconds,
            details=section.details,
        )

    feeds = []
    if section.json_file:
        feeds.append(feed("json", _lines_to(section.json_file), json_line(origin)))
    if section.ecs_file:
        feeds.append(feed("ecs", _lines_to(section.ecs_file), ecs_line(origin)))
    if section.syslog:
        outlet = SyslogOutlet(section.collector)
        settle, overlap = section.syslog_confirm_seconds, section.syslog_resend_seconds
        feeds.append(feed("syslog", outlet, syslog_message(origin), settle, overlap))
    return Feeds(feeds)


def _lines_to(name: str) -> Outlet:
    return StandardOutput() if name == "-" else FileOutlet(Path(name))
