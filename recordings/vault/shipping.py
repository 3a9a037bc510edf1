"""A vault of two places: written on the local disk, moved to a shelf elsewhere once sealed, read from where it is."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

from recordings.vault.reading import Reader
from recordings.vault.store import RemoteShelf, Shelf, Vault, VaultFrozen, VaultMissing, Writer
from telehealth.errors import Reason, Refusal

CHUNK = 4 * 1_048_576  # octets read back at once
_LEAVING = (".sealed", ".manifest")
NeverLeft = Callable[[str], Awaitable[bool]]


class LocalDamaged(Refusal):
    """What lies on our own disk is not what was sealed; it is neither sent nor removed."""

    code: ClassVar[str] = "local_copy_damaged"
    reason = Reason.CONFLICT
    message = "A sealed file on the local disk is damaged. It was not sent; restore it from a backup."


class CopyDiffers(Refusal):
    """What came back is not what was sent; the copy was removed, the local file stays."""

    code: ClassVar[str] = "remote_copy_differs"
    reason = Reason.UNAVAILABLE
    message = "The remote store gave back other bytes than it was given. The file stays here."


class ShippingVault:
    """Capture and sealing touch the local vault alone. `never_left` knows the files (by id) that were never sealed.

    Only sealed files leave, so only they are looked for elsewhere: sealing and recovery go on while that place is down.
    """

    def __init__(self, local: Vault, remote: RemoteShelf, never_left: NeverLeft) -> None:
        self.local = local
        self.remote = remote
        self._never_left = never_left
        self._moving: dict[str, asyncio.Event] = {}  # names on their way, set when their move ended
        self._unwanted: set[str] = set()  # names being deleted: their move breaks off

    async def create(self, name: str) -> Writer:
        return await self.local.create(name)

    async def rename(self, old: str, new: str) -> None:
        await self.local.rename(old, new)

    async def free_bytes(self) -> int:
        return await self.local.free_bytes()

    async def read(self, name: str, offset: int, length: int) -> bytes:
        try:
            return await self.local.read(name, offset, length)
        except VaultMissing:
            if not _leaves(name):
                raise
        return await self.remote.read(name, offset, length)

    async def reader(self, name: str) -> Reader:
        """From the local file while there is one, even when it leaves meanwhile."""
        try:
            return await self.local.reader(name)
        except VaultMissing:
            if not _leaves(name):
                raise
        return await self.remote.reader(name)

    async def size(self, name: str) -> int:
        try:
            return await self.local.size(name)
        except VaultMissing:
            if not _leaves(name):
                raise
        return await self.remote.size(name)

    async def list(self) -> list[str]:
        return sorted({*await self.local.list(), *await self.remote.list()})

    async def sizes(self) -> dict[str, int]:
        """All names and their sizes in octets; the local file's where there are two."""
        return {**await self.remote.sizes(), **await sizes_of(self.local)}

    async def delete(self, name: str) -> None:
        """Remove every copy here and there, versions and begun uploads included; a move under way breaks off first."""
        if not _leaves(name) or await self._never_left(name.partition(".")[0]):
            await self.local.delete(name)
            return
        self._unwanted.add(name)
        try:
            if moving := self._moving.get(name):
                await moving.wait()
            await self.remote.delete(name)
            await self.local.delete(name)
        finally:
            self._unwanted.discard(name)

    async def close(self) -> None:
        await self.local.close()
        await self.remote.close()

    async def ship(self, name: str, size: int, sha256: str) -> None:
        """Have a verified copy elsewhere; the local file stays. Can be broken off anywhere and called again.

        Raises VaultMissing without a local file, LocalDamaged, CopyDiffers, VaultFrozen when it is being deleted, and
        what the remote shelf refuses with.
        """
        with self._on_its_way(name):
            if await self.local.size(name) != size:
                raise LocalDamaged
            if not await self._arrived(name, size):
                await self.remote.upload(name, size, self._checked_source(name, size, sha256))
            await self._verify(name, size, sha256)

    @contextmanager
    def _on_its_way(self, name: str) -> Iterator[None]:
        if name in self._unwanted or name in self._moving:
            raise VaultFrozen
        ended = self._moving[name] = asyncio.Event()
        try:
            yield
        finally:
            del self._moving[name]
            ended.set()

    async def _arrived(self, name: str, size: int) -> bool:
        """Whether an earlier upload ended, of which we only missed the answer; what has another size is removed."""
        try:
            if await self.remote.size(name) == size:
                return True
        except VaultMissing:
            return False
        await self.remote.delete(name)
        return False

    def _checked_source(self, name: str, size: int, sha256: str) -> Callable[[int, int], Awaitable[bytes]]:
        """The local file's octets; the last of them are handed on only if all together are what was sealed."""
        digest = hashlib.sha256()

        async def source(offset: int, length: int) -> bytes:
            if name in self._unwanted:
                raise VaultFrozen
            data = await self.local.read(name, offset, length)
            await asyncio.to_thread(digest.update, data)
            if len(data) != length or (offset + length == size and digest.hexdigest() != sha256):
                raise LocalDamaged
            return data

        return source

    async def _verify(self, name: str, size: int, sha256: str) -> None:
        digest, offset = hashlib.sha256(), 0
        while offset < size and name not in self._unwanted:
            chunk = await self.remote.read(name, offset, min(CHUNK, size - offset))
            if not chunk:
                break
            await asyncio.to_thread(digest.update, chunk)
            offset += len(chunk)
        if name in self._unwanted:
            raise VaultFrozen
        if offset != size or digest.hexdigest() != sha256:
            await self.remote.delete(name)
            raise CopyDiffers


async def sizes_of(shelf: Shelf) -> dict[str, int]:
    """All names and their sizes in octets; what goes away meanwhile is left out."""
    if isinstance(shelf, ShippingVault):
        return await shelf.sizes()
    found: dict[str, int] = {}
    for name in await shelf.list():
        try:
            found[name] = await shelf.size(name)
        except VaultMissing:
            continue
    return found


def _leaves(name: str) -> bool:
    return name.endswith(_LEAVING)
