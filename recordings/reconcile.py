"""Comparing store, catalogue and key store both ways. It reports; it never deletes and never mends."""

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

from recordings.catalogue import Catalogue
from recordings.deletionstore import LEAVING
from recordings.rows import FileAt
from recordings.states import State
from recordings.vault.shipping import ShippingVault, sizes_of
from recordings.vault.store import Vault, VaultMissing
from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Code, Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.keys.keystore import KeyStore
from telehealth.log import get_logger

_log = get_logger(__name__)
DAILY_OCTETS = 256 * 1_048_576  # read by a daily round, in files drawn by lot
_CHUNK = 1_048_576


@dataclass(frozen=True, slots=True)
class Discord:
    """What store, catalogue and keys disagree about, by file id.

    Orphans: `files_without_row`, `shares_without_row`, `uploads_without_row` (begun elsewhere and left).
    Missing: `rows_without_file`, `rows_without_share`. Mismatched: `wrong_size`, `wrong_sha256`.
    """

    files_without_row: frozenset[str] = frozenset()
    rows_without_file: frozenset[str] = frozenset()
    shares_without_row: frozenset[str] = frozenset()
    rows_without_share: frozenset[str] = frozenset()
    uploads_without_row: frozenset[str] = frozenset()
    wrong_size: frozenset[str] = frozenset()
    wrong_sha256: frozenset[str] = frozenset()

    def __and__(self, other: "Discord") -> "Discord":
        """What both looks found."""
        return Discord(*(mine & theirs for mine, theirs in zip(self._sets(), other._sets(), strict=True)))

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind there are, kinds without any left out."""
        names = (field.name for field in fields(self))
        return {name: len(found) for name, found in zip(names, self._sets(), strict=True) if found}

    def _sets(self) -> list[frozenset[str]]:
        return [getattr(self, field.name) for field in fields(self)]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one comparison looked at, and what it found."""

    files: int
    read_files: int
    read_octets: int
    discord: Discord


class Reconciler:
    """`last` is the newest comparison of this process, for the metrics."""

    def __init__(self, catalogue: Catalogue, keys: KeyStore, log: AuditLog, vault: Vault) -> None:
        self._catalogue = catalogue
        self._keys = keys
        self._log = log
        self._vault = vault
        self.last: Comparison | None = None

    async def compare(self, actor: Actor, most_octets: int, seed: int) -> Comparison:
        """Names, sizes and shares of everything; SHA-256 of files drawn by lot, as many as fit into `most_octets`.

        Entered in the log. Two looks, so that a file on its way in or out is not taken for an orphan.
        Raises what store, database and key store refuse with: an unfinished comparison finds nothing.
        """
        found = await self._look()
        if found.counts:
            found &= await self._look()
        rows = [row for row in await self._catalogue.inventory() if _is_whole(row)]
        lot = random.Random(seed)  # noqa: S311  # a fair draw, not a secret
        read_files, read_octets, wrong = await self._read(lot.sample(rows, len(rows)), most_octets)
        found = replace(found, wrong_sha256=frozenset(wrong - found.rows_without_file - found.wrong_size))
        done = Comparison(len(rows), read_files, read_octets, found)
        self.last = done
        await self._enter(actor, done)
        return done

    async def _look(self) -> Discord:
        sizes = await sizes_of(self._vault)
        begun = await self._vault.remote.unfinished() if isinstance(self._vault, ShippingVault) else ()
        shares = await self._keys.file_ids()
        rows = await self._catalogue.inventory()
        known = {row.id for row in rows}
        kept = {row.id for row in rows if row.recording_state != State.DELETING and row.state != LEAVING}
        whole = [row for row in rows if _is_whole(row)]
        return Discord(
            files_without_row=_ids(sizes) - known,
            rows_without_file=frozenset(row.id for row in whole if row.name not in sizes),
            shares_without_row=frozenset(shares - known),
            rows_without_share=frozenset(kept - shares),
            uploads_without_row=_ids(begun) - known,
            wrong_size=frozenset(row.id for row in whole if sizes.get(row.name, row.size) != row.size),
        )

    async def _read(self, rows: Sequence[FileAt], most: int) -> tuple[int, int, set[str]]:
        """How many files and octets were read, and whose SHA-256 is another."""
        count = octets = 0
        wrong: set[str] = set()
        for row in rows:
            if octets + row.size > most:
                continue
            count, octets = count + 1, octets + row.size
            try:
                if await self._sha256(row) != row.sha256:
                    wrong.add(row.id)
            except VaultMissing:
                _log.info("reconcile.went_away", file=row.id)  # deleted meanwhile, or missing and counted as that
        return count, octets, wrong

    async def _sha256(self, row: FileAt) -> str:
        digest, offset = hashlib.sha256(), 0
        while offset < row.size and (chunk := await self._vault.read(row.name, offset, _CHUNK)):
            digest.update(chunk)
            offset += len(chunk)
        return digest.hexdigest()

    async def _enter(self, actor: Actor, done: Comparison) -> None:
        counts = done.discord.counts
        for kind, count in counts.items():
            _log.error("recordings.discord", kind=kind, count=count, code="recordings_discord")
        detail: dict[str, Code] = {"files": done.files, "read": done.read_files, "bytes": done.read_octets, **counts}
        outcome = Outcome.FAILED if counts else Outcome.DONE
        await self._log.enter_closing(Entry(Action.RECORDING_RECONCILE, outcome, actor, detail=detail))


def _is_whole(row: FileAt) -> bool:
    return row.state == "sealed" and row.recording_state != State.DELETING


def _ids(names: Mapping[str, int] | Sequence[str]) -> frozenset[str]:
    return frozenset(name.partition(".")[0] for name in names)
