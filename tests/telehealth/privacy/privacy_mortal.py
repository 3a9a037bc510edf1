"""A clock that is stepped, and a process that dies at the n-th entry or transaction."""

from datetime import UTC, datetime
from typing import Any

from telehealth.audit.entry import Entry
from telehealth.audit.log import AuditLog
from telehealth.store.engine import Store

NOW = datetime(2031, 5, 6, 9, 0, tzinfo=UTC)


class SteppedClock:
    def __init__(self) -> None:
        self.moment = NOW

    def now(self) -> datetime:
        return self.moment

    def steady(self) -> float:
        return (self.moment - NOW).total_seconds()


class Killed(BaseException):
    """The process is gone."""


class Mortal:
    """The real log or store; the n-th entry or transaction kills, before or after it is durable."""

    def __init__(self, log: AuditLog, store: Store) -> None:
        self.log, self.store = log, store
        self.at, self.after, self.done = -1, False, 0

    def _tick(self, after: bool) -> None:
        self.done += not after
        if self.done == self.at and after is self.after:
            raise Killed

    async def enter(self, entry: Entry) -> int:
        self._tick(False)
        index = await self.log.enter(entry)
        self._tick(True)
        return index

    def act(self, entry: Entry) -> Any:
        return self.log.act(entry)

    def begin(self) -> Any:
        return _Deadly(self)

    def read(self) -> Any:
        return self.store.read()

    async def checkpoint(self) -> None:
        await self.store.checkpoint()


class _Deadly:
    def __init__(self, mortal: Mortal) -> None:
        self._mortal, self._inner = mortal, mortal.store.begin()

    async def __aenter__(self) -> Any:
        self._mortal._tick(False)
        return await self._inner.__aenter__()

    async def __aexit__(self, *how: Any) -> None:
        await self._inner.__aexit__(*how)
        self._mortal._tick(True)
