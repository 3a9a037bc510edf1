"""The client of an S3 store: settings, faults by name, connected at first use."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from recordings.vault.store import VaultDenied, VaultFailed, VaultMissing, VaultUnreachable
from telehealth.errors import Reason, Refusal
from telehealth.secret import Secret

GONE = {"404", "NoSuchKey", "NoSuchBucket", "NoSuchUpload", "NotFound"}
DENIED = {"401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}


class S3PartsMissing(Refusal):
    """The optional package is not installed."""

    code: ClassVar[str] = "s3_parts_missing"
    reason = Reason.UNAVAILABLE
    message = "Recordings in S3 need the package aiobotocore: pip install 'telehealth[aws]'."


@dataclass(frozen=True, slots=True)
class Bucket:
    """A place in S3. `endpoint` None: Amazon's own; keys None: what the machine's role gives; `prefix` ends in / ."""

    name: str
    region: str = "us-east-1"
    endpoint: str | None = None
    prefix: str = ""
    access_key: Secret[str] | None = None
    secret_key: Secret[str] | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to connect, seconds without an octet, and attempts at one request."""

    connect: float = 5.0
    silence: float = 15.0
    attempts: int = 3


class Client:
    """One client of the store, with its pool of connections."""

    def __init__(self, bucket: Bucket, patience: Patience) -> None:
        """Raises S3PartsMissing."""
        if find_spec("aiobotocore") is None:
            raise S3PartsMissing
        self._bucket = bucket
        self._patience = patience
        self._stack = AsyncExitStack()
        self._made: Any = None
        self._turn = asyncio.Lock()

    async def made(self) -> Any:
        """The client, made at the first call."""
        async with self._turn:
            if self._made is None:
                session = await asyncio.to_thread(session_of, self._bucket.region)
                making = session.create_client("s3", **_settings(self._bucket, self._patience))
                self._made = await self._stack.enter_async_context(making)
        return self._made

    async def close(self) -> None:
        self._made = None
        await self._stack.aclose()


def session_of(region: str) -> Any:
    """A session that has read its many files, so that making a client does not stop the event loop. Blocks."""
    from aiobotocore.session import get_session  # type: ignore[import-untyped]  # upstream has no types

    session = get_session()
    session.register_component("data_loader", _read_files(region))
    _ = session.full_config
    return session


@cache
def _read_files(region: str) -> Any:
    """The loader of a client that was made and closed: it keeps what it has read."""
    from botocore.session import Session  # type: ignore[import-untyped]  # upstream has no types

    patient = Session()
    client = patient.create_client("s3", region_name=region)
    client.get_paginator("list_objects_v2")
    client.close()
    return patient.get_component("data_loader")


def _settings(bucket: Bucket, patience: Patience) -> dict[str, Any]:
    from aiobotocore.config import AioConfig  # type: ignore[import-untyped]  # upstream has no types

    found: dict[str, Any] = {
        "region_name": bucket.region,
        "config": AioConfig(
            connect_timeout=patience.connect,
            read_timeout=patience.silence,
            retries={"mode": "standard", "total_max_attempts": patience.attempts},
            max_pool_connections=16,
            s3={"addressing_style": "path" if bucket.endpoint else "auto"},
            request_checksum_calculation="when_required",  # stores other than Amazon's refuse the newer sums
            response_checksum_validation="when_required",
        ),
    }
    if bucket.endpoint:
        found["endpoint_url"] = bucket.endpoint
    if bucket.access_key is not None and bucket.secret_key is not None:
        found["aws_access_key_id"] = bucket.access_key.reveal()
        found["aws_secret_access_key"] = bucket.secret_key.reveal()
    if bucket.ca_file is not None:
        found["verify"] = str(bucket.ca_file)
    return found


@contextmanager
def named_faults() -> Iterator[None]:
    from aiohttp import ClientError as BrokenOff
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # upstream has no types

    try:
        yield
    except ClientError as fault:
        code = code_of(fault)
        if code in GONE:
            raise VaultMissing from None
        if code in DENIED:
            raise VaultDenied from fault
        status = fault.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        raise (VaultUnreachable if status >= 500 or status == 429 else VaultFailed) from fault
    except (BotoCoreError, BrokenOff, OSError) as fault:  # OSError: time-outs and sockets
        raise VaultUnreachable from fault


def code_of(fault: Exception) -> str:
    """The store's own word for a refusal; empty for what is none."""
    response = getattr(fault, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""
