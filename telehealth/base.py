"""What every room stands on: data folder, keys, database, log; held by one process at a time."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from telehealth import places
from telehealth.audit.details import FileDetailKeys
from telehealth.audit.log import AuditLog
from telehealth.audit.note import verifier_key
from telehealth.clock import Clock
from telehealth.config import Config
from telehealth.durable import private_folder
from telehealth.errors import Reason, Refusal
from telehealth.events import Bus
from telehealth.keys.fields import FieldCipher
from telehealth.keys.file import FileProvider, prepare_root
from telehealth.keys.keyring import Keyring
from telehealth.keys.keystore import KeyStore
from telehealth.store.engine import Store


class RootKeyInvalid(Refusal):
    """The root key's file holds something else."""

    code = "root_key_invalid"
    reason = Reason.UNAVAILABLE
    message = "The file at places.root_key is no key. Restore it from its copy: nothing opens without it."


@dataclass(frozen=True, slots=True)
class Base:
    """What every room stands on: keys, database and log, held by this process alone."""

    config: Config
    clock: Clock
    provider: FileProvider
    keyring: Keyring
    keystore: KeyStore
    fields: FieldCipher
    store: Store
    log: AuditLog
    bus: Bus

    def common(self) -> dict[str, Any]:
        """Arguments that nearly every room takes."""
        return {"store": self.store, "audit": self.log, "clock": self.clock}


async def open_keyring(config: Config, clock: Clock) -> tuple[FileProvider, Keyring]:
    """The provider and its keyring, started. Raises KeysExposed, WrongRoot, RootKeyInvalid, OSError."""
    try:
        root = await asyncio.to_thread(prepare_root, config.places.root_key)
    except ValueError:
        raise RootKeyInvalid from None  # the cause would quote the file
    provider = FileProvider(config.places.keys / "provider", root)
    await provider.start()
    keyring = Keyring(config.places.keys / "ring", provider, clock)
    await keyring.start()
    return provider, keyring


async def log_verifier(keyring: Keyring) -> tuple[str, bytes, str]:
    """The log's name, its public key, and both in the line that C2SP tools read."""
    seed = await keyring.secret("audit-signing")
    public = Ed25519PrivateKey.from_private_bytes(seed.reveal()).public_key().public_bytes_raw()
    name = f"telehealth-{hashlib.sha256(public).hexdigest()[:16]}"
    return name, public, verifier_key(name, public)


async def certificate_key(keyring: Keyring) -> bytes:
    """The raw Ed25519 key that certificates of deletion verify under."""
    seed = await keyring.secret("certificates")
    return Ed25519PrivateKey.from_private_bytes(seed.reveal()).public_key().public_bytes_raw()


async def _open_log(config: Config, keyring: Keyring, clock: Clock) -> AuditLog:
    name, _, _ = await log_verifier(keyring)
    folder = await asyncio.to_thread(private_folder, config.places.keys / "details")
    details = FileDetailKeys(folder, await keyring.secret("audit-details"))
    return await AuditLog.open(
        config.places.audit,
        signing_key=await keyring.secret("audit-signing"),
        pseudonym_key=await keyring.secret("audit-pseudonyms"),
        detail_keys=details,
        clock=clock,
        origin=name,
    )


@asynccontextmanager
async def open_base(config: Config, clock: Clock) -> AsyncIterator[Base]:
    """Places, keys, database, key store, log, in this order; closed in the other.

    Raises AlreadyRunning, OneFilesystem, OSError, and what keys, database and log refuse with.
    """
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(places.prepare, config)
        hold = places.Hold(config.places.audit)
        await asyncio.to_thread(hold.take)
        stack.callback(hold.give_back)
        provider, keyring = await open_keyring(config, clock)
        fields = FieldCipher(await keyring.secret("fields"), await keyring.secret("lookups"))
        store = await asyncio.to_thread(Store.open, config.places.database)
        stack.push_async_callback(store.close)
        await store.migrate()
        keystore = KeyStore(config.places.keys / "shares", provider, keyring, clock)
        await keystore.start()
        stack.push_async_callback(keystore.close)
        log = await _open_log(config, keyring, clock)
        stack.push_async_callback(log.close)
        yield Base(config, clock, provider, keyring, keystore, fields, store, log, Bus())
