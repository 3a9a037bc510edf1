"""Where sealed recordings end up: the vault, what moves files to it, and what compares it with what is known."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recordings.catalogue import Catalogue
from recordings.reconcile import DAILY_OCTETS, Comparison, Reconciler
from recordings.upload import Uploader
from recordings.vault.disk import DiskVault
from recordings.vault.home import MARKER, Home
from recordings.vault.s3 import S3Shelf
from recordings.vault.s3client import Bucket
from recordings.vault.shipping import ShippingVault
from recordings.vault.store import Vault
from telehealth.audit.entry import SYSTEM
from telehealth.base import Base
from telehealth.config import Config, read_secret
from telehealth.ids import Entropy
from telehealth.log import get_logger
from telehealth.sections import Store

if TYPE_CHECKING:
    from telehealth.web.metrics import Metrics

MOST_LOOKED_FOR = 500  # files, to know the vault again by
FIRST_SECONDS = 300.0  # from the start to the first comparison
DAY_SECONDS = 86_400.0
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Storing:
    """The vault; `uploader` is there with a store elsewhere."""

    vault: Vault
    reconciler: Reconciler
    uploader: Uploader | None
    entropy: Entropy

    def workers(self) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        """Long-running tasks, by name."""
        uploads = [] if self.uploader is None else [("uploads", self.uploader.run())]
        return [("reconcile", self.daily()), *uploads]

    def measure(self, metrics: "Metrics") -> None:
        """Figures of uploads and of the last comparison."""
        if self.uploader is not None:
            figures = self.uploader.figures
            metrics.gauge("store_shipped", "Files moved to the remote store", lambda: float(figures.shipped))
            metrics.gauge("store_shipped_bytes", "Octets moved there", lambda: float(figures.octets))
            metrics.gauge("store_failures", "Failed moves", lambda: float(figures.failures))
            metrics.gauge("store_alarms", "Alarms about moves that fail for long", lambda: float(figures.alarms))
            metrics.gauge("store_waiting", "Sealed files still here alone", lambda: float(figures.waiting))
            metrics.gauge("store_trouble", "1 while moves fail", lambda: float(bool(figures.trouble)))
        metrics.gauge("reconcile_discord", "What the last comparison found; -1 before the first", self._discord)

    async def compare(self, most_octets: int = DAILY_OCTETS) -> Comparison:
        """One comparison by the server itself."""
        return await self.reconciler.compare(SYSTEM, most_octets, int.from_bytes(self.entropy(8), "big"))

    async def daily(self, first: float = FIRST_SECONDS, every: float = DAY_SECONDS) -> None:
        """Compare once a day; a comparison that fails is logged and the next one comes."""
        await asyncio.sleep(first)
        while True:
            try:
                await self.compare()
            except Exception:  # noqa: BLE001  # logged; the next day comes
                _log.error("reconcile.failed", code="reconcile_failed", exc_info=True)
            await asyncio.sleep(every)

    def _discord(self) -> float:
        last = self.reconciler.last
        return -1.0 if last is None else float(sum(last.discord.counts.values()))


async def storing_of(config: Config, base: Base, entropy: Entropy) -> Storing:
    """The configured store; only the vault's marker is looked at.

    Raises ConfigRefused for a secret's file, S3PartsMissing.
    """
    catalogue = Catalogue(base.store)
    home = Home(config.places.recordings, config.places.keys / MARKER)
    known = () if await asyncio.to_thread(home.is_kept) else await _known(catalogue)
    await asyncio.to_thread(home.settle, known, entropy)
    vault: Vault = DiskVault(config.places.recordings, home=home)
    uploader = None
    if config.store.kind == "s3":
        remote = S3Shelf(await asyncio.to_thread(bucket_of, config.store))
        vault = shipping = ShippingVault(vault, remote, catalogue.never_sealed)
        uploader = Uploader(catalogue, shipping, base.clock)
    reconciler = Reconciler(catalogue, base.keystore, base.log, vault)
    return Storing(vault, reconciler, uploader, entropy)


async def _known(catalogue: Catalogue) -> set[str]:
    """Names of files that the local vault should hold."""
    files = {file.id: file.name for file in await catalogue.inventory() if file.size}
    elsewhere = await catalogue.remote_among(tuple(files)[:MOST_LOOKED_FOR])
    return {name for id_, name in tuple(files.items())[:MOST_LOOKED_FOR] if id_ not in elsewhere}


def bucket_of(section: Store) -> Bucket:
    """The configured bucket with its keys. Blocks. Raises ConfigRefused."""
    access, secret = section.access_key_file, section.secret_key_file
    return Bucket(
        name=section.bucket,
        region=section.region,
        endpoint=section.endpoint or None,
        prefix=section.prefix,
        access_key=None if access is None else read_secret(access),
        secret_key=None if secret is None else read_secret(secret),
        ca_file=section.ca_file,
    )
