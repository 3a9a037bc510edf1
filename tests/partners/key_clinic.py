"""Keys, database and audit log of a clinic with many recordings, without the recordings: what a turnover works on."""

import asyncio
import datetime
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import insert, select, update

from telehealth.audit.details import FileDetailKeys
from telehealth.audit.log import AuditLog
from telehealth.ids import Kind, new_id
from telehealth.keys.binding import bind
from telehealth.keys.keyring import Keyring, Wrapped
from telehealth.keys.keystore import KeyStore
from telehealth.keys.provider import Provider
from telehealth.keys.rewrap import Turnover
from telehealth.secret import Secret
from telehealth.store.engine import Store
from telehealth.store.tables import files, recordings, users, visits

NOW = datetime.datetime(2026, 11, 2, 9, 0, tzinfo=datetime.UTC)
_EMPTY: list[bytes] = []  # a migrated database without files: made once in a process, then copied
USER, VISIT, RECORDING = "usr_a", "vis_a", "rec_a"


class HandClock:
    """A clock that moves when told."""

    def __init__(self, moment: datetime.datetime = NOW) -> None:
        self.moment = moment

    def now(self) -> datetime.datetime:
        return self.moment

    def steady(self) -> float:
        return self.moment.timestamp()


@dataclass
class KeyClinic:
    """`open` starts everything on `folder`, `close` ends it; `keys` is what each file's key or share must be."""

    folder: Path
    provider: Provider
    clock: HandClock = field(default_factory=HandClock)
    keys: dict[str, bytes] = field(default_factory=dict)

    async def open(self) -> "KeyClinic":
        await self.provider.start()
        self.keyring = Keyring(self.folder / "ring", self.provider, self.clock)
        await self.keyring.start()
        self.keystore = KeyStore(self.folder / "shares", self.provider, self.keyring, self.clock)
        await self.keystore.start()
        self.database = self.folder / "db" / "t.db"
        fresh = not await asyncio.to_thread(self.database.exists)
        if fresh and _EMPTY:
            await asyncio.to_thread(_copy_empty, self.database)
        self.store = await asyncio.to_thread(Store.open, f"sqlite:///{self.database}")
        if fresh and not _EMPTY:
            await self.store.migrate()
            await self._parents()
            await self.store.checkpoint()
            _EMPTY.append(await asyncio.to_thread(self.database.read_bytes))
        secrets = [Secret(letter * 32) for letter in (b"s", b"q", b"w")]
        self.audit = await AuditLog.open(
            self.folder / "audit",
            signing_key=secrets[0],
            pseudonym_key=secrets[1],
            detail_keys=FileDetailKeys(self.folder / "details", secrets[2]),
            clock=self.clock,
            origin="log.example/audit",
        )
        self.turnover = Turnover(
            keyring=self.keyring, keystore=self.keystore, store=self.store, audit=self.audit, clock=self.clock
        )
        return self

    async def close(self) -> None:
        await self.audit.close()
        await self.store.close()
        await self.keystore.close()
        await self.provider.close()

    async def record(self, count: int) -> list[str]:
        """So many files with whole keys, as recordings make them, on five days and in two retention classes."""
        made = [new_id(Kind.FILE) for _ in range(count)]
        rows = []
        for place, file_id in enumerate(made):
            day, kept = NOW.date() - datetime.timedelta(days=place % 5), ("adult", "minor")[place % 2]
            key = await self.keystore.create(file_id, day=day, retention_class=kept)
            self.keys[file_id] = key.dek.reveal()
            rows.append(_row(file_id, Wrapped(key.wrapping_key, key.wrapped_share), key.bucket))
        await self._insert(rows)
        return made

    async def many_shares(self, count: int) -> None:
        """So many database shares alone, which is all a re-wrapping looks at; no buckets."""
        ids = [new_id(Kind.FILE) for _ in range(count)]
        for start in range(0, count, 256):
            batch = ids[start : start + 256]
            wraps = await asyncio.gather(*(self._share(file_id) for file_id in batch))
            await self._insert([_row(*made, "bkt_none") for made in zip(batch, wraps, strict=True)])

    async def delete(self, file_ids: Sequence[str]) -> None:
        """As a recording's deletion does it: shares destroyed, rows emptied, nothing left in the write-ahead log."""
        done = await self.keystore.destroy(file_ids)
        if done.unknown:
            raise LookupError(done.unknown)
        gone = update(files).where(files.c.id.in_(file_ids)).values(state="gone", wrapped_share=b"")
        async with self.store.begin() as connection:
            await connection.execute(gone)
        await self.store.checkpoint()

    async def opens(self, file_id: str) -> bool:
        """Whether the file's key comes back and is the right one. Raises what the key store refuses with."""
        row = (await self.rows())[file_id]
        dek = await self.keystore.open(file_id, wrapped_share=row.blob, wrapping_key=row.wrapping_key)
        return dek.reveal() == self.keys[file_id]

    async def share_opens(self, file_id: str, wrapped: Wrapped) -> bool:
        """Whether the share comes back under the key its row names."""
        context = bind("telehealth/share/1", file_id)
        return (await self.keyring.unwrap(wrapped, context)).reveal() == self.keys[file_id]

    async def rows(self) -> dict[str, Wrapped]:
        """What the database says of each file."""
        async with self.store.read() as connection:
            found = await connection.execute(select(files.c.id, files.c.wrapping_key, files.c.wrapped_share))
            return {row.id: Wrapped(row.wrapping_key, row.wrapped_share) for row in found}

    async def _share(self, file_id: str) -> Wrapped:
        share = os.urandom(32)
        self.keys[file_id] = share
        return await self.keyring.wrap(Secret(share), bind("telehealth/share/1", file_id))

    async def _insert(self, rows: Sequence[dict[str, object]]) -> None:
        async with self.store.begin() as connection:
            await connection.execute(insert(files), rows)

    async def _parents(self) -> None:
        user = {"role": "clinician", "login_lookup": b"l" * 32, "login_sealed": b"", "name_sealed": b""}
        visit = {"state": "ended", "patient_name_sealed": b"", "minutes": 30, "assurance": "standard"}
        async with self.store.begin() as connection:
            await connection.execute(insert(users).values(id=USER, recovery_hashes=[], created_at=NOW, **user))
            await connection.execute(
                insert(visits).values(
                    id=VISIT,
                    clinician_id=USER,
                    patient_lookup=b"p" * 32,
                    scheduled_at=NOW,
                    recording_planned=True,
                    created_at=NOW,
                    **visit,
                )
            )
            await connection.execute(
                insert(recordings).values(
                    id=RECORDING,
                    visit_id=VISIT,
                    clinician_id=USER,
                    patient_lookup=b"p" * 32,
                    retention_class="adult",
                    state="sealed",
                    started_at=NOW,
                )
            )


def _copy_empty(database: Path) -> None:
    database.parent.mkdir(parents=True, mode=0o700)
    database.write_bytes(_EMPTY[0])
    database.chmod(0o600)


def _row(file_id: str, wrapped: Wrapped, bucket: str) -> dict[str, object]:
    return {
        "id": file_id,
        "recording_id": RECORDING,
        "kind": "track",
        "part": 0,
        "state": "sealed",
        "day": NOW.date().isoformat(),
        "bucket": bucket,
        "wrapping_key": wrapped.wrapping_key,
        "wrapped_share": wrapped.blob,
        "created_at": NOW,
    }
