"""Whole files in a bucket of S3, or of anything that speaks its language. Nothing here is ever locked."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from recordings.vault.reading import Reader, ShelfReader
from recordings.vault.s3client import DENIED, GONE, Bucket, Client, Patience, code_of, named_faults
from recordings.vault.store import (
    Source,
    VaultFailed,
    VaultLocks,
    VaultUnreachable,
    checked_name,
    is_ours,
)

PART = 8 * 1_048_576  # octets of an upload's part; one is in memory at a time
_MOST_PARTS = 9_000  # S3 takes 10,000
_ROUNDS = 100  # of listing and deleting until nothing is left
_CANNOT_SAY = {"ObjectLockConfigurationNotFoundError", "NotImplemented", "MethodNotAllowed"}
_NO_VERSIONS = {"NotImplemented", "MethodNotAllowed"}


class S3Shelf:
    """One client, connected at first use. An upload that broke off is found there again, so nothing is kept here."""

    def __init__(self, bucket: Bucket, patience: Patience | None = None, part: int = PART) -> None:
        """Raises S3PartsMissing."""
        self._bucket = bucket
        self._patience = patience or Patience()
        self._client = Client(bucket, self._patience)
        self._part = part

    async def check(self) -> None:
        async with self._asking() as client:
            await client.head_bucket(Bucket=self._bucket.name)
            try:
                found = await client.get_object_lock_configuration(Bucket=self._bucket.name)
            except Exception as fault:
                if code_of(fault) not in {*_CANNOT_SAY, *DENIED}:
                    raise
                return
        if found.get("ObjectLockConfiguration", {}).get("Rule"):
            raise VaultLocks

    async def read(self, name: str, offset: int, length: int) -> bytes:
        key = self._key(name)
        if length <= 0:
            return b""
        for left in reversed(range(self._patience.attempts)):
            try:
                return await self._read(key, offset, length)
            except VaultUnreachable:
                if not left:
                    raise
        raise VaultUnreachable

    async def reader(self, name: str) -> Reader:
        return ShelfReader(self, name)

    async def size(self, name: str) -> int:
        async with self._asking() as client:
            answer = await client.head_object(**self._at(self._key(name)))
        return int(answer["ContentLength"])

    async def sizes(self) -> dict[str, int]:
        async with self._asking() as client:
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket.name, Prefix=self._bucket.prefix
            )
            listed = [(item["Key"], int(item["Size"])) async for page in pages for item in page.get("Contents", ())]
        return {name: size for key, size in listed if is_ours(name := self._name(key))}

    async def list(self) -> list[str]:
        return sorted(await self.sizes())

    async def unfinished(self) -> Sequence[str]:
        async with self._asking() as client:
            begun = await self._begun(client, self._bucket.prefix)
        return sorted({name for key, _ in begun if is_ours(name := self._name(key))})

    async def upload(self, name: str, size: int, source: Source) -> None:
        key = self._key(name)
        part = max(self._part, -(-size // _MOST_PARTS))
        first = await source(0, min(part, size))  # before anything is begun there
        if size <= part:
            async with self._asking() as client:
                await client.put_object(**self._at(key), Body=first)
            return
        async with self._asking() as client:
            upload, there = await self._resumed(client, key)
        parts: list[dict[str, Any]] = []
        for number, offset in enumerate(range(0, size, part), 1):
            data = first if offset == 0 else await source(offset, min(part, size - offset))
            first = b""
            tag = await asyncio.to_thread(_tag, data)
            if there.get(number) != (len(data), tag):
                tag = await self._send_part(key, upload, number, data)
            parts.append({"PartNumber": number, "ETag": f'"{tag}"'})
        async with self._asking() as client:
            await client.complete_multipart_upload(**self._at(key), UploadId=upload, MultipartUpload={"Parts": parts})

    async def delete(self, name: str) -> None:
        """All versions, all markers, all unfinished uploads; returns when a listing shows nothing of it any more."""
        key = self._key(name)
        async with self._asking() as client:
            for _ in range(_ROUNDS):
                begun = [upload for found, upload in await self._begun(client, key) if found == key]
                versions = await self._versions(client, key)
                if not begun and not versions:
                    return
                for upload in begun:
                    await self._abandon(client, key, upload)
                for version in versions:
                    await client.delete_object(**self._at(key), **({"VersionId": version} if version else {}))
        raise VaultFailed

    async def close(self) -> None:
        await self._client.close()

    def _key(self, name: str) -> str:
        return self._bucket.prefix + checked_name(name)

    def _name(self, key: str) -> str:
        return key.removeprefix(self._bucket.prefix)

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket.name, "Key": key}

    async def _read(self, key: str, offset: int, length: int) -> bytes:
        async with self._asking() as client:
            try:
                answer = await client.get_object(**self._at(key), Range=f"bytes={offset}-{offset + length - 1}")
            except Exception as fault:
                if code_of(fault) in ("InvalidRange", "416"):
                    return b""
                raise
            async with answer["Body"] as body:
                found: bytes = await body.read()
        return found

    async def _send_part(self, key: str, upload: str, number: int, data: bytes) -> str:
        async with self._asking() as client:
            sent = await client.upload_part(**self._at(key), UploadId=upload, PartNumber=number, Body=data)
        return str(sent["ETag"]).strip('"')

    async def _resumed(self, client: Any, key: str) -> tuple[str, dict[int, tuple[int, str]]]:
        """An upload of this key, and its parts that are there already: number → size, tag. Others are given up."""
        begun = [upload for found, upload in await self._begun(client, key) if found == key]
        for upload in begun[1:]:
            await self._abandon(client, key, upload)
        if not begun:
            made = await client.create_multipart_upload(**self._at(key), ContentType="application/octet-stream")
            return str(made["UploadId"]), {}
        pages = client.get_paginator("list_parts").paginate(**self._at(key), UploadId=begun[0])
        parts = [part async for page in pages for part in page.get("Parts", ())]
        return begun[0], {part["PartNumber"]: (int(part["Size"]), part["ETag"].strip('"')) for part in parts}

    async def _begun(self, client: Any, prefix: str) -> Sequence[tuple[str, str]]:
        pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket.name, Prefix=prefix)
        return [(item["Key"], item["UploadId"]) async for page in pages for item in page.get("Uploads", ())]

    async def _abandon(self, client: Any, key: str, upload: str) -> None:
        try:
            await client.abort_multipart_upload(**self._at(key), UploadId=upload)
        except Exception as fault:
            if code_of(fault) not in GONE:
                raise

    async def _versions(self, client: Any, key: str) -> Sequence[str | None]:
        """Ids of versions and markers; [None] where the store knows no versions and the object is there."""
        pages = client.get_paginator("list_object_versions").paginate(Bucket=self._bucket.name, Prefix=key)
        try:
            return [
                item["VersionId"]
                async for page in pages
                for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
                if item["Key"] == key
            ]
        except Exception as fault:
            if code_of(fault) not in _NO_VERSIONS:
                raise
        found = await client.list_objects_v2(Bucket=self._bucket.name, Prefix=key)
        return [None for item in found.get("Contents", ()) if item["Key"] == key]

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[Any]:
        """The client, its faults named."""
        with named_faults():
            yield await self._client.made()


def _tag(data: bytes) -> str:
    """What S3 answers for a part that arrived whole."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
