"""The stores under test, each on a real partner, and how a whole file gets onto each of them."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from recordings.vault.disk import DiskVault
from recordings.vault.s3 import S3Shelf
from recordings.vault.s3client import Bucket, Patience, session_of
from recordings.vault.shipping import ShippingVault
from recordings.vault.store import Shelf
from telehealth.ids import Kind, new_id
from telehealth.secret import Secret
from tests.partners.ceph import Ceph
from tests.partners.moto import Moto

SMALL_PART = 65_536  # both partners are told to take parts as small as this
QUICK = Patience(connect=5.0, silence=10.0, attempts=2)
Put = Callable[[str, bytes], Awaitable[None]]


def a_name(kind: str = "sealed") -> str:
    return f"{new_id(Kind.FILE)}.{kind}"


@dataclass
class Stocked:
    """A shelf, and a way to put whole files on it."""

    shelf: Shelf
    put: Put


def source_of(content: bytes) -> Callable[[int, int], Awaitable[bytes]]:
    async def source(offset: int, length: int) -> bytes:
        return content[offset : offset + length]

    return source


async def write(vault: DiskVault, name: str, content: bytes) -> None:
    """A whole file, as sealing leaves it."""
    unfinished = name.partition(".")[0] + ".sealing"
    writer = await vault.create(unfinished)
    await writer.append(content)
    await writer.sync()
    await writer.close()
    await vault.rename(unfinished, name)


def keys_of(partner: Ceph | Moto) -> tuple[str, str]:
    return (partner.access, partner.secret) if isinstance(partner, Ceph) else ("testing", "testing")


def bucket_at(partner: Ceph | Moto, name: str, **changes: object) -> Bucket:
    """The bucket as our own store sees it, under a prefix of its own."""
    access, secret = keys_of(partner)
    values = {
        "name": name,
        "endpoint": partner.url,
        "prefix": f"clinic-{os.urandom(4).hex()}/recordings/",
        "access_key": Secret(access),
        "secret_key": Secret(secret),
    }
    return Bucket(**{**values, **changes})  # type: ignore[arg-type]


@asynccontextmanager
async def raw_client(partner: Ceph | Moto) -> AsyncIterator[object]:
    """The partner without our store in between, as an auditor would look."""
    access, secret = keys_of(partner)
    session = await asyncio.to_thread(session_of, partner.region)
    making = session.create_client(
        "s3",
        endpoint_url=partner.url,
        region_name=partner.region,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
    )
    async with making as client:
        yield client


_ONE_FOR_ALL: dict[str, str] = {}


async def bucket_of(partner: Ceph | Moto) -> str:
    """The partner's one bucket for all tests; each test has a prefix of its own in it."""
    if partner.url not in _ONE_FOR_ALL:
        _ONE_FOR_ALL[partner.url] = await new_bucket(partner)
    return _ONE_FOR_ALL[partner.url]


async def new_bucket(partner: Ceph | Moto, *, versions: bool = True, lock: bool = False) -> str:
    """A fresh bucket that keeps versions, so that deleting must reach all of them."""
    name = f"clinic-{os.urandom(6).hex()}"
    async with raw_client(partner) as client:
        await client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock)
        if versions:
            await client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


async def remains(partner: Ceph | Moto, bucket: Bucket) -> list[str]:
    """Keys of every version, marker and begun upload under the bucket's prefix."""
    where = {"Bucket": bucket.name, "Prefix": bucket.prefix}
    async with raw_client(partner) as client:
        versions = await client.list_object_versions(**where)
        begun = await client.list_multipart_uploads(**where)
    items = [*versions.get("Versions", ()), *versions.get("DeleteMarkers", ()), *begun.get("Uploads", ())]
    return [item["Key"] for item in items]


@asynccontextmanager
async def stocked(kind: str, folder: Path, partner: Callable[[str], Ceph | Moto]) -> AsyncIterator[Stocked]:
    """`disk`, `ceph`, `moto`, or `shipping` (disk and moto, every file moved)."""
    disk = DiskVault(folder / "vault")
    if kind == "disk":
        yield Stocked(disk, lambda name, content: write(disk, name, content))
        await disk.close()
        return
    there = partner("moto" if kind == "shipping" else kind)
    remote = S3Shelf(bucket_at(there, await bucket_of(there)), QUICK, part=SMALL_PART)
    if kind != "shipping":
        yield Stocked(remote, lambda name, content: remote.upload(name, len(content), source_of(content)))
        await remote.close()
        await disk.close()
        return

    async def sealed_elsewhere(_file: str) -> bool:
        return False

    both = ShippingVault(disk, remote, sealed_elsewhere)

    async def put(name: str, content: bytes) -> None:
        await write(disk, name, content)
        await both.ship(name, len(content), hashlib.sha256(content).hexdigest())
        await disk.delete(name)

    yield Stocked(both, put)
    await both.close()
