"""The room of backups: makes them, prunes them, looks after them while the server runs."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recordings.catalogue import Catalogue
from recordings.vault.store import Vault
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Actor, Code, Entry, Outcome
from telehealth.auditing import log_verifier
from telehealth.backup.agefile import recipients_of
from telehealth.backup.checks import refuse_misplaced
from telehealth.backup.cut import Cut, FileRow, cut_of
from telehealth.backup.destination import Destination, named_faults
from telehealth.backup.making import Making, Written
from telehealth.backup.manifest import FORMAT, set_id
from telehealth.backup.pruning import prune, prune_keys
from telehealth.backup.refusals import BackupBusy, BackupNeedsDays, BackupNotConfigured
from telehealth.backup.settling import Settled
from telehealth.backup.standing import Standing, generations, look, made_at
from telehealth.backup.wishes import Made, Wish, told, what
from telehealth.base import Base
from telehealth.clock import rfc3339
from telehealth.errors import NotFound, Refusal
from telehealth.ids import Entropy
from telehealth.log import get_logger
from telehealth.nodes.folder import log_name

VERSION = version("telehealth")
LOOK_SECONDS = 60.0  # between two looks of the running server
ALARM_SECONDS = 3600.0  # between two alarms about the same
T = TypeVar("T")
_log = get_logger(__name__)


class Backups:
    """Made once by the house; one backup at a time."""

    def __init__(self, base: Base, vault: Vault, entropy: Entropy, settled: Settled | None = None) -> None:
        self._base = base
        self._config = base.config
        self._vault = vault
        self._catalogue = Catalogue(base.store)
        self._entropy = entropy
        self._turn = asyncio.Lock()
        self._followed: frozenset[str] | None = None  # generations of buckets when keys were last looked after
        self._alarmed: dict[str, float] = {}  # code → when
        self._failed_in_row = 0
        self._again_at = 0.0  # not before that: a place that is gone does not fill the log
        self.settled = settled  # what followed a restore, in this process
        self.standing = Standing()
        self.failures = 0

    def configured(self) -> Wish:
        """What the configuration says."""
        section = self._config.backup
        return Wish(
            section.to, section.keys_to, section.recipients, section.with_objects, section.one_filesystem_is_meant
        )

    async def create(self, actor: Actor, wish: Wish, tell: Callable[[str], None] = lambda _text: None) -> Made:
        """A whole backup, entered before it begins. Raises LogUnavailable and what parts refuse with."""
        if self._turn.locked():
            raise BackupBusy
        async with self._turn:
            entry = Entry(Action.BACKUP, Outcome.INTENT, actor, detail={"what": what(wish)})
            async with self._base.log.act(entry) as act:
                await asyncio.to_thread(self._refuse, wish)
                made = await self._make(wish, tell)
                act.detail |= told(made)
            return made

    def _refuse(self, wish: Wish) -> None:
        if not wish.recipients or (wish.to is None and wish.keys_to is None):
            raise BackupNotConfigured
        if wish.keys_to is not None and self._config.recording.backup_days == 0:
            raise BackupNeedsDays
        refuse_misplaced(self._config, wish.to, wish.keys_to, together_is_meant=wish.one_filesystem_is_meant)

    async def _make(self, wish: Wish, tell: Callable[[str], None]) -> Made:
        began, stop = self._base.clock.steady(), threading.Event()
        data = Destination(wish.to, "data") if wish.to else None
        keys = Destination(wish.keys_to, "keys") if wish.keys_to else None
        with ExitStack() as stack:
            for place in (keys, data):
                if place is not None:
                    await asyncio.to_thread(_hold, stack, place)
            now = self._base.clock.now()
            seed = await self._base.keyring.secret("backups")  # made before the cut, so that it is in it
            signer = Ed25519PrivateKey.from_private_bytes(seed.reveal())
            cut_made = await cut_of(self._config, self._base.keystore, self._base.log)
            try:
                making = await self._making(cut_made, signer, wish, set_id(now, self._entropy(4)), tell, stop)
                written = await self._away(stop, self._write, making, data, keys, wish.with_objects)
            finally:
                await asyncio.to_thread(cut_made.close)
            days = (self._config.backup.keep_days, self._config.recording.backup_days)
            pruned, pruned_keys = await asyncio.to_thread(prune, data, keys, *days, now)
        return Made(*written, pruned, pruned_keys, self._base.clock.steady() - began)

    def _write(
        self, making: Making, data: Destination | None, keys: Destination | None, with_objects: bool
    ) -> tuple[Written | None, Written | None]:
        key_set = making.keys(keys) if keys is not None else None
        if data is None:
            return None, key_set
        log = (*self._base.log.place, self._base.log.waiting > 0)
        return making.data(data, key_set.raw if key_set else b"", log, with_objects), key_set

    async def _making(
        self,
        cut: Cut,
        signer: Ed25519PrivateKey,
        wish: Wish,
        name: str,
        tell: Callable[[str], None],
        stop: threading.Event,
    ) -> Making:
        signed = cut.signed.head
        head = {
            "format": FORMAT,
            "id": name,
            "made_at": rfc3339(made_at(name)),
            "version": VERSION,
            "signer": signer.public_key().public_bytes_raw().hex(),
            "log": {
                "size": signed.size,
                "root": signed.root.hex(),
                "verifier": (await log_verifier(self._base.keyring, log_name(self._config.places.audit)))[2],
            },
            "provider": self._base.provider.name,
            "backend": self._base.store.backend,
        }
        loop = asyncio.get_running_loop()

        def ask(work: Coroutine[Any, Any, T]) -> T:
            return asyncio.run_coroutine_threadsafe(work, loop).result()

        return Making(
            cut,
            head,
            signer,
            recipients_of(wish.recipients),
            lambda file, offset, length: ask(self._vault.read(file, offset, length)),
            lambda row: ask(self._gone(row)),
            tell,
            stop,
        )

    async def _gone(self, row: FileRow) -> bool:
        """Whether the file was deleted, or the recording sealed anew, since the cut."""
        try:
            files = await self._catalogue.files_of(row.recording)
            recording = await self._catalogue.recording(row.recording)
        except NotFound:
            return True
        return recording.state in ("deleting", "deleted") or row.id not in {file.id for file in files}

    @staticmethod
    async def _away(stop: threading.Event, work: Callable[..., T], *args: Any) -> T:
        """In a thread that is told, and waited for, when nobody wants its result any more."""
        running = asyncio.ensure_future(asyncio.to_thread(work, *args))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            stop.set()
            await asyncio.wait({running})
            running.exception()
            raise

    # Pruning

    async def prune(self) -> int:
        """Remove key sets before they are over age, at the configured place; how many. Entered when there were any."""
        wish = self.configured()
        if wish.keys_to is None or self._turn.locked():
            return 0
        async with self._turn:
            keys, days = Destination(wish.keys_to, "keys"), self._config.recording.backup_days
            count = await asyncio.to_thread(prune_keys, keys, days, self._base.clock.now())
        if count:
            detail: dict[str, Code] = {"what": "prune", "keys": count}
            await self._base.log.enter(Entry(Action.BACKUP, Outcome.DONE, SYSTEM, detail=detail))
        return count

    # The running server

    def workers(self) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        """One, where places are configured."""
        return [("backup", self.run())] if self._config.backup.to is not None else []

    def gauges(self) -> list[tuple[str, str, Callable[[], float]]]:
        """Name, text and reading of each figure."""
        return [
            ("backup_age_seconds", "Age of the newest whole backup; -1 without one", self._age),
            ("backup_overdue", "1 while the newest is older than backup.every_hours", lambda: self.standing.overdue),
            (
                "backup_keys_over_age",
                "Key backups older than recording.backup_days",
                lambda: float(len(self.standing.over_age)),
            ),
            ("backup_failures", "Backups that failed since the start", lambda: float(self.failures)),
        ]

    def _age(self) -> float:
        return -1.0 if self.standing.age is None else self.standing.age.total_seconds()

    async def run(self) -> None:
        """Look, prune, follow deletions, back up when due; for ever. What fails is alarmed and tried again."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.round()

    async def round(self) -> None:
        """One look. Never raises but when cancelled."""
        try:
            await self.prune()
            await self.look()
            if self._base.clock.steady() >= self._again_at:
                await self._make_due()
                self._failed_in_row = 0
        except Exception as fault:  # noqa: BLE001  # alarmed; a later look tries again
            self.failures += 1
            self._failed_in_row += 1
            rest = min(ALARM_SECONDS, LOOK_SECONDS * 2 ** min(self._failed_in_row - 1, 10))
            self._again_at = self._base.clock.steady() + rest
            code = fault.code if isinstance(fault, Refusal) else type(fault).__name__
            _log.error("backup.failed", code=code, exc_info=None if isinstance(fault, Refusal) else fault)
        for code in self.standing.codes:
            self._alarm(code)

    async def look(self) -> Standing:
        """How it stands now; figures show it."""
        days = self._config.recording.backup_days
        self.standing = await asyncio.to_thread(look, self._config.backup, days, self._base.clock.now())
        return self.standing

    async def _make_due(self) -> None:
        """All, or the keys alone; what changes meanwhile, and what could not be made, is followed later."""
        now = await asyncio.to_thread(generations, self._config.places.keys)
        if self.standing.overdue:
            await self.create(SYSTEM, self.configured())
            await self.look()
        elif self._is_behind(now):
            await self.create(SYSTEM, replace(self.configured(), to=None))
        self._followed = now

    def _is_behind(self, now: frozenset[str]) -> bool:
        """Whether the keys changed since the newest set of keys: a share was destroyed or moved, a recording deleted.

        Old generations of buckets die with that, so older sets of keys lack what lives on in the new ones. What
        happened before a start is not known: keys are taken once after each.
        """
        if not self._config.backup.every_hours:
            return False
        return self._followed is None or bool(self._followed - now)

    def _alarm(self, code: str) -> None:
        now = self._base.clock.steady()
        if code not in self._alarmed or now - self._alarmed[code] >= ALARM_SECONDS:
            self._alarmed[code] = now
            _log.error("backup.alarm", code=code)


def _hold(stack: ExitStack, place: Destination) -> None:
    with named_faults(place.place):
        stack.enter_context(place.locked())
        place.tidy()
