"""The second half of every file's key: shares in buckets that can be made unreadable for good.

A file's key is HKDF-SHA-512(share_db ‖ share_ks, no salt, info "telehealth/dek/1" ‖ file id), 32 bytes (RFC 5869).
share_db goes out wrapped by the keyring, for the database; share_ks (32 bytes) lies only here, in a bucket of its
capture day, retention class and hold (`bucket` has the bytes). At any time a share lies in one bucket, and every epoch
key it was ever written under, but the present one, is destroyed. So destroying that one ends all copies of the share.
"""

import asyncio
import datetime
import os
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from telehealth.clock import Clock
from telehealth.errors import WrongState
from telehealth.ids import Entropy, Kind, new_id
from telehealth.keys.binding import bind
from telehealth.keys.bucket import CAPACITY, SHARE, Bucket, refuse_malformed, with_shares
from telehealth.keys.evidence import Destruction, EpochChange, KeyStoreStatus, NewKey
from telehealth.keys.generations import Generations, StillOpens, new_epoch
from telehealth.keys.index import Group, Index
from telehealth.keys.journal import Ended, Journal, Step
from telehealth.keys.keyring import Keyring, Wrapped
from telehealth.keys.provider import KeyDestroyed, Provider, UnwrapFailed
from telehealth.keys.refusals import Held, KeyStoreUnavailable, ShareExists
from telehealth.keys.rotation import Rotation
from telehealth.keys.shelf import Shelf
from telehealth.keys.unbroken import unbroken
from telehealth.log import get_logger
from telehealth.secret import Secret

log = get_logger(__name__)
T = TypeVar("T")
PATIENCE = 5.0  # seconds to wait for our turn


class KeyStore:
    """One process at a time owns the folder. Call `start()` first and `close()` last.

    `second`: another folder that holds all this too. A write counts in both; a start brings one that fell behind up.
    `turns`: several servers share the folder; each has it for one operation, and reads anew what another changed.
    """

    def __init__(
        self,
        folder: Path,
        provider: Provider,
        keyring: Keyring,
        clock: Clock,
        *,
        second: Path | None = None,
        turns: bool = False,
        entropy: Entropy = os.urandom,
    ) -> None:
        self._provider = provider
        self._keyring = keyring
        self._clock = clock
        self._entropy = entropy
        self._shelf = Shelf((folder,) if second is None else (folder, second))
        self._journal = Journal(*self._shelf.places)
        self._generations = Generations(self._shelf, provider, entropy)
        self._rotation = Rotation(self._shelf, self._journal, provider, clock, entropy)
        self._lock = asyncio.Lock()  # one change or look at a time: a hold cannot slip between check and destruction
        self._index: Index | None = None  # None: disk and memory may differ, read anew first
        self._turns = turns
        self._open = False

    async def start(self) -> None:
        """Take the folder and finish what a kill interrupted. Raises KeyStoreBusy, KeysExposed, KeyStoreDamaged."""
        async with self._lock:
            try:
                await unbroken(asyncio.to_thread(self._shelf.claim, PATIENCE if self._turns else 0.0))
                self._index = await unbroken(self._rotation.resolve())
                if self._turns:
                    await asyncio.to_thread(self._shelf.changed)
            except BaseException:
                self._shelf.release()
                raise
            self._open = True
            if self._turns:
                self._shelf.release()

    async def close(self) -> None:
        """Give the folder back."""
        async with self._lock:
            self._shelf.release()
            self._index, self._open = None, False

    async def create(self, file_id: str, *, day: datetime.date, retention_class: str) -> NewKey:
        """A new file's key; its share is on disk when this returns. Raises ShareExists, Malformed."""
        refuse_malformed(file_id, retention_class)
        share_db, share_ks = Secret(self._entropy(SHARE)), self._entropy(SHARE)
        wrapped = await self._keyring.wrap(share_db, _share_context(file_id))
        async with self._settled() as index:
            if index.find(file_id) is not None:
                raise ShareExists
            group = Group(day, retention_class, held=False)
            await self._change(self._fill(index, group, {file_id: share_ks}))
            bucket = _bucket_of(index, file_id)
        return NewKey(_dek(file_id, share_db, share_ks), wrapped.blob, wrapped.wrapping_key, bucket)

    async def open(self, file_id: str, *, wrapped_share: bytes, wrapping_key: str) -> Secret[bytes]:
        """The file's key. Raises KeyDestroyed, StillOpens before it is proven, UnwrapFailed, KeyServiceUnavailable."""
        async with self._readable() as index:
            header = index.find(file_id)
            if header is None:
                raise StillOpens if file_id in index.unended else KeyDestroyed
            share_ks = (await self._generations.read(header)).shares[file_id]
        share_db = await self._keyring.unwrap(Wrapped(wrapping_key, wrapped_share), _share_context(file_id))
        return _dek(file_id, share_db, share_ks)

    async def rewrap(self, file_id: str, *, wrapped_share: bytes, wrapping_key: str) -> Wrapped:
        """The database's share under the current wrapping key; media and buckets stay as they are."""
        return await self._keyring.rewrap(Wrapped(wrapping_key, wrapped_share), _share_context(file_id))

    async def hold(self, file_ids: Iterable[str]) -> None:
        """Put all of these under hold, durably; held ones stay so. Raises KeyDestroyed before anything moved."""
        await self._move(frozenset(file_ids), held=True)

    async def release(self, file_ids: Iterable[str]) -> None:
        """Take the hold off all of these; those without one stay so. Raises KeyDestroyed before anything moved."""
        await self._move(frozenset(file_ids), held=False)

    async def destroy(self, file_ids: Iterable[str]) -> Destruction:
        """End these files' shares for good; asking again finishes or repeats the evidence.

        Raises Held before anything was touched. After KeyServiceUnavailable or a kill, ask again.
        """
        wanted = frozenset(file_ids)
        async with self._settled() as index:
            headers = [header for file_id in wanted if (header := index.find(file_id)) is not None]
            if any(header.held for header in headers):
                raise Held
            drops = {header.bucket: wanted.intersection(header.files) for header in headers}
            if drops:
                await self._change(self._rotation.take_out(index, drops, destroys=True))
            ended = await asyncio.to_thread(self._journal.ended, wanted)
        return self._destruction(wanted, ended)

    async def present(self, file_id: str) -> bool:
        """Whether the file's share is here."""
        async with self._settled() as index:
            return index.find(file_id) is not None

    async def file_ids(self) -> frozenset[str]:
        """All files that have a share here, for reconciling with the catalogue."""
        async with self._settled() as index:
            return index.file_ids()

    async def held(self, file_id: str) -> bool:
        """Whether the file's share lies under hold."""
        async with self._settled() as index:
            header = index.find(file_id)
            return header is not None and header.held

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """While this is held no share is made, moved or destroyed: a copy of the folder is of one moment."""
        async with self._settled():
            yield

    async def status(self) -> KeyStoreStatus:
        """How it stands. Raises KeyServiceUnavailable."""
        async with self._settled() as index:
            alive = await self._provider.names("epoch-")
            on_disk = (await asyncio.to_thread(self._shelf.headers)).values()
        ring = self._keyring.status()
        return KeyStoreStatus(
            buckets=len(index.headers()),
            shares=len(index.file_ids()),
            held=index.held(),
            places=len(self._shelf.places),
            epoch_keys=len(alive),
            lost_buckets=tuple(sorted({header.bucket for header in on_disk if header.epoch not in alive})),
            stray_epoch_keys=tuple(sorted(alive - {header.epoch for header in on_disk})),
            wrapping_key=ring.wrapping_key,
            rotation_due=ring.rotation_due,
            provider=self._provider.name,
            assurance=self._provider.assurance,
        )

    @asynccontextmanager
    async def _settled(self) -> AsyncIterator[Index]:
        """As `_readable`, with nothing `unended`: an old key that would not end is told again. Raises StillOpens."""
        async with self._readable(again=True) as index:
            if index.unended:
                raise StillOpens
            yield index

    @asynccontextmanager
    async def _readable(self, *, again: bool = False) -> AsyncIterator[Index]:
        """The lock, and an index that tells what the disk holds."""
        async with self._lock:
            if not self._open:
                raise WrongState
            try:
                if self._turns:
                    await unbroken(self._taken())
                if self._index is None or (again and self._index.unended):
                    self._index = await unbroken(self._rotation.resolve())
                yield self._index
            except OSError as error:
                log.error("keys.disk_failed", exception_type=type(error).__name__)
                raise KeyStoreUnavailable from error
            finally:
                if self._turns:
                    self._shelf.release()

    async def _taken(self) -> None:
        """Our turn with the folder. Raises KeyStoreBusy."""
        await asyncio.to_thread(self._shelf.claim, PATIENCE)
        if await asyncio.to_thread(self._shelf.changed):
            self._index = None

    async def _change(self, work: Coroutine[Any, Any, T]) -> T:
        """Change the disk to the end; should it fail, what memory says is dropped and the next caller reads anew."""
        index, self._index = self._index, None
        result = await unbroken(self._marked(work) if self._turns else work)
        self._index = index
        return result

    async def _marked(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            await asyncio.to_thread(self._shelf.changing)
        except BaseException:
            work.close()
            raise
        return await work

    async def _move(self, file_ids: frozenset[str], *, held: bool) -> None:
        """Copy to buckets of the other kind, then take out of the old ones; until then, held copies win."""
        async with self._settled() as index:
            headers = {file_id: index.find(file_id) for file_id in file_ids}
            drops: dict[str, set[str]] = {}
            for file_id, header in headers.items():
                if header is None:
                    raise KeyDestroyed
                if header.held != held:
                    drops.setdefault(header.bucket, set()).add(file_id)
            if drops:
                await self._change(
                    self._carry(index, {bucket: frozenset(moved) for bucket, moved in drops.items()}, held)
                )

    async def _carry(self, index: Index, drops: dict[str, frozenset[str]], held: bool) -> None:
        for bucket, moved in drops.items():
            header = index.header(bucket)
            shares = (await self._generations.read(header)).shares
            group = Group(header.day, header.retention_class, held)
            await self._fill(index, group, {file_id: shares[file_id] for file_id in moved})
        await self._rotation.take_out(index, drops, destroys=False)

    async def _fill(self, index: Index, group: Group, shares: dict[str, bytes]) -> None:
        """Add shares to buckets of this group, beginning new ones where none has room."""
        left = sorted(shares)
        while left:
            bucket = await self._roomy(index, group)
            room = CAPACITY - (len(bucket.shares) if bucket else 0)
            added, left = {file_id: shares[file_id] for file_id in left[:room]}, left[room:]
            if bucket is None:
                await self._bear(index, group, added)
            else:
                fuller = with_shares(bucket, bucket.shares | added)
                await self._generations.write(fuller)
                index.put(fuller.header)

    async def _roomy(self, index: Index, group: Group) -> Bucket | None:
        """A bucket with room; one that does not open is alarmed and passed over, new files must not hang on it."""
        for header in index.roomy(group):
            try:
                return await self._generations.read(header)
            except (UnwrapFailed, KeyDestroyed) as refusal:
                log.error("keys.bucket_unreadable", bucket=header.bucket, code=refusal.code)
        return None

    async def _bear(self, index: Index, group: Group, shares: dict[str, bytes]) -> None:
        step = Step(bucket=new_id(Kind.BUCKET, self._entropy), old=None, new=new_epoch(self._entropy))
        await asyncio.to_thread(self._journal.begin, (step,))
        born = await self._generations.begin(step.bucket, step.new or "", group, shares)
        await asyncio.to_thread(self._journal.clear)
        index.put(born.header)

    def _destruction(self, wanted: frozenset[str], ended: list[Ended]) -> Destruction:
        gone = wanted & {file_id for record in ended for file_id in record.step.leaves}
        return Destruction(
            file_ids=tuple(sorted(gone)),
            buckets=tuple(EpochChange(record.step.bucket, record.step.old or "", record.step.new) for record in ended),
            destroyed_at=max((record.at for record in ended), default=self._clock.now()),
            read_back=KeyDestroyed.code,
            provider=self._provider.name,
            assurance=self._provider.assurance,
            unknown=tuple(sorted(wanted - gone)),
        )


def _bucket_of(index: Index, file_id: str) -> str:
    header = index.find(file_id)
    if header is None:
        raise LookupError(file_id)
    return header.bucket


def _share_context(file_id: str) -> bytes:
    return bind("telehealth/share/1", file_id)


def _dek(file_id: str, share_db: Secret[bytes], share_ks: bytes) -> Secret[bytes]:
    derive = HKDF(algorithm=hashes.SHA512(), length=32, salt=None, info=b"telehealth/dek/1" + file_id.encode("ascii"))
    return Secret(derive.derive(share_db.reveal() + share_ks))
