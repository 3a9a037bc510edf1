"""Keys in Vault's or OpenBao's transit engine: they never leave it, and deleting one there ends it.

One transit key (aes256-gcm96) per key name, called PREFIX + name. Wrapped bytes: version 1, then the engine's own
ciphertext (`vault:v1:…`). Associated data: bind("telehealth/vault-wrap/1", key name, context).
The engine makes a missing key when asked to encrypt (upsert); a destroyed name must not come back, so `start` switches
that off for the mount, or makes sure that our token may not do it.
"""

import asyncio
import base64
import binascii
import ssl
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
from pydantic import BaseModel, ConfigDict, ValidationError

from telehealth.config import ConfigRefused, read_secret
from telehealth.keys.binding import bind
from telehealth.keys.provider import (
    KeyDestroyed,
    KeyServiceUnavailable,
    ProviderStatus,
    ProviderUnfit,
    UnwrapFailed,
    checked_name,
)
from telehealth.log import get_logger
from telehealth.secret import Secret

log = get_logger(__name__)
_WRAPPED = b"\x01"
_LARGEST = 32 << 20  # bytes of one answer: a list of half a million keys
_AT_ONCE = 16  # connections; further calls wait inside their own time limit


class _Answer(BaseModel):
    """What we read of the engine's JSON; the rest is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    data: dict[str, Any] | None = None
    errors: tuple[str, ...] = ()


class _Reply(NamedTuple):
    status: int
    body: _Answer

    @property
    def absent(self) -> bool:
        """The engine answered that there is no such key; a missing engine names an error, a proxy sends no JSON."""
        return self.status == 404 and not self.body.errors


class VaultProvider:
    """Call `start()` once first and `close()` last. Each call ends within `seconds`, however the service behaves."""

    name = "vault"
    assurance = "key-service"

    def __init__(
        self,
        url: str,
        *,
        token_file: Path,
        mount: str = "transit",
        prefix: str = "telehealth-",
        ca_file: Path | None = None,
        seconds: float = 5.0,
    ) -> None:
        self._base = f"{url.rstrip('/')}/v1/"
        self._engine = quote(mount.strip("/"))
        self._prefix = prefix
        self._token_file = token_file
        self._ca_file = ca_file
        self.seconds = seconds
        self._token: Secret[str] | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Read token and CA, and make sure that encrypting makes no keys. Raises ConfigRefused, ProviderUnfit."""
        self._token = await asyncio.to_thread(read_secret, self._token_file)
        trusted: ssl.SSLContext | bool = True
        if self._ca_file is not None:
            trusted = await asyncio.to_thread(_trusting, self._ca_file)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_AT_ONCE, ssl=trusted),
            timeout=aiohttp.ClientTimeout(total=None),  # `_call` has the clock
            auto_decompress=False,
        )
        try:
            await self.names("")  # an engine that is not there is unavailable, not unfit
            await self._forbid_upsert()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def create(self, key_name: str) -> None:
        reply = await self._ask("POST", self._key(key_name), {"type": "aes256-gcm96", "exportable": False})
        self._must(reply, 200, 204)

    async def exists(self, key_name: str) -> bool:
        reply = await self._ask("GET", self._key(key_name))
        return not reply.absent and bool(self._must(reply, 200))

    async def names(self, prefix: str) -> frozenset[str]:
        reply = await self._ask("LIST", f"{self._engine}/keys")
        if reply.absent:
            return frozenset()
        listed = self._must(reply, 200).get("keys")
        if not isinstance(listed, list):
            raise KeyServiceUnavailable
        ours = (str(name).removeprefix(self._prefix) for name in listed if str(name).startswith(self._prefix))
        return frozenset(name for name in ours if name.startswith(prefix))

    async def wrap(self, key_name: str, plaintext: bytes, context: bytes) -> bytes:
        asked = {"plaintext": _text(plaintext), "associated_data": _bound(key_name, context)}
        reply = await self._ask("POST", self._key(key_name, "encrypt"), asked)
        if reply.status in (400, 403) and not await self.exists(key_name):  # 403: making a key is not granted
            raise KeyDestroyed
        made = self._must(reply, 200).get("ciphertext")
        if not isinstance(made, str):
            raise KeyServiceUnavailable
        return _WRAPPED + made.encode()

    async def unwrap(self, key_name: str, wrapped: bytes, context: bytes) -> bytes:
        asked = {"ciphertext": _ciphertext(wrapped), "associated_data": _bound(key_name, context)}
        reply = await self._ask("POST", self._key(key_name, "decrypt"), asked)
        if reply.status == 400:
            raise UnwrapFailed if await self.exists(key_name) else KeyDestroyed
        try:
            return base64.b64decode(self._must(reply, 200)["plaintext"], validate=True)
        except (KeyError, TypeError, binascii.Error) as error:
            raise KeyServiceUnavailable from error

    async def destroy(self, key_name: str) -> None:
        allowed = await self._ask("POST", f"{self._key(key_name)}/config", {"deletion_allowed": True})
        if allowed.status != 400:
            self._must(allowed, 200, 204)
            deleted = await self._ask("DELETE", self._key(key_name))
            if deleted.status != 400:
                self._must(deleted, 200, 204)
        if await self.exists(key_name):
            raise KeyServiceUnavailable

    async def status(self) -> ProviderStatus:
        try:
            count, reachable = len(await self.names("")), True
        except KeyServiceUnavailable:
            count, reachable = 0, False
        return ProviderStatus(self.name, self.assurance, reachable, count)

    async def _forbid_upsert(self) -> None:
        """Raises ProviderUnfit when the mount makes keys on encrypting and our token may neither stop nor avoid it."""
        if (await self._ask("POST", f"{self._engine}/config/keys", {"disable_upsert": True})).status in (200, 204):
            return
        probed = f"{self._engine}/encrypt/{self._prefix}probe"
        reply = await self._ask("POST", "sys/capabilities-self", {"paths": [probed]})
        may = self._must(reply, 200).get(probed, ["create"])
        if "create" in may or "root" in may:
            raise ProviderUnfit(f"set disable_upsert on {self._engine}/config/keys, or grant update alone on {probed}")

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> _Reply:
        """One call; a refused token is read anew once, for an agent may have renewed it."""
        reply = await self._call(method, path, body)
        if reply.status != 403:
            return reply
        used = self._token
        try:
            self._token = await asyncio.to_thread(read_secret, self._token_file)
        except ConfigRefused as error:
            raise KeyServiceUnavailable from error
        if self._token != used:
            reply = await self._call(method, path, body)
        return reply

    async def _call(self, method: str, path: str, body: dict[str, Any] | None) -> _Reply:
        try:
            async with asyncio.timeout(self.seconds):
                try:
                    return await self._say(method, path, body)
                except (aiohttp.ServerDisconnectedError, ConnectionResetError):
                    return await self._say(method, path, body)  # an idle connection had died; saying it twice is safe
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.error("keys.service_unreachable", kind=self.name, exception_type=type(error).__name__)
            raise KeyServiceUnavailable from error

    async def _say(self, method: str, path: str, body: dict[str, Any] | None) -> _Reply:
        if self._session is None or self._token is None:
            raise KeyServiceUnavailable
        headers = {"X-Vault-Token": self._token.reveal(), "X-Vault-Request": "true"}
        url = self._base + path
        async with self._session.request(method, url, json=body, headers=headers, allow_redirects=False) as response:
            return _Reply(response.status, _parsed(response.status, await _content(response)))

    def _must(self, reply: _Reply, *good: int) -> dict[str, Any]:
        """The answer's data. Raises KeyServiceUnavailable for any status that is not a good one."""
        if reply.status not in good:
            log.error("keys.service_refused", kind=self.name, status=reply.status)
            raise KeyServiceUnavailable
        return reply.body.data or {}

    def _key(self, key_name: str, act: str = "keys") -> str:
        return f"{self._engine}/{act}/{self._prefix}{checked_name(key_name)}"


async def _content(response: aiohttp.ClientResponse) -> bytes:
    """The whole answer, or nothing of one that is larger than any of ours."""
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > _LARGEST:
            raise aiohttp.ClientPayloadError
    return bytes(content)


def _parsed(status: int, content: bytes) -> _Answer:
    if not content and status in (200, 204):
        return _Answer()
    try:
        return _Answer.model_validate_json(content)
    except ValidationError:
        return _Answer(errors=("no answer of a key service",))


def _trusting(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigRefused([f"keys.vault_ca_file: {ca_file} holds no certificates that can be read"]) from error


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _ciphertext(wrapped: bytes) -> str:
    if wrapped[:1] != _WRAPPED or not wrapped.isascii() or len(wrapped) < 2:
        raise UnwrapFailed
    return wrapped[1:].decode("ascii")


def _bound(key_name: str, context: bytes) -> str:
    return _text(bind("telehealth/vault-wrap/1", key_name, context))
