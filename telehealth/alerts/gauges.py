"""The machine's own state: what is bad for long enough, and codes that the log's watch rang."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from telehealth.alerts.judging import Finding
from telehealth.alerts.rules import Rule
from telehealth.audit.log import log_alarm
from telehealth.log import get_logger

GAUGE_SECONDS = 5.0
Gauge = Callable[[], Awaitable[bool]]  # whether all is well; what raises is not well
log = get_logger(__name__)


class Alarms:
    """Where the log's own watch rings. `rung` counts; called from any thread."""

    def __init__(self) -> None:
        self.rung: Counter[str] = Counter()

    def __call__(self, code: str) -> None:
        log_alarm(code)
        self.rung[code] += 1


class Gauges:
    """Reads every gauge that some rule names. Remembers since when each is bad; a restart begins anew."""

    def __init__(self, rules: Sequence[Rule], gauges: Mapping[str, Gauge], alarms: Alarms) -> None:
        self._gauged = [rule for rule in rules if rule.kind == "gauge" and rule.gauge in gauges]
        self._alarmed = [rule for rule in rules if rule.kind == "alarm"]
        self._gauges = gauges
        self._alarms = alarms
        self._heard: Counter[str] = Counter()
        self._bad_since: dict[str, datetime] = {}
        self._told: set[str] = set()  # told once for as long as it lasts; reminders are the alert's own

    async def read(self, now: datetime) -> list[Finding]:
        """What is wrong now."""
        well = await asyncio.gather(*(self._well(rule.gauge) for rule in self._gauged))
        return [*self._bad(now, well), *self._rung(now)]

    @property
    def over(self) -> list[str]:
        """Rules whose gauge is well."""
        return [rule.name for rule in self._gauged if rule.name not in self._bad_since]

    def _bad(self, now: datetime, well: Sequence[bool]) -> list[Finding]:
        found: list[Finding] = []
        for rule, good in zip(self._gauged, well, strict=True):
            if good:
                self._bad_since.pop(rule.name, None)
                self._told.discard(rule.name)
                continue
            since = self._bad_since.setdefault(rule.name, now)
            if now - since >= timedelta(minutes=rule.minutes) and rule.name not in self._told:
                self._told.add(rule.name)
                minutes = int((now - since) / timedelta(minutes=1))
                found.append(Finding(rule, "server", now, facts={"gauge": rule.gauge, "minutes": minutes}))
        return found

    def _rung(self, now: datetime) -> list[Finding]:
        rung = Counter(self._alarms.rung)
        new, self._heard = rung - self._heard, rung
        return [
            Finding(rule, code, now, facts={"code": code, "count": count})
            for code, count in new.items()
            for rule in self._alarmed
            if code in rule.codes
        ]

    async def _well(self, name: str) -> bool:
        try:
            async with asyncio.timeout(GAUGE_SECONDS):
                return await self._gauges[name]()
        except Exception:  # noqa: BLE001  # a gauge that cannot be read is not well: that is the answer
            return False
