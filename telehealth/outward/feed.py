"""Carries entries from the durable log to one destination, in order, at least once, each marked by its index.

The log is the spool: nothing is queued here but one batch, and a cursor on disk says how far the destination has come.
A destination that is away for a day costs a cursor that stands still; nobody waits for it.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from telehealth.audit.faults import DetailBroken
from telehealth.audit.leaf import Stored
from telehealth.audit.log import AuditLog
from telehealth.audit.one_thread import OneThread
from telehealth.clock import Clock
from telehealth.errors import Refusal
from telehealth.ids import Entropy
from telehealth.log import get_logger
from telehealth.outward.cursor import Cursor
from telehealth.outward.lateness import Lateness
from telehealth.outward.outlets import Outlet
from telehealth.outward.told import Render

BATCH = 500
MOST_OCTETS = 256 * 1024  # of one batch; at least one entry goes
MOST_UNSETTLED = 20_000  # entries, after which a confirmation is asked for before its time
LONGEST_PAUSE = 60.0  # seconds between two tries
PATIENCE = 60.0  # seconds for one step of a destination; work that hangs longer is left to its thread
_Found = TypeVar("_Found")
Alarm = Callable[[str], None]
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a destination is behind. `seconds`: since it has lacked an entry; `fault`: why, or empty."""

    name: str
    entries: int
    seconds: float
    sent: int
    fault: str
    alarmed: bool


class Feed:
    """One destination; one task runs `run`. `settle_seconds`: how long what was given may stand unconfirmed."""

    def __init__(
        self,
        name: str,
        audit: AuditLog,
        outlet: Outlet,
        render: Render,
        cursor: Cursor,
        *,
        clock: Clock,
        alarm: Alarm,
        entropy: Entropy,
        settle_seconds: float = 0.0,
        late_seconds: float = 60.0,
        details: bool = False,
        every: float = 0.5,
        patience: float = PATIENCE,
    ) -> None:
        self.name = name
        self._audit = audit
        self._outlet = outlet
        self._render = render
        self._cursor = cursor
        self._clock = clock
        self._alarm = alarm
        self._entropy = entropy
        self._settle_seconds = settle_seconds
        self._late_seconds = late_seconds
        self._details = details
        self._every = every
        self._patience = patience
        self._thread = OneThread(f"outward {name}")
        self._given: int | None = None  # first entry not given; None: not known, begin at the cursor
        self._wanted: int | None = None  # where somebody asked to begin again
        self._leaf = ""  # hash of the entry before it
        self._unsettled_since: float | None = None  # steady time of the first entry that was given and not confirmed
        self._lateness = Lateness()
        self._tries = 0
        self._fault = ""
        self._alarmed = False
        self._running = False

    def lag(self) -> Lag:
        """What is not confirmed yet."""
        size, reached = self._audit.head().size, self._cursor.mark.next
        seconds = self._lateness.seconds(reached, self._clock.steady())
        return Lag(self.name, max(0, size - reached), seconds, reached, self._fault, self._alarmed)

    async def run(self) -> None:
        """Carry until cancelled."""
        self._running = True
        try:
            while True:
                more = await self.step()
                if not more:
                    await asyncio.sleep(self.pause())
        finally:
            self._running = False
            await self._end()

    async def _end(self) -> None:
        """Close what is open; work that hangs longer than a second goes with the process."""
        for _ in range(100):
            with suppress(TimeoutError):
                self._thread.begin(self._outlet.drop)
                return
            await asyncio.sleep(0.01)

    def pause(self) -> float:
        """Seconds until the next step: short, or after failures growing and with jitter."""
        if not self._tries:
            return self._every
        longest = min(LONGEST_PAUSE, self._every * 2.0 ** min(self._tries, 16))
        return longest * (0.5 + self._entropy(1)[0] / 512)

    async def step(self) -> bool:
        """One batch, or a look at the receiver; whether there is more at once. Faults become lag, never exceptions."""
        self._lateness.saw(self._audit.head().size, self._clock.steady())
        try:
            if self._given is None or self._wanted is not None:
                await self._begin()
            await self._carry(await self._batch())
        except (OSError, TimeoutError, ValueError, Refusal) as fault:  # also a log that cannot be read now
            self._failed(fault)
            return False
        self._tries, self._fault = 0, ""
        self._judge()
        return self._audit.head().size > (self._given or 0)

    async def _in_thread(self, work: Callable[[], _Found]) -> _Found:
        async with asyncio.timeout(self._patience):
            return await self._thread.run(work)

    async def resend(self, index: int) -> None:
        """Begin again at an entry, 0 for the first: with the next step, or with the next start. Raises OSError."""
        self._wanted = index
        if not self._running:
            await self._begin()

    async def load(self) -> None:
        """Know how far the destination is, also where `run` does not run. Raises OSError."""
        if not self._running:
            await self._begin()

    async def _begin(self) -> None:
        """Find the place to go on from: after a loss, where everything is known to have arrived."""
        wanted, self._wanted = self._wanted, None
        await self._in_thread(lambda: self._cursor_found(wanted))
        mark = self._cursor.mark
        if mark.next > self._audit.head().size or not await self._is_ours(mark.next, mark.leaf):
            log.error("outward.cursor_foreign", kind=self.name)
            self._alarm("outward.cursor_foreign")
            await self._in_thread(lambda: self._cursor.back_to(0))
        self._given, self._unsettled_since, self._leaf = self._cursor.mark.safe, None, ""

    def _cursor_found(self, wanted: int | None) -> None:
        if not self._cursor.mark.next:
            self._cursor.load()
        self._cursor.lost()
        if wanted is not None:
            self._cursor.back_to(min(wanted, self._audit.head().size))

    async def _is_ours(self, index: int, leaf: str) -> bool:
        if not index or not leaf:
            return True
        found = await self._audit.entries(after=index - 2, limit=1)
        return bool(found) and found[0].hash.hex() == leaf

    async def _batch(self) -> list[Stored]:
        given = self._given or 0
        if self._audit.head().size <= given:
            return []
        return await self._audit.entries(after=given - 1, limit=BATCH)

    async def _carry(self, found: list[Stored]) -> None:
        now, lines, octets = self._clock.steady(), list[bytes](), 0
        private = await self._private(found)
        for stored in found:
            lines.append(self._render(stored, private.get(stored.index, {})))
            octets += len(lines[-1])
            if octets >= MOST_OCTETS:
                break
        await self._in_thread(self._outlet.look)
        if lines:
            self._unsettled_since = now if self._unsettled_since is None else self._unsettled_since
            await self._in_thread(lambda: self._outlet.give(lines))
            last = found[len(lines) - 1]
            self._given, self._leaf = last.index + 1, last.hash.hex()
        await self._settle(now)

    async def _settle(self, now: float) -> None:
        given, leaf, since = self._given or 0, self._leaf, self._unsettled_since
        if since is None:
            return
        if now - since < self._settle_seconds and given - self._cursor.mark.next < MOST_UNSETTLED:
            return

        def work() -> None:
            self._outlet.settle()
            self._cursor.keep(given, leaf, now)

        await self._in_thread(work)
        self._unsettled_since = None

    async def _private(self, found: list[Stored]) -> dict[int, dict[str, str]]:
        """The sealed texts by index, where they may leave."""
        if not self._details:
            return {}
        try:
            return await self._audit.open_all_private(found)
        except DetailBroken:  # the watch alarms; what is whole must not wait for what is not
            return {stored.index: {"broken": "detail"} for stored in found if stored.sealed}

    def _failed(self, fault: BaseException) -> None:
        code = getattr(fault, "code", "") if not isinstance(fault, OSError) else ""
        self._fault = str(code or type(fault).__name__)
        self._tries += 1
        self._given = None
        log.warning("outward.missed", kind=self.name, code=self._fault, attempts=self._tries)
        self._judge()

    def _judge(self) -> None:
        """Alarm once when it is late, say once when it is back."""
        self._lateness.forget(self._cursor.mark.next)
        late = self.lag().seconds > self._late_seconds
        if late != self._alarmed:
            self._alarmed = late
            self._alarm("outward.late" if late else "outward.back")
