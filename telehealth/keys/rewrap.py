"""Wrapping keys turn over: a new one begins, every share is wrapped anew, the old one is retired.

Media and buckets are never touched. A share's row is replaced only where it still says what was read, so that a kill at
any point, a deletion or a second run beside it leaves each row whole, under the one key or the other. An old key ends
when no row names it, and not before its successor is as old as `retire_after`, one hour at the least: a recording that
was beginning then may have been wrapped by it and not yet be in the database.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Actor, Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.errors import Refusal
from telehealth.keys.keyring import Keyring, Wrapped
from telehealth.keys.keystore import KeyStore
from telehealth.keys.provider import KeyDestroyed, UnwrapFailed
from telehealth.keys.sharestore import ShareStore, StoredShare
from telehealth.log import get_logger
from telehealth.store.engine import Store

log = get_logger(__name__)
BATCH = 256  # rows of one transaction
AT_ONCE = 8  # shares asked of the provider at the same time
LEAST_AGE = timedelta(hours=1)
LOOK_SECONDS = 3600.0
Renewed = list[tuple[StoredShare, Wrapped]]
Gauge = Callable[[str, str, Callable[[], float]], None]


@dataclass(frozen=True, slots=True)
class Progress:
    """A re-wrapping under way, or the last one: shares done, unreadable ones, and how many there were to do."""

    done: int = 0
    unreadable: int = 0
    total: int = 0
    running: bool = False


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """`left`: shares still on old keys. `retired`: keys ended now. `waiting`: old keys that have to live on a while."""

    moved: int
    unreadable: int
    left: int
    retired: tuple[str, ...]
    waiting: tuple[str, ...]


class Turnover:
    """One of them in a process; `run` is its worker."""

    def __init__(
        self,
        *,
        keyring: Keyring,
        keystore: KeyStore,
        store: Store,
        audit: AuditLog,
        clock: Clock,
        retire_after: timedelta = LEAST_AGE,
    ) -> None:
        self._keyring = keyring
        self._keystore = keystore
        self._shares = ShareStore(store)
        self._audit = audit
        self._clock = clock
        self._retire_after = max(retire_after, LEAST_AGE)
        self._turn = asyncio.Lock()
        self.progress = Progress()

    def measure(self, gauge: Gauge) -> None:
        """Figures for alarms: is a rotation overdue, how many keys there are, how far the last re-wrapping came."""
        ring, clock = self._keyring, self._clock
        gauge("keys_rotation_due", "1 while a wrapping key is overdue", lambda: float(ring.due(clock.now())))
        gauge("keys_wrapping", "Wrapping keys alive", lambda: float(len(ring.superseded())))
        gauge("keys_rewrap_total", "Shares of the last re-wrapping", lambda: float(self.progress.total))
        gauge("keys_rewrapped", "Shares it moved", lambda: float(self.progress.done))
        gauge("keys_unreadable", "Shares it could not open", lambda: float(self.progress.unreadable))

    async def run(self, every: float = LOOK_SECONDS) -> None:
        """Once an hour: rotate when it is due, re-wrap what is left on old keys, retire what may end."""
        while True:
            try:
                await self.look()
            except Refusal as refusal:  # the service may be away for hours; the present key goes on serving
                log.error("keys.turnover_put_off", code=refusal.code)
            except Exception:  # the promise: a database or a disk that fails ends neither this worker nor the server
                log.error("keys.turnover_failed", code="keys_turnover_failed", exc_info=True)
            await asyncio.sleep(every)

    async def look(self) -> None:
        """What `run` does each time. Raises KeyServiceUnavailable, LogUnavailable."""
        if self._keyring.due(self._clock.now()):
            await self.rotate(SYSTEM)
        if len(self._keyring.superseded()) > 1 or await self.left():
            await self.rewrap(SYSTEM)

    async def left(self) -> int:
        """How many shares hang on old wrapping keys."""
        current = self._keyring.wrapping_key
        return sum(count for name, count in (await self._shares.by_key()).items() if name != current)

    async def rotate(self, actor: Actor) -> str:
        """Begin the next wrapping key, entered; new shares hang on it at once. Raises KeyServiceUnavailable."""
        async with self._audit.act(_entry("rotate", actor)) as act:
            name = await self._keyring.rotate()
            act.detail["wrapping_key"] = name
        log.info("keys.rotated", version=name)
        return name

    async def rewrap(self, actor: Actor, told: Callable[[Progress], None] = lambda _: None) -> Rewrapped:
        """Wrap every share by the present key, and retire what may end; one run at a time.

        Raises KeyServiceUnavailable: what was done stays done. An unreadable share is alarmed, passed over and keeps
        its key alive.
        """
        async with self._turn:
            self.progress = Progress(total=await self.left(), running=True)
            try:
                if self.progress.total:
                    async with self._audit.act(_entry("rewrap", actor)) as act:
                        await self._move_all(told)
                        act.detail.update(count=self.progress.done, unreadable=self.progress.unreadable)
                retired = await self._retire(actor)
            finally:
                done = self.progress
                self.progress = Progress(done.done, done.unreadable, done.total)
            waiting = tuple(name for name in self._keyring.superseded() if name != self._keyring.wrapping_key)
            left = await self.left()
        if done.total:
            log.info("keys.rewrapped", count=done.done, outcome=f"{left} left")
        return Rewrapped(done.done, done.unreadable, left, retired, waiting)

    async def _move_all(self, told: Callable[[Progress], None]) -> None:
        after = ""
        while batch := await self._shares.old(self._keyring.wrapping_key, after, BATCH):
            renewed = await self._renew(batch)
            await self._shares.replace(renewed)
            was = self.progress
            unreadable = was.unreadable + len(batch) - len(renewed)
            self.progress = Progress(was.done + len(renewed), unreadable, was.total, running=True)
            told(self.progress)
            after = batch[-1].file_id

    async def _renew(self, batch: list[StoredShare]) -> Renewed:
        """New wraps for all that can be read. Raises what the provider refuses with, after every worker ended."""
        waiting, renewed = iter(batch), list[tuple[StoredShare, Wrapped]]()
        workers = (self._renew_some(waiting, renewed) for _ in range(AT_ONCE))
        for ended in await asyncio.gather(*workers, return_exceptions=True):
            if ended is not None:
                raise ended
        return renewed

    async def _renew_some(self, waiting: Iterator[StoredShare], renewed: Renewed) -> None:
        for share in waiting:
            old = share.wrapped
            try:
                fresh = await self._keystore.rewrap(
                    share.file_id, wrapped_share=old.blob, wrapping_key=old.wrapping_key
                )
            except (UnwrapFailed, KeyDestroyed) as refusal:
                log.error("keys.share_unreadable", file=share.file_id, code=refusal.code)
                continue
            renewed.append((share, fresh))

    async def _retire(self, actor: Actor) -> tuple[str, ...]:
        """End the old keys that no share names and whose time has come."""
        now, named = self._clock.now(), await self._shares.by_key()
        ends = self._keyring.superseded().items()
        ripe = [name for name, end in ends if end is not None and now - end >= self._retire_after]
        ending = tuple(name for name in ripe if not named.get(name))
        if ending:
            await self._shares.fold()
        for name in ending:
            async with self._audit.act(_entry("retire", actor, name)):
                await self._keyring.retire(name)
            log.info("keys.retired", version=name)
        return ending


def _entry(step: str, actor: Actor, wrapping_key: str | None = None) -> Entry:
    detail = {"step": step} if wrapping_key is None else {"step": step, "wrapping_key": wrapping_key}
    return Entry(Action.KEYS_ROTATE, Outcome.INTENT, actor, detail=detail)
