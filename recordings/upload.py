"""Sealed files go elsewhere in the background: state by state in the catalogue, so that a restart goes on with it.

`local` → `uploading` → sent → read back → `remote` → the local file goes. Killed anywhere, the next round goes on.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from recordings.catalogue import Catalogue
from recordings.rows import StoredFile
from recordings.vault.shipping import CopyDiffers, LocalDamaged, ShippingVault
from recordings.vault.store import VaultFrozen, VaultLocks, VaultMissing
from telehealth.clock import Clock
from telehealth.errors import Refusal
from telehealth.log import get_logger

_log = get_logger(__name__)
LOOK_SECONDS = 5.0  # between two looks for newly sealed files
RETRY_SECONDS = (1.0, 5.0, 30.0, 120.0, 600.0)  # the last one again and again
ALARM_SECONDS = 900.0  # without success until it is alarmed, and between two alarms
AT_ONCE = 100  # files looked at in one round
_OF_ONE_FILE = (LocalDamaged, CopyDiffers)  # the others go on meanwhile


@dataclass(slots=True)
class Figures:
    """Counters since the start; `waiting` files at the last look (at most AT_ONCE), `trouble`: its code, if any."""

    shipped: int = 0
    octets: int = 0
    failures: int = 0
    alarms: int = 0
    waiting: int = 0
    trouble: str = ""


class Uploader:
    """One file at a time, oldest first. What fails is tried again; nothing local goes before its copy was read back.

    Files that cannot be sent, however many, hold up no other: a full round goes on behind the last one, and only
    when nothing is behind it does the next round begin with the oldest again.
    """

    def __init__(self, catalogue: Catalogue, vault: ShippingVault, clock: Clock) -> None:
        self._catalogue = catalogue
        self._vault = vault
        self._clock = clock
        self._checked = False
        self._tidied = False
        self._looked_at: StoredFile | None = None
        self._well_at = clock.steady()
        self.figures = Figures()

    async def run(self) -> None:
        """Ship until cancelled."""
        failed = 0
        while True:
            failed = 0 if await self.round() else failed + 1
            delay = RETRY_SECONDS[min(failed, len(RETRY_SECONDS)) - 1] if failed else LOOK_SECONDS
            await asyncio.sleep(delay)

    async def round(self) -> bool:
        """Ship what waits; whether nothing failed. Never raises but when cancelled."""
        try:
            trouble = await self._round()
        except Exception as fault:  # noqa: BLE001  # whatever it is, it is logged and tried again
            self._failed(None, fault)
            trouble = fault.code if isinstance(fault, Refusal) else "upload_failed"
        self.figures.trouble = trouble
        self._alarm_or_not(trouble)
        return not trouble

    async def _round(self) -> str:
        """The code of what went wrong with single files, empty for nothing."""
        waiting = await self._catalogue.to_ship(AT_ONCE, self._looked_at)
        if not waiting and self._looked_at is not None:
            waiting = await self._catalogue.to_ship(AT_ONCE)
        self.figures.waiting = len(waiting)
        if not self._tidied:
            await self._tidy()
        if waiting and not self._checked:
            await self._vault.remote.check()
            self._checked = True
        trouble = ""
        for file in waiting:
            try:
                await self._ship(file)
            except _OF_ONE_FILE as fault:
                self._failed(file, fault)
                trouble = fault.code
        self._looked_at = waiting[-1] if len(waiting) == AT_ONCE else None
        return trouble

    async def _ship(self, file: StoredFile) -> None:
        if not await self._catalogue.placed(file.id, "uploading"):
            return  # it is being deleted
        name = file.row.name
        await self._refuse_missing(name)
        try:
            await self._vault.ship(name, file.size, file.sha256 or "")
        except VaultFrozen:
            return  # its deletion came in between
        except VaultMissing:
            if await self._catalogue.placed(file.id, "uploading"):
                raise
            await self._vault.remote.delete(name)
            return  # another server's did
        if not await self._catalogue.placed(file.id, "remote"):
            await self._vault.remote.delete(name)  # another server looked there for it before it arrived
            return
        await self._vault.local.delete(name)
        self.figures.shipped += 1
        self.figures.octets += file.size
        self.figures.waiting -= 1
        self._well_at = self._clock.steady()

    async def _refuse_missing(self, name: str) -> None:
        """A file that is gone is its own trouble, not the store's. Raises LocalDamaged."""
        try:
            await self._vault.local.size(name)
        except VaultMissing:
            raise LocalDamaged from None

    async def _tidy(self) -> None:
        """Remove local files whose copy was verified before a kill."""
        names = await self._vault.local.list()
        for first in range(0, len(names), AT_ONCE):
            await self._drop(names[first : first + AT_ONCE])
        self._tidied = True

    async def _drop(self, names: Sequence[str]) -> None:
        gone = await self._catalogue.remote_among([name.partition(".")[0] for name in names])
        for name in names:
            if name.partition(".")[0] in gone:
                await self._vault.local.delete(name)

    def _failed(self, file: StoredFile | None, fault: Exception) -> None:
        self.figures.failures += 1
        code = fault.code if isinstance(fault, Refusal) else "upload_failed"
        if isinstance(fault, (*_OF_ONE_FILE, VaultLocks, VaultMissing)) or not isinstance(fault, Refusal):
            _log.error("upload.failed", file=file.id if file else None, code=code, exc_info=fault)
        else:
            _log.warning("upload.later", code=code)

    def _alarm_or_not(self, trouble: str) -> None:
        """One alarm when it has gone wrong for long, and another after each such time."""
        now = self._clock.steady()
        if not trouble:
            self._well_at = now
        elif now - self._well_at >= ALARM_SECONDS:
            self._well_at = now
            self.figures.alarms += 1
            _log.error("upload.alarm", code=trouble, count=self.figures.waiting)
