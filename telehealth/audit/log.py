"""The audit log as the rest of the server knows it: enter, act, read, prove."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from telehealth.audit.actions import Action
from telehealth.audit.details import DetailKeys, Sealer
from telehealth.audit.entry import SYSTEM, Code, Entry, Outcome
from telehealth.audit.faults import LogUnavailable
from telehealth.audit.files import Disk, Files
from telehealth.audit.layout import Layout
from telehealth.audit.leaf import Pseudonyms, Stamped, Stored
from telehealth.audit.ledger import Ledger, Signed
from telehealth.audit.limits import Limits as Limits  # part of what `open` takes
from telehealth.audit.logkeys import LogKeys
from telehealth.audit.nodes import FolderNodes
from telehealth.audit.note import Checkpoint, Signer
from telehealth.audit.reading import EntryFilter, Reader
from telehealth.audit.spool import Spool
from telehealth.audit.throttle import Throttle
from telehealth.audit.tree import Hash, consistency_proof, inclusion_proof
from telehealth.audit.writer import Alarm, Parts, Writer
from telehealth.clock import Clock
from telehealth.errors import Refusal
from telehealth.ids import Entropy
from telehealth.log import get_logger
from telehealth.secret import Secret

_T = TypeVar("_T")
_ANYTHING = EntryFilter()
MAX_PAGE = 1000


@dataclass(slots=True)
class Act:
    """An act under way; what becomes known while it runs is written with its outcome."""

    entry: Entry
    index: int  # of the intent
    detail: dict[str, Code] = field(default_factory=dict)


def log_alarm(code: str) -> None:
    """Say it where operators look."""
    get_logger("telehealth.audit").error("audit.alarm", code=code)


class AuditLog:
    """Append-only, signed, apart from the database. `AuditLog.open` makes one; `close` ends it."""

    def __init__(self, parts: Parts, clock: Clock, entropy: Entropy, limits: Limits, alarm: Alarm) -> None:
        self._parts = parts
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._alarm = alarm
        self._anchored: Callable[[], bool] = lambda: True
        self._throttle = Throttle(limits.throttle_window, limits.throttle_sources)
        self._spooling = ThreadPoolExecutor(1, thread_name_prefix="audit-spool")
        self._spooling.submit(int)  # its thread is there before it is needed: a full machine may give no more of them
        self._closing: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._writer = Writer(parts, alarm, limits.queue, limits.retry_every, limits.memory)
        self._ticker = asyncio.create_task(self._tick(), name="audit throttle")
        self._writer.look_at_spool()

    @classmethod
    async def open(
        cls,
        folder: Path,
        *,
        signing_key: Secret[bytes],
        pseudonym_key: Secret[bytes],
        detail_keys: DetailKeys,
        clock: Clock,
        origin: str,
        entropy: Entropy = os.urandom,
        files: Files | None = None,
        limits: Limits | None = None,
        at_least: Checkpoint | None = None,
        reserve_spool: bool = True,
        on_alarm: Alarm = log_alarm,
    ) -> "AuditLog":
        """Open the log in `folder`, or begin it. `signing_key`: 32-byte Ed25519 seed; `origin`: the log's name.

        `at_least`: a head kept elsewhere that the log must contain. One server reserves the spool; commands that
        append beside it say `reserve_spool=False`. Raises LogMismatch, OSError.
        """
        files, limits, layout = files or Disk(), limits or Limits(), Layout(folder)
        pseudonyms = Pseudonyms(pseudonym_key)
        ledger = Ledger(layout, files, Signer(origin, signing_key), at_least)
        spool = Spool(layout, files, pseudonym_key, entropy, limits.spool)
        await asyncio.to_thread(ledger.load)
        if reserve_spool:
            await asyncio.to_thread(spool.prepare)

        def lost_entry(counted: Mapping[str, int]) -> Stamped:
            named = {action.replace(".", "_"): count for action, count in list(counted.items())[:20]}
            entry = Entry(Action.AUDIT_LOST, Outcome.FAILED, SYSTEM, detail={"count": sum(counted.values()), **named})
            return Stamped(entry, clock.now(), entropy(16).hex(), closing=True, late=True)

        sealer, reader = Sealer(detail_keys, pseudonyms, entropy), Reader(layout, files, pseudonyms)
        log = cls(Parts(ledger, sealer, pseudonyms, reader, spool, lost_entry), clock, entropy, limits, on_alarm)
        if ledger.cut_back:
            on_alarm("audit.cut_back")
        if ledger.repaired:
            on_alarm("audit.repaired")
        return log

    @property
    def healthy(self) -> bool:
        """Whether opening acts can be entered now."""
        return self._writer.healthy

    @property
    def healthy_for_recordings(self) -> bool:
        """Whether a recording may begin: entries can be made, and anchors are not too far behind."""
        return self.healthy and self._anchored()

    def rest_on(self, anchored: Callable[[], bool]) -> None:
        """Let recordings begin only while `anchored` says so."""
        self._anchored = anchored

    @property
    def waiting(self) -> int:
        """Closing entries in the spool, and in memory while that cannot be written."""
        return self._parts.spool.count + len(self._writer.kept)

    async def enter(self, entry: Entry) -> int:
        """Make the entry durable under a signed head; its index. Raises LogUnavailable: the act must not happen."""
        landed = self._writer.offer(self._stamp(entry))  # given up, it is entered all the same
        try:
            async with asyncio.timeout(self._limits.patience):
                return await landed
        except TimeoutError:
            raise LogUnavailable from None

    async def enter_closing(self, entry: Entry) -> None:
        """Enter what has happened already: never fails, waits at most twice `brief`, outlives its caller."""
        if entry.action.opens and entry.outcome is Outcome.INTENT:
            raise ValueError("an act that opens waits for its entry")
        if len(self._closing) >= self._limits.closing or self._stop.is_set():
            self._lose(entry)
            return
        task = asyncio.create_task(self._enter_or_spool(self._stamp(entry, closing=True)), name="audit closing entry")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        await asyncio.shield(task)

    @asynccontextmanager
    async def act(self, entry: Entry) -> AsyncIterator[Act]:
        """Intent, act, outcome: the body runs only once the intent is durable, and how it ended is always entered.

        Raises LogUnavailable before the body. Ended by a Refusal = refused with its code, by anything else = failed.
        """
        index = await self.enter(replace(entry, outcome=Outcome.INTENT))
        act = Act(entry, index)
        try:
            yield act
        except Refusal as refusal:
            await self._conclude(act, Outcome.REFUSED, {"code": refusal.code})
            raise
        except BaseException as error:
            await self._conclude(act, Outcome.FAILED, {"code": type(error).__name__})
            raise
        else:
            await self._conclude(act, Outcome.DONE, {})

    async def _conclude(self, act: Act, outcome: Outcome, more: Mapping[str, Code]) -> None:
        detail = {**act.entry.detail, **act.detail, **more, "intent": act.index}
        await self.enter_closing(replace(act.entry, outcome=outcome, detail=detail))

    async def enter_throttled(self, entry: Entry, source: str) -> None:
        """Enter a failure from before sign-in: the first of a source at once, the rest of its minute as one count."""
        now = self._throttle.count(entry, source, self._clock.steady())
        if now is not None:
            await self.enter_closing(now)

    async def entries(
        self, *, after: int = -1, limit: int = 100, newest_first: bool = False, only: EntryFilter = _ANYTHING
    ) -> list[Stored]:
        """A page; its last index is the next one's `after` (-1 = from the first, or the end). Raises LogUnavailable."""
        limit, size = max(1, min(limit, MAX_PAGE)), self.head().size
        try:
            return await asyncio.to_thread(self._parts.reader.find, size, after, limit, newest_first, only)
        except OSError:
            raise LogUnavailable from None

    async def open_private(self, stored: Stored) -> dict[str, str] | None:
        """The sealed text; None if there is none, or its key was destroyed. Raises DetailBroken."""
        return (await self.open_all_private([stored])).get(stored.index)

    async def open_all_private(self, some: Sequence[Stored]) -> dict[int, dict[str, str]]:
        """The sealed texts by index, without those whose key was destroyed. Raises DetailBroken."""
        return await asyncio.to_thread(self._parts.sealer.open_all, some, self._parts.reader.blobs)

    async def forget(self, patient: str) -> bool:
        """Destroy the key to a patient's sealed detail; every proof stays valid."""
        return await asyncio.to_thread(self._parts.sealer.forget, patient)

    def patient_pseudonym(self, patient: str) -> str:
        """What stands in leaves for this patient."""
        return self._parts.pseudonyms.patient(patient)

    def head(self) -> Checkpoint:
        """The newest signed head: every entry below its size is durable."""
        return self._parts.ledger.head

    def signed(self) -> Signed:
        """The newest head and its signed note."""
        return self._parts.ledger.signed

    @property
    def keys(self) -> LogKeys:
        """All keys that the log ever signed with."""
        return self._parts.ledger.keys

    @property
    def place(self) -> tuple[Layout, Files]:
        """Where the log's files are, for those who read them."""
        return self._parts.ledger.layout, self._parts.ledger.files

    async def rotate(self, new_key: Secret[bytes]) -> LogKeys:
        """Sign with another key from now on; old checkpoints stay verifiable. Raises OSError, LogMismatch, ValueError.

        Whoever opens the log from now on must bring the new key.
        """
        signer = Signer(self.head().origin, new_key)
        await self._writer.between_commits(lambda: self._parts.ledger.rotate(signer))
        return self.keys

    async def inclusion(self, index: int) -> tuple[Checkpoint, list[Hash]]:
        """A head and the proof that the entry stands under it. Raises ValueError for no such entry."""
        head = self.head()
        return head, await self._prove(head.size, lambda nodes: inclusion_proof(index, head.size, nodes))

    async def consistency(self, old: int) -> tuple[Checkpoint, list[Hash]]:
        """A head and the proof that it goes on from the head of size `old`. Raises ValueError."""
        head = self.head()
        return head, await self._prove(head.size, lambda nodes: consistency_proof(old, head.size, nodes))

    async def _prove(self, size: int, work: Callable[[FolderNodes], _T]) -> _T:
        ledger = self._parts.ledger
        return await asyncio.to_thread(lambda: work(FolderNodes(ledger.layout, ledger.files, size)))

    async def close(self) -> None:
        """Enter what is counted and queued, then stop; what cannot be entered waits in the spool."""
        self._stop.set()
        await self._ticker
        while self._closing:
            await asyncio.wait(set(self._closing))
        await self._writer.close()
        await asyncio.to_thread(self._spooling.shutdown)
        self._parts.spool.close()

    def _stamp(self, entry: Entry, *, closing: bool = False) -> Stamped:
        return Stamped(entry, self._clock.now(), self._entropy(16).hex(), closing)

    async def _enter_or_spool(self, stamped: Stamped) -> None:
        try:
            async with asyncio.timeout(self._limits.brief):
                await self._writer.offer(stamped)
            return
        except (LogUnavailable, TimeoutError):
            pass  # the spool takes it; if the log has it after all, it is entered once
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limits.brief):
                kept = await asyncio.shield(loop.run_in_executor(self._spooling, self._parts.spool.keep, stamped))
        except (OSError, TimeoutError):
            kept = False
        if not kept and not self._writer.remember(stamped):
            self._lose(stamped.entry)
        self._writer.look_at_spool()

    def _lose(self, entry: Entry) -> None:
        """Neither log, spool nor memory can take it: counted, alarmed, and the count entered when the log is back."""
        self._writer.lost[entry.action.value] += 1
        self._alarm("audit.lost")

    async def _tick(self) -> None:
        while not self._stop.is_set():
            try:
                async with asyncio.timeout(self._limits.throttle_tick):
                    await self._stop.wait()
            except TimeoutError:
                pass  # the tick
            for entry in self._throttle.due(self._clock.steady(), all_of_them=self._stop.is_set()):
                await self._flush(entry)
            with suppress(OSError, ValueError):  # whoever reads makes what is missing
                await asyncio.to_thread(self._parts.reader.catch_up, self.head().size)

    async def _flush(self, entry: Entry) -> None:
        await self._enter_or_spool(self._stamp(entry, closing=True))  # also while closing
