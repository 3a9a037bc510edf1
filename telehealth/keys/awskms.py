"""Keys in AWS KMS. Destruction there is scheduled, not done: 7 to 30 days in which an administrator can call it back.

A key is a symmetric KMS key whose alias is `alias/` + PREFIX + name. Wrapped bytes: version 1, length u8 and id of the
KMS key, KMS's own ciphertext: another key under the same alias never opens it. The encryption context, which CloudTrail
writes down in clear, is only the SHA-256 of bind("telehealth/kms-wrap/1", key name, context). Each call looks at the
key's state first: what is pending deletion counts as destroyed here at once, and the certificate's waiting time
(`recording.backup_days`) must cover the days in which it could come back.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

from aiobotocore.config import AioConfig  # type: ignore[import-untyped]  # upstream has no types
from aiobotocore.session import get_session  # type: ignore[import-untyped]  # upstream has no types
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # upstream has no types
from botocore.session import Session  # type: ignore[import-untyped]  # upstream has no types

from telehealth.keys.binding import bind
from telehealth.keys.provider import (
    KeyDestroyed,
    KeyServiceUnavailable,
    ProviderStatus,
    UnwrapFailed,
    checked_name,
)
from telehealth.log import get_logger

log = get_logger(__name__)
_WRAPPED = b"\x01"
_AT_ONCE = 8  # looks at keys under way together; the client has ten connections
_GONE = frozenset({"PendingDeletion", "PendingReplicaDeletion"})


class _Found(NamedTuple):
    key_id: str
    state: str


class AwsKmsProvider:
    """Call `start()` once first and `close()` last. Credentials come as AWS tools find them: role, file, variables."""

    name = "awskms"
    assurance = "kms-scheduled-deletion"

    def __init__(
        self,
        *,
        region: str,
        endpoint: str = "",
        deletion_days: int = 7,
        prefix: str = "telehealth-",
        seconds: float = 5.0,
    ) -> None:
        self._region = region
        self._endpoint = endpoint or None
        self._days = deletion_days
        self._prefix = prefix
        self.seconds = seconds
        self._stack = AsyncExitStack()
        self._client: Any = None

    async def start(self) -> None:
        """Open the client and make one call with it."""
        config = AioConfig(connect_timeout=self.seconds, read_timeout=self.seconds, retries={"total_max_attempts": 2})
        session = await asyncio.to_thread(_read_in, self._region)
        creating = session.create_client("kms", region_name=self._region, endpoint_url=self._endpoint, config=config)
        try:
            self._client = await self._stack.enter_async_context(creating)
            await self.exists("presence")
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the client."""
        self._client = None
        await self._stack.aclose()

    async def create(self, key_name: str) -> None:
        if await self._look(key_name) is not None:
            return
        async with self._speaking() as kms:
            made = await kms.create_key(Description=f"telehealth {key_name}", KeyUsage="ENCRYPT_DECRYPT")
            key_id = made["KeyMetadata"]["KeyId"]
            try:
                await kms.create_alias(AliasName=self._alias(key_name), TargetKeyId=key_id)
            except ClientError as error:
                await kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=self._days)
                if _code(error) != "AlreadyExistsException":  # another caller was first: its key stands
                    raise

    async def exists(self, key_name: str) -> bool:
        found = await self._look(key_name)
        return found is not None and found.state not in _GONE

    async def names(self, prefix: str) -> frozenset[str]:
        """Aliases whose key is alive; one look at each key, for a pending deletion does not show in the list."""
        wanted = f"alias/{self._prefix}{prefix}"
        async with self._speaking() as kms:
            page = await kms.list_aliases()
            found = [alias["AliasName"] for alias in page["Aliases"]]
            while page.get("Truncated"):
                page = await kms.list_aliases(Marker=page["NextMarker"])
                found += [alias["AliasName"] for alias in page["Aliases"]]
        names = [name.removeprefix(f"alias/{self._prefix}") for name in found if name.startswith(wanted)]
        alive: set[str] = set()
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            seen = await asyncio.gather(*(self.exists(name) for name in some))
            alive.update(name for name, there in zip(some, seen, strict=True) if there)
        return frozenset(alive)

    async def wrap(self, key_name: str, plaintext: bytes, context: bytes) -> bytes:
        key_id = await self._alive(key_name)
        async with self._speaking() as kms:
            bound = _bound(key_name, context)
            made = await kms.encrypt(KeyId=key_id, Plaintext=plaintext, EncryptionContext=bound)
        return _front(key_id) + bytes(made["CiphertextBlob"])

    async def unwrap(self, key_name: str, wrapped: bytes, context: bytes) -> bytes:
        key_id = await self._alive(key_name)
        front = _front(key_id)
        if not wrapped.startswith(front) or len(wrapped) == len(front):
            raise UnwrapFailed
        async with self._speaking() as kms:
            blob, bound = wrapped[len(front) :], _bound(key_name, context)
            opened = await kms.decrypt(KeyId=key_id, CiphertextBlob=blob, EncryptionContext=bound)
        return bytes(opened["Plaintext"])

    async def destroy(self, key_name: str) -> None:
        """Schedule the deletion, see it pending, then take the alias away; killed in between it counts as destroyed."""
        found = await self._look(key_name)
        if found is None:
            return
        if found.state not in _GONE:
            async with self._speaking() as kms:
                await kms.schedule_key_deletion(KeyId=found.key_id, PendingWindowInDays=self._days)
            found = await self._look(key_name)
            if found is None or found.state not in _GONE:
                raise KeyServiceUnavailable
        async with self._speaking() as kms:
            await kms.delete_alias(AliasName=self._alias(key_name))

    async def status(self) -> ProviderStatus:
        try:
            count, reachable = len(await self.names("")), True
        except KeyServiceUnavailable:
            count, reachable = 0, False
        return ProviderStatus(self.name, self.assurance, reachable, count)

    async def _alive(self, key_name: str) -> str:
        """The id of a key in use. Raises KeyDestroyed, KeyServiceUnavailable for one that was only disabled."""
        found = await self._look(key_name)
        if found is None or found.state in _GONE:
            raise KeyDestroyed
        if found.state != "Enabled":
            raise KeyServiceUnavailable
        return found.key_id

    async def _look(self, key_name: str) -> _Found | None:
        """What KMS says of it; None where no alias of that name is."""
        alias = self._alias(key_name)
        try:
            async with self._speaking() as kms:
                found = (await kms.describe_key(KeyId=alias))["KeyMetadata"]
        except KeyDestroyed:
            return None
        return _Found(found["KeyId"], found["KeyState"])

    @asynccontextmanager
    async def _speaking(self) -> AsyncIterator[Any]:
        """Calls within the time limit; KMS's refusals become ours."""
        if self._client is None:
            raise KeyServiceUnavailable
        try:
            async with asyncio.timeout(self.seconds):
                yield self._client
        except ClientError as error:
            raise _refusal(_code(error)) from error
        except (BotoCoreError, TimeoutError, OSError) as error:
            log.error("keys.service_unreachable", kind=self.name, exception_type=type(error).__name__)
            raise KeyServiceUnavailable from error

    def _alias(self, key_name: str) -> str:
        return f"alias/{self._prefix}{checked_name(key_name)}"


def _front(key_id: str) -> bytes:
    return _WRAPPED + len(key_id).to_bytes(1, "big") + key_id.encode("ascii")


def _read_in(region: str) -> Any:
    """A session that has read its many files, so that making a client with it does not stop the event loop. Blocks."""
    patient, session = Session(), get_session()
    patient.create_client("kms", region_name=region).close()
    session.register_component("data_loader", patient.get_component("data_loader"))
    _ = session.full_config
    return session


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _refusal(code: str) -> KeyDestroyed | UnwrapFailed | KeyServiceUnavailable:
    match code:
        case "NotFoundException":
            return KeyDestroyed()
        case "InvalidCiphertextException" | "IncorrectKeyException":
            return UnwrapFailed()
    log.error("keys.service_refused", kind="awskms", error=code)
    return KeyServiceUnavailable()


def _bound(key_name: str, context: bytes) -> dict[str, str]:
    return {"telehealth": hashlib.sha256(bind("telehealth/kms-wrap/1", key_name, context)).hexdigest()}
