"""What S3 alone has: signatures, versions, uploads in parts, locks, and a network in between."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from shelves import QUICK, SMALL_PART, a_name, bucket_at, bucket_of, new_bucket, raw_client, remains, source_of

from recordings.vault.s3 import S3Shelf
from recordings.vault.s3client import Bucket, S3PartsMissing
from recordings.vault.store import VaultDenied, VaultFailed, VaultLocks, VaultMissing, VaultUnreachable
from telehealth.secret import Secret
from tests.partners.ceph import Ceph
from tests.partners.moto import Moto

Partners = Callable[[str], Ceph | Moto]


class BrokenOff(Exception):
    """The upload was cut here."""


@pytest.fixture(params=["ceph", "moto"])
def partner(request: pytest.FixtureRequest, partners: Partners) -> Ceph | Moto:
    return partners(request.param)


async def put(shelf: S3Shelf, name: str, content: bytes) -> None:
    await shelf.upload(name, len(content), source_of(content))


async def test_a_forged_signature_is_refused(partners: Partners) -> None:
    ceph = partners("ceph")
    bucket = bucket_at(ceph, await bucket_of(ceph))
    good, name = S3Shelf(bucket, QUICK), a_name()
    await put(good, name, b"ciphertext")
    forger = S3Shelf(replace(bucket, secret_key=Secret("a guess")), QUICK)
    for act in (forger.check(), forger.read(name, 0, 1), forger.delete(name), forger.sizes(), put(forger, name, b"x")):
        with pytest.raises(VaultDenied):
            await act
    stranger = S3Shelf(replace(bucket, access_key=Secret("nobody")), QUICK)
    with pytest.raises(VaultDenied):
        await stranger.read(name, 0, 1)
    assert await good.read(name, 0, 100) == b"ciphertext"
    for shelf in (good, forger, stranger):
        await shelf.close()


async def test_a_deleted_file_leaves_no_version_and_no_begun_upload(partner: Ceph | Moto) -> None:
    bucket = bucket_at(partner, await bucket_of(partner))
    shelf, name, other = S3Shelf(bucket, QUICK, SMALL_PART), a_name(), a_name()
    for content in (b"first", b"second", b"third"):
        await put(shelf, name, content)
    await put(shelf, other, b"another file")
    async with raw_client(partner) as client:
        await client.delete_object(Bucket=bucket.name, Key=bucket.prefix + name)  # leaves a marker
        await client.create_multipart_upload(Bucket=bucket.name, Key=bucket.prefix + name)
    assert (await remains(partner, bucket)).count(bucket.prefix + name) == 5
    await shelf.delete(name)
    assert await remains(partner, bucket) == [bucket.prefix + other]
    await shelf.close()


async def test_an_upload_that_broke_off_goes_on_where_it_was(partner: Ceph | Moto) -> None:
    bucket = bucket_at(partner, await bucket_of(partner))
    shelf, name, content = S3Shelf(bucket, QUICK, SMALL_PART), a_name(), os.urandom(4 * SMALL_PART + 9)
    whole = source_of(content)

    async def cut(offset: int, length: int) -> bytes:
        if offset == 3 * SMALL_PART:
            raise BrokenOff
        return await whole(offset, length)

    with pytest.raises(BrokenOff):
        await shelf.upload(name, len(content), cut)
    assert await shelf.unfinished() == [name]
    assert await shelf.list() == []
    with pytest.raises(VaultMissing):
        await shelf.size(name)
    sent: list[int] = []
    send = shelf._send_part

    async def counted(key: str, upload: str, number: int, data: bytes) -> str:
        sent.append(number)
        return await send(key, upload, number, data)

    shelf._send_part = counted  # type: ignore[method-assign]
    await put(shelf, name, content)
    assert sent == [4, 5]
    assert await shelf.read(name, 0, len(content)) == content
    assert await shelf.unfinished() == []
    await shelf.close()


async def test_a_part_that_is_another_there_is_sent_again(partner: Ceph | Moto) -> None:
    bucket = bucket_at(partner, await bucket_of(partner))
    shelf, name, content = S3Shelf(bucket, QUICK, SMALL_PART), a_name(), os.urandom(2 * SMALL_PART)
    async with raw_client(partner) as client:
        where = {"Bucket": bucket.name, "Key": bucket.prefix + name}
        begun = await client.create_multipart_upload(**where)
        await client.upload_part(**where, UploadId=begun["UploadId"], PartNumber=1, Body=bytes(SMALL_PART))
        await client.create_multipart_upload(**where)
    await put(shelf, name, content)
    assert await shelf.read(name, 0, len(content)) == content
    assert await shelf.unfinished() == []
    await shelf.close()


class Versionless:
    """A client of a store that knows no versions, as some do not."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def made(self) -> Any:
        self._real = await self._client.made()
        return self

    async def close(self) -> None:
        await self._client.close()

    def get_paginator(self, name: str) -> Any:
        return self if name == "list_object_versions" else self._real.get_paginator(name)

    async def paginate(self, **_where: str) -> AsyncIterator[Any]:
        raise ClientError({"Error": {"Code": "NotImplemented"}}, "ListObjectVersions")
        yield

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


async def test_a_store_without_versions_deletes_as_well(partners: Partners) -> None:
    moto = partners("moto")
    bucket = bucket_at(moto, await new_bucket(moto, versions=False))
    shelf, name = S3Shelf(bucket, QUICK), a_name()
    shelf._client = Versionless(shelf._client)  # type: ignore[assignment]
    await put(shelf, name, b"ciphertext")
    await shelf.delete(name)
    await shelf.delete(name)
    assert await remains(moto, bucket) == []
    await shelf.close()


async def test_a_bucket_that_locks_its_objects_is_refused(partner: Ceph | Moto) -> None:
    free = S3Shelf(bucket_at(partner, await new_bucket(partner)), QUICK)
    await free.check()
    name = await new_bucket(partner, versions=False, lock=True)
    locking = S3Shelf(bucket_at(partner, name), QUICK)
    await locking.check()  # locks are possible there, but nothing is locked by itself
    async with raw_client(partner) as client:
        rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
        await client.put_object_lock_configuration(
            Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
        )
    with pytest.raises(VaultLocks):
        await locking.check()
    await free.close()
    await locking.close()


async def test_a_bucket_that_is_not_there_is_missing(partner: Ceph | Moto) -> None:
    shelf = S3Shelf(bucket_at(partner, "no-such-bucket-here"), QUICK)
    for act in (shelf.check(), shelf.list(), put(shelf, a_name(), b"x")):
        with pytest.raises(VaultMissing):
            await act
    await shelf.close()


async def test_what_does_not_answer_is_unreachable_within_seconds(partners: Partners) -> None:
    moto = partners("moto")
    assert isinstance(moto, Moto)
    patience = replace(QUICK, connect=0.1, silence=0.1, attempts=1)
    bucket = bucket_at(moto, await bucket_of(moto))
    silent, refusing = S3Shelf(bucket, patience), S3Shelf(replace(bucket, endpoint="http://127.0.0.1:9"), patience)
    await silent.check()
    moto.freeze()
    try:
        for shelf in (silent, refusing):
            for act in (shelf.read(a_name(), 0, 5), shelf.size(a_name()), shelf.delete(a_name()), shelf.check()):
                with pytest.raises(VaultUnreachable):
                    await act
    finally:
        moto.thaw()
    assert issubclass(VaultUnreachable, VaultFailed)
    await silent.close()
    await refusing.close()


def test_without_its_package_the_store_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiobotocore", None)
    with pytest.raises(S3PartsMissing) as refused:
        S3Shelf(Bucket("clinic"))
    assert "telehealth[aws]" in refused.value.message
