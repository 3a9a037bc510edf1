"""What every room stands on: data folder, keys, database, log; held by one process at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from telehealth import places
from telehealth.alerts.gauges import Alarms
from telehealth.audit.anchors import Anchors
from telehealth.audit.log import AuditLog
from telehealth.auditing import anchors_of, open_log
from telehealth.clock import Clock
from telehealth.config import Config
from telehealth.draining import Draining
from telehealth.events import Bus
from telehealth.keys.fields import FieldCipher
from telehealth.keys.keyring import Keyring
from telehealth.keys.keystore import KeyStore
from telehealth.keys.provider import Provider
from telehealth.keys.providers import open_provider
from telehealth.nodes.folder import name_log
from telehealth.outward.feeds import Feeds, feeds_of
from telehealth.store.engine import Store

SHARED = ("certificates", "nodes")  # besides those that the base itself needs; made while no other server starts


@dataclass(frozen=True, slots=True)
class Base:
    """What every room stands on: keys, database and log, held by this process alone."""

    config: Config
    clock: Clock
    provider: Provider
    keyring: Keyring
    keystore: KeyStore
    fields: FieldCipher
    store: Store
    log: AuditLog
    bus: Bus
    anchors: Anchors
    alarms: Alarms
    outward: Feeds
    draining: Draining = field(default_factory=Draining)

    def common(self) -> dict[str, Any]:
        """Arguments that nearly every room takes."""
        return {"store": self.store, "audit": self.log, "clock": self.clock}


async def open_keyring(config: Config, clock: Clock) -> tuple[Provider, Keyring]:
    """The provider and its keyring, started; whoever asked closes the provider. Raises as `open_provider`."""
    provider = await open_provider(config)
    every = timedelta(days=config.keys.rotate_days)
    keyring = Keyring(config.places.keys / "ring", provider, clock, rotate_every=every)
    try:
        await keyring.start()
    except BaseException:
        await provider.close()
        raise
    return provider, keyring


async def certificate_key(keyring: Keyring) -> bytes:
    """The raw Ed25519 key that certificates of deletion verify under."""
    seed = await keyring.secret("certificates")
    return Ed25519PrivateKey.from_private_bytes(seed.reveal()).public_key().public_bytes_raw()


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
        node = config.redis.node
        await asyncio.to_thread(name_log, config.places.audit, node)
        starting = places.Hold(config.places.keys)  # servers that share keys make what is missing one after the other
        if node:
            await asyncio.to_thread(starting.wait)
            stack.callback(starting.give_back)
        provider, keyring = await open_keyring(config, clock)
        stack.push_async_callback(provider.close)
        fields = FieldCipher(await keyring.secret("fields"), await keyring.secret("lookups"))
        store = await asyncio.to_thread(Store.open, config.places.database)
        stack.push_async_callback(store.close)
        await store.migrate()
        shares, second = config.places.keys / "shares", config.places.keys_second
        keystore = KeyStore(shares, provider, keyring, clock, second=second, turns=bool(node))
        await keystore.start()
        stack.push_async_callback(keystore.close)
        alarms = Alarms()
        log = await open_log(config, keyring, clock, alarms)
        stack.push_async_callback(log.close)
        for purpose in SHARED if node else ():
            await keyring.secret(purpose)
        starting.give_back()
        anchors = await asyncio.to_thread(anchors_of, config, log, clock, alarms)
        stack.push_async_callback(anchors.finish)
        outward = feeds_of(config.outward, config.places.audit / "outward", log, clock, alarm=alarms)
        yield Base(config, clock, provider, keyring, keystore, fields, store, log, Bus(), anchors, alarms, outward)
