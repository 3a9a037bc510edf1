"""Group commit: one task gathers what waits, one thread makes it durable under one head."""

import asyncio
import hashlib
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

from telehealth.audit.details import Sealer
from telehealth.audit.entry import Code
from telehealth.audit.faults import DetailBroken, LogMismatch, LogUnavailable
from telehealth.audit.leaf import Pseudonyms, Stamped, encode
from telehealth.audit.ledger import MAX_BATCH, Ledger
from telehealth.audit.reading import Reader
from telehealth.audit.spool import Spool

Alarm = Callable[[str], None]
LostEntry = Callable[[Mapping[str, int]], Stamped]


class _Job(NamedTuple):
    stamped: Stamped
    landed: asyncio.Future[int]


class Parts(NamedTuple):
    """What the writer works on; it alone appends to the ledger and empties the spool."""

    ledger: Ledger
    sealer: Sealer
    pseudonyms: Pseudonyms
    reader: Reader
    spool: Spool
    lost_entry: LostEntry


class Writer:
    """Owns the queue (bounded: full = LogUnavailable), the commit thread, and the way back after a fault."""

    def __init__(self, parts: Parts, alarm: Alarm, queue: int, retry_every: float, memory: int = 0) -> None:
        self.parts = parts
        self.lost: Counter[str] = Counter()  # closing acts that neither log nor spool could take, by action
        self.kept: deque[Stamped] = deque()  # closing acts that only this process remembers; at most `memory`
        self._memory = memory
        self._alarm = alarm
        self._bound = queue
        self._retry_every = retry_every
        self._queue: deque[_Job] = deque()
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._up = True
        self._ended = False
        self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="audit-commit")
        self._task = asyncio.create_task(self._run(), name="audit writer")

    @property
    def healthy(self) -> bool:
        return self._up and not self._ended

    def offer(self, stamped: Stamped) -> asyncio.Future[int]:
        """Queue an entry; the future gives its index once it is durable. Raises LogUnavailable when down or full."""
        if not self.healthy or self._stop.is_set() or len(self._queue) >= self._bound:
            raise LogUnavailable
        landed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        landed.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be waiting any more
        self._queue.append(_Job(stamped, landed))
        self._wake.set()
        return landed

    def look_at_spool(self) -> None:
        """Something waits in the spool, or was lost: enter it when the log can."""
        self._wake.set()

    def remember(self, stamped: Stamped) -> bool:
        """Keep an entry that not even the spool took, until the log is back; False if there are too many already."""
        if len(self.kept) >= self._memory:
            return False
        self.kept.append(stamped)
        self._alarm("audit.in_memory")
        return True

    async def between_commits(self, work: Callable[[], None]) -> None:
        """Run in the commit thread, so that nothing is appended meanwhile; what it raises comes back."""
        await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def close(self) -> None:
        """Enter what is queued, then end the task and the thread."""
        self._stop.set()
        self._wake.set()
        try:
            await self._task
            if self._up and not self._closed:
                self._closed = True
                await self._in_thread(self.parts.ledger.settle)
        finally:
            if self.kept:
                self._alarm("audit.lost")
            await asyncio.to_thread(self._thread.shutdown)

    async def _run(self) -> None:
        try:
            while True:
                if not self._up:
                    await self._way_back()
                elif self._queue:
                    await self._commit()
                elif self.parts.spool.count or self.kept:
                    await self._in_thread(self._drain)
                elif self.lost:
                    await self._enter_lost()
                elif self._stop.is_set():
                    return
                else:
                    await self._wake.wait()
                    self._wake.clear()
                if self._stop.is_set() and not self._up:
                    return
        finally:
            self._ended = True
            if not self._stop.is_set():
                self._alarm("audit.dead")
            self._refuse_queued()

    async def _in_thread(self, work: Callable[[], None]) -> bool:
        """Run in the commit thread; a fault of disk or files takes the log down instead of the server."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (OSError, LogMismatch) as error:
            self._down("audit.mismatch" if isinstance(error, LogMismatch) else "audit.down")
            return False
        return True

    async def _commit(self) -> None:
        jobs = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_BATCH))]
        results: list[int | None] = []
        await self._in_thread(lambda: results.extend(self._enter([job.stamped for job in jobs])))
        for at, job in enumerate(jobs):
            index = results[at] if results else None
            if job.landed.done():
                continue
            if index is None:
                job.landed.set_exception(LogUnavailable())
            else:
                job.landed.set_result(index)
        if results and None in results:
            self._alarm("audit.detail_key")

    def _enter(self, batch: Sequence[Stamped]) -> list[int | None]:
        """Seal and append; the index of each, None for one whose detail could not be sealed. In the commit thread."""
        ready = [self._prepare(stamped) for stamped in batch]
        appended = [each for each in ready if each is not None]
        first = self.parts.ledger.append(appended) if appended else 0
        indexes = iter(range(first, first + len(appended)))
        return [None if each is None else next(indexes) for each in ready]

    def _prepare(self, stamped: Stamped) -> tuple[bytes, bytes | None] | None:
        more: dict[str, Code] = {}
        blob = None
        try:
            blob = self.parts.sealer.seal(stamped)
        except DetailBroken:
            if not stamped.closing:
                return None
            more["private_lost"] = True
        sealed = hashlib.sha256(blob).hexdigest() if blob else None
        return encode(stamped, self.parts.pseudonyms, sealed, more), blob

    def _drain(self) -> None:
        """Enter what waited in the spool and in memory, each once. In the commit thread."""
        self.parts.ledger.refresh()
        if self.parts.spool.count:
            waiting = self.parts.spool.waiting()
            self._enter_once(waiting.entries)
            self.parts.spool.empty(waiting.mark)
        kept = tuple(self.kept)
        self._enter_once(tuple(replace(stamped, late=True) for stamped in kept))
        for _ in kept:
            self.kept.popleft()

    def _enter_once(self, waited: Sequence[Stamped]) -> None:
        if waited:
            known = self.parts.reader.nonces(self.parts.ledger.head.size)
            self._enter([stamped for stamped in waited if stamped.nonce not in known])

    async def _enter_lost(self) -> None:
        counted = dict(self.lost)
        if await self._in_thread(lambda: self._enter_one(self.parts.lost_entry(counted))):
            self.lost.subtract(counted)
            self.lost = +self.lost

    def _enter_one(self, stamped: Stamped) -> None:
        self._enter([stamped])

    async def _way_back(self) -> None:
        """Wait a little, load again, enter what waited: only then is the log back."""
        try:
            async with asyncio.timeout(self._retry_every):
                await self._stop.wait()
            return
        except TimeoutError:
            pass
        if await self._in_thread(self.parts.ledger.load) and await self._in_thread(self._drain):
            self._up = True
            if self.parts.ledger.repaired:
                self._alarm("audit.repaired")
            self._alarm("audit.back")

    def _down(self, code: str) -> None:
        if self._up:
            self._up = False
            self._alarm(code)
        self._refuse_queued()

    def _refuse_queued(self) -> None:
        while self._queue:
            job = self._queue.popleft()
            if not job.landed.done():
                job.landed.set_exception(LogUnavailable())
