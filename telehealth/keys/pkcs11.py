"""Keys in a PKCS#11 token: AES-256 objects that are sensitive and never extractable.

Wrapped bytes: version 1, nonce 12, CKM_AES_GCM(key, plaintext) with a 16-byte tag and AAD
bind("telehealth/pkcs11-wrap/1", key name, context): the token itself binds the context, so no data key ever stands
outside it. A token that does not offer CKM_AES_GCM under a caller's nonce is refused at the start.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from telehealth.config import read_secret
from telehealth.ids import Entropy
from telehealth.keys.binding import bind
from telehealth.keys.provider import (
    KeyServiceUnavailable,
    ProviderStatus,
    ProviderUnfit,
    UnwrapFailed,
    checked_name,
)
from telehealth.keys.token import PRESENCE, TAG, Token
from telehealth.log import get_logger

log = get_logger(__name__)
R = TypeVar("R")
_WRAPPED = b"\x01"
_WAITING = 256  # calls queued for the one thread; more are refused at once


class Pkcs11Provider:
    """Owns one thread that makes every call to the token. Call `start()` once first and `close()` last."""

    name = "pkcs11"
    assurance = "pkcs11-token"

    def __init__(
        self,
        module: Path,
        *,
        token: str,
        pin_file: Path,
        prefix: str = "telehealth-",
        seconds: float = 5.0,
        entropy: Entropy = os.urandom,
    ) -> None:
        self._module = module
        self._label = token
        self._pin_file = pin_file
        self._prefix = prefix
        self.seconds = seconds
        self._entropy = entropy
        self._thread: ThreadPoolExecutor | None = None
        self._queued: set[Future[Any]] = set()

    async def start(self) -> None:
        """Log in, and prove that the token binds contexts. Raises ConfigRefused, ProviderUnfit."""
        pin = await asyncio.to_thread(read_secret, self._pin_file)
        self._token = Token(self._module, self._label, self._prefix, pin)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pkcs11")
        try:
            await self._away(self._try_out)
        except BaseException as error:
            await self.close()
            if self._token.pin_refused:
                raise ProviderUnfit("keys.pkcs11_pin_file must hold the token's user PIN; it was tried once") from error
            raise

    async def close(self) -> None:
        """Log out and end the thread; one that hangs in the token is left to it."""
        thread = self._thread
        if thread is None:
            return
        try:
            await self._away(self._token.leave)
        except KeyServiceUnavailable:
            log.warning("keys.token_left_open", kind=self.name)
        finally:
            self._thread = None
            thread.shutdown(wait=False, cancel_futures=True)

    async def create(self, key_name: str) -> None:
        await self._away(lambda: self._create(checked_name(key_name)))

    async def exists(self, key_name: str) -> bool:
        return await self._away(lambda: self._token.has(checked_name(key_name)))

    async def names(self, prefix: str) -> frozenset[str]:
        found = await self._away(lambda: self._token.names())
        return frozenset(name for name in found if name.startswith(prefix))

    async def wrap(self, key_name: str, plaintext: bytes, context: bytes) -> bytes:
        nonce, bound = self._entropy(12), _bound(key_name, context)
        sealed = await self._away(lambda: self._token.encrypt(checked_name(key_name), nonce, plaintext, bound))
        return _WRAPPED + nonce + sealed

    async def unwrap(self, key_name: str, wrapped: bytes, context: bytes) -> bytes:
        if wrapped[:1] != _WRAPPED or len(wrapped) < 1 + 12 + TAG:
            raise UnwrapFailed
        nonce, sealed, bound = wrapped[1:13], wrapped[13:], _bound(key_name, context)
        return await self._away(lambda: self._token.decrypt(checked_name(key_name), nonce, sealed, bound))

    async def destroy(self, key_name: str) -> None:
        await self._away(lambda: self._token.destroy(checked_name(key_name)))

    async def status(self) -> ProviderStatus:
        try:
            count, reachable = len(await self.names("")), True
        except KeyServiceUnavailable:
            count, reachable = 0, False
        return ProviderStatus(self.name, self.assurance, reachable, count)

    async def _away(self, work: Callable[[], R]) -> R:
        """Do `work` on the thread within the time limit. Raises KeyServiceUnavailable."""
        if len(self._queued) >= _WAITING:
            self._queued = {future for future in self._queued if not future.done()}
        if self._thread is None or len(self._queued) >= _WAITING:
            raise KeyServiceUnavailable
        future: Future[R] = self._thread.submit(self._in_turn, work)
        self._queued.add(future)
        try:
            async with asyncio.timeout(self.seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            log.error("keys.service_unreachable", kind=self.name, exception_type="TimeoutError")
            raise KeyServiceUnavailable from error

    def _in_turn(self, work: Callable[[], R]) -> R:
        with self._token.in_turn():
            return work()

    def _create(self, key_name: str) -> None:
        if not self._token.has(key_name):
            self._token.make(key_name)

    def _try_out(self) -> None:
        """Encrypt, decrypt, and fail to decrypt under another binding, all with the presence key."""
        from pkcs11.exceptions import FunctionNotSupported, MechanismInvalid, MechanismParamInvalid

        fit = ProviderUnfit("the token must offer CKM_AES_GCM with the caller's nonce, associated data and 16-byte tag")
        self._token.mark_presence()
        nonce = self._entropy(12)
        try:
            sealed = self._token.encrypt(PRESENCE, nonce, b"well", b"here")
            if self._token.decrypt(PRESENCE, nonce, sealed, b"here") != b"well":
                raise fit
        except (FunctionNotSupported, MechanismInvalid, MechanismParamInvalid) as error:
            raise fit from error
        try:
            self._token.decrypt(PRESENCE, nonce, sealed, b"elsewhere")
        except UnwrapFailed:
            return
        raise fit


def _bound(key_name: str, context: bytes) -> bytes:
    return bind("telehealth/pkcs11-wrap/1", key_name, context)
