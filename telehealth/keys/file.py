"""The provider for one machine: key files, each wrapped by a root key that lives in a file of its own.

Key file: magic `THK1`, nonce 12, AES-256-GCM(root, key 32) with AAD bind("telehealth/file-key/1", key name).
Wrapped bytes: version 1, nonce 12, AES-256-GCM(key, plaintext) with AAD bind("telehealth/file-wrap/1", name, context).
Honest limit: whoever kept a copy of a key file and of the root can bring that key back; hence `software-keystore`.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from telehealth.durable import private_folder
from telehealth.ids import Entropy
from telehealth.keys import disk
from telehealth.keys.binding import bind
from telehealth.keys.provider import (
    KeyDestroyed,
    KeyServiceUnavailable,
    KeysExposed,
    ProviderStatus,
    UnwrapFailed,
    WrongRoot,
    checked_name,
)
from telehealth.secret import Secret

_MAGIC = b"THK1"
_BLANK = bytes(len(_MAGIC))
_WRAPPED = b"\x01"
_CHECK = "root.check"
P = ParamSpec("P")
R = TypeVar("R")


def prepare_root(path: Path, entropy: Entropy = os.urandom) -> Secret[bytes]:
    """The root key in `path` (32 raw bytes or 64 hex digits), made at the first start. Blocks.

    Raises KeysExposed when others may read it, ValueError when it is no key.
    """
    if not path.exists():
        private_folder(path.parent)
        disk.write(path, entropy(32).hex().encode() + b"\n")
    if disk.exposed(path):
        raise KeysExposed(f"chmod 600 {path}")
    content = path.read_bytes()
    if len(content) == 32:
        return Secret(content)
    root = bytes.fromhex(content.decode("ascii").strip())
    if len(root) != 32:
        raise ValueError("a root key is 32 bytes, raw or in hex")
    return Secret(root)


class FileProvider:
    """Named keys as files in `folder`. Call `start()` once before anything else."""

    name = "file"
    assurance = "software-keystore"

    def __init__(self, folder: Path, root: Secret[bytes], entropy: Entropy = os.urandom) -> None:
        self._folder = folder
        self._root = root
        self._entropy = entropy
        self._making = threading.Lock()  # two who create one name get one key

    async def start(self) -> None:
        """Make the folder at first, and check rights and root. Raises KeysExposed, WrongRoot."""
        await self._away(self._start)

    async def close(self) -> None:
        """Nothing is held open."""

    async def create(self, key_name: str) -> None:
        await self._away(self._create, key_name)

    async def exists(self, key_name: str) -> bool:
        return await self._away(self._exists, key_name)

    async def names(self, prefix: str) -> frozenset[str]:
        return await self._away(self._names, prefix)

    async def wrap(self, key_name: str, plaintext: bytes, context: bytes) -> bytes:
        key = AESGCM(await self._away(self._load, key_name))
        nonce = self._entropy(12)
        return _WRAPPED + nonce + key.encrypt(nonce, plaintext, _wrap_bound(key_name, context))

    async def unwrap(self, key_name: str, wrapped: bytes, context: bytes) -> bytes:
        key = AESGCM(await self._away(self._load, key_name))
        if wrapped[:1] != _WRAPPED or len(wrapped) < 29:
            raise UnwrapFailed
        try:
            return key.decrypt(wrapped[1:13], wrapped[13:], _wrap_bound(key_name, context))
        except InvalidTag as error:
            raise UnwrapFailed from error

    async def destroy(self, key_name: str) -> None:
        await self._away(self._destroy, key_name)

    async def status(self) -> ProviderStatus:
        try:
            count, reachable = len(await self.names("")), True
        except (KeyServiceUnavailable, KeysExposed):
            count, reachable = 0, False
        return ProviderStatus(self.name, self.assurance, reachable, count)

    async def _away(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await asyncio.to_thread(work, *args, **kwargs)
        except OSError as error:
            raise KeyServiceUnavailable from error

    def _start(self) -> None:
        private_folder(self._folder)
        self._refuse_exposed(self._folder, "700")
        check = self._folder / _CHECK
        if not check.exists():
            disk.write(check, self._seal(b"", _CHECK))
        try:
            self._unseal(check.read_bytes(), _CHECK)
        except UnwrapFailed as error:
            raise WrongRoot from error

    def _create(self, key_name: str) -> None:
        with self._making:
            if not self._exists(key_name):
                disk.write(self._path(key_name), self._seal(self._entropy(32), key_name))

    def _exists(self, key_name: str) -> bool:
        self._folder.stat()  # a folder that is not mounted is no proof that a key is gone
        try:
            with self._path(key_name).open("rb") as file:
                return file.read(len(_MAGIC)) != _BLANK
        except FileNotFoundError:
            return False

    def _names(self, prefix: str) -> frozenset[str]:
        self._folder.stat()
        return frozenset(
            path.stem for path in self._folder.glob("*.key") if path.stem.startswith(prefix) and self._exists(path.stem)
        )

    def _load(self, key_name: str) -> bytes:
        if not self._exists(key_name):
            raise KeyDestroyed
        path = self._path(key_name)
        self._refuse_exposed(path, "600")
        return self._unseal(path.read_bytes(), key_name)

    def _destroy(self, key_name: str) -> None:
        """Blank first, then unlink: killed in between, the blanked file already counts as destroyed."""
        path = self._path(key_name)
        if path.exists():
            disk.blank(path)
        disk.remove(path)

    def _seal(self, content: bytes, label: str) -> bytes:
        nonce = self._entropy(12)
        return _MAGIC + nonce + AESGCM(self._root.reveal()).encrypt(nonce, content, _key_bound(label))

    def _unseal(self, sealed: bytes, label: str) -> bytes:
        if sealed[: len(_MAGIC)] != _MAGIC or len(sealed) < 32:
            raise UnwrapFailed
        try:
            return AESGCM(self._root.reveal()).decrypt(sealed[4:16], sealed[16:], _key_bound(label))
        except InvalidTag as error:
            raise UnwrapFailed from error

    def _path(self, key_name: str) -> Path:
        return self._folder / f"{checked_name(key_name)}.key"

    @staticmethod
    def _refuse_exposed(path: Path, mode: str) -> None:
        if disk.exposed(path):
            raise KeysExposed(f"chmod {mode} {path}")


def _key_bound(label: str) -> bytes:
    return bind("telehealth/file-key/1", label)


def _wrap_bound(key_name: str, context: bytes) -> bytes:
    return bind("telehealth/file-wrap/1", key_name, context)
