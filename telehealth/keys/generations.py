"""The generations of buckets: each begins under an epoch key of its own and dies with it."""

import asyncio
import base64
import os

from telehealth.errors import Malformed, Reason, Refusal
from telehealth.ids import Entropy
from telehealth.keys.bucket import Bucket, Header, key_context, open_bucket, parse_header, seal_bucket
from telehealth.keys.index import Group
from telehealth.keys.provider import KeyDestroyed, Provider, UnwrapFailed
from telehealth.keys.shelf import Shelf
from telehealth.secret import Secret


class ReadBackFailed(Refusal):
    """A bucket just written does not open again from disk; its predecessor stays in force."""

    code = "key_read_back_failed"
    reason = Reason.UNAVAILABLE
    message = "The key store could not read back what it wrote. Nothing was destroyed."


class StillOpens(Refusal):
    """The provider said that a key is destroyed, and it still opens the old bucket."""

    code = "key_still_opens"
    reason = Reason.UNAVAILABLE
    message = "A key that was to be destroyed still works. The deletion is not finished."


def new_epoch(entropy: Entropy) -> str:
    """A key name never used before: `epoch-` and 130 random bits."""
    return f"epoch-{base64.b32encode(entropy(17)).decode('ascii')[:26].lower()}"


class Generations:
    """Reads and writes single generations; which of them counts is the key store's to know."""

    def __init__(self, shelf: Shelf, provider: Provider, entropy: Entropy = os.urandom) -> None:
        self._shelf = shelf
        self._provider = provider
        self._entropy = entropy

    async def read(self, header: Header) -> Bucket:
        """The bucket whose authenticated header is exactly this one. Raises KeyDestroyed, UnwrapFailed."""
        key = await self._data_key(header)
        for blob in await asyncio.to_thread(self._shelf.blobs, header.file_name):
            bucket = _opened(blob, key)
            if bucket is not None and bucket.header == header:
                return bucket
        raise UnwrapFailed

    async def begin(self, bucket: str, epoch: str, group: Group, shares: dict[str, bytes]) -> Bucket:
        """Write the first revision under a new epoch key and prove that it opens again. Raises ReadBackFailed."""
        await self._provider.create(epoch)
        key = Secret(self._entropy(32))
        header = Header.model_validate(
            {
                "bucket": bucket,
                "epoch": epoch,
                "day": group.day,
                "class": group.retention_class,
                "held": group.held,
                "files": tuple(sorted(shares)),
                "revision": 1,
                "wrapped": (await self._provider.wrap(epoch, key.reveal(), key_context(bucket))).hex(),
            }
        )
        fresh = Bucket(header, key, shares)
        await self.write(fresh)
        await self._read_back(fresh)
        return fresh

    async def write(self, bucket: Bucket) -> None:
        """Put this revision in every place, durably."""
        await asyncio.to_thread(self._shelf.put, bucket.header.file_name, seal_bucket(bucket, self._entropy(12)))

    async def end(self, header: Header) -> None:
        """Destroy the epoch key and prove that the blob still on disk no longer opens. Raises StillOpens."""
        await self._provider.destroy(header.epoch)
        if await self._provider.exists(header.epoch):
            raise StillOpens
        try:
            await self._data_key(header)
        except KeyDestroyed:
            return
        raise StillOpens

    async def drop(self, file_name: str) -> None:
        """Remove the bytes of a generation from every place."""
        await asyncio.to_thread(self._shelf.drop, file_name)

    async def _read_back(self, fresh: Bucket) -> None:
        """Open what each place holds now, from disk and through the provider, and compare every share."""
        blobs = await asyncio.to_thread(self._shelf.blobs, fresh.header.file_name)
        if len(blobs) != len(self._shelf.places):
            raise ReadBackFailed
        for blob in blobs:
            again = _opened(blob, await self._data_key(_header(blob)))
            if again is None or again.header != fresh.header or again.shares != fresh.shares:
                raise ReadBackFailed

    async def _data_key(self, header: Header) -> Secret[bytes]:
        return Secret(await self._provider.unwrap(header.epoch, header.wrapped_key, key_context(header.bucket)))


def _header(blob: bytes) -> Header:
    try:
        return parse_header(blob)[0]
    except Malformed as error:
        raise ReadBackFailed from error


def _opened(blob: bytes, key: Secret[bytes]) -> Bucket | None:
    try:
        return open_bucket(blob, key)
    except (UnwrapFailed, Malformed):
        return None
