"""The house without its doors: data folder, keys, log, database and the rooms that decide; for server and commands."""

import asyncio
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recordings.retention import Rule
from recordings.service import RecordingService
from recordings.settings import Settings
from recordings.vault.disk import DiskVault
from telehealth import places
from telehealth.audit.details import FileDetailKeys
from telehealth.audit.log import AuditLog
from telehealth.audit.note import verifier_key
from telehealth.clock import Clock
from telehealth.config import Config
from telehealth.durable import private_folder
from telehealth.events import Bus
from telehealth.identity.budget import Budget
from telehealth.identity.enrolment import Enrolment
from telehealth.identity.hashing import Cost, Hasher
from telehealth.identity.joining import Joining
from telehealth.identity.links import Links
from telehealth.identity.people import People
from telehealth.identity.sessions import Sessions
from telehealth.identity.sign_in import SignIn
from telehealth.identity.tokens import ApiTokens
from telehealth.identity.verifying import Verifying
from telehealth.keys.fields import FieldCipher
from telehealth.keys.file import FileProvider, prepare_root
from telehealth.keys.keyring import Keyring
from telehealth.keys.keystore import KeyStore
from telehealth.outbox.carriers import carriers_of
from telehealth.outbox.outbox import Outbox
from telehealth.store.engine import Store
from telehealth.visits.booking import Booking, BookingRooms
from telehealth.visits.store import VisitStore

ENTROPY = os.urandom
ROTATION_LOOK_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who people are: the rooms of `telehealth.identity`."""

    people: People
    enrolment: Enrolment
    sign_in: SignIn
    sessions: Sessions
    tokens: ApiTokens
    links: Links
    joining: Joining


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


@dataclass(frozen=True, slots=True)
class House:
    """The base and the rooms that decide, without doors."""

    base: Base
    outbox: Outbox
    identity: Identity
    booking: Booking
    recordings: RecordingService

    @property
    def config(self) -> Config:
        return self.base.config

    @property
    def clock(self) -> Clock:
        return self.base.clock

    @property
    def keyring(self) -> Keyring:
        return self.base.keyring

    @property
    def provider(self) -> FileProvider:
        return self.base.provider

    @property
    def log(self) -> AuditLog:
        return self.base.log

    def checks(self) -> dict[str, Callable[[], Awaitable[bool]]]:
        """What readiness rests on, by name."""
        return {"database": self._database, "log": self._log, "keys": self._keys, "disk": self._disk}

    async def _database(self) -> bool:
        async with self.base.store.read() as connection:
            await connection.exec_driver_sql("SELECT 1")
        return True

    async def _log(self) -> bool:
        return self.log.healthy

    async def _keys(self) -> bool:
        return (await self.provider.status()).reachable

    async def _disk(self) -> bool:
        usage = await asyncio.to_thread(shutil.disk_usage, self.config.places.recordings)
        return usage.free >= self.config.recording.least_free_bytes

    def workers(self) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        """The rooms' own long-running tasks, by name."""
        return [
            ("sessions", self.identity.sessions.run()),
            ("outbox", self.outbox.run()),
            ("sweeper", self.recordings.run_sweeper()),
            ("keys", _rotate(self.keyring, self.clock)),
        ]

    @property
    def people(self) -> People:
        return self.identity.people

    @property
    def tokens(self) -> ApiTokens:
        return self.identity.tokens


async def open_keyring(config: Config, clock: Clock) -> tuple[FileProvider, Keyring]:
    """The provider and its keyring, started. Raises KeysExposed, WrongRoot, ValueError, OSError."""
    root = await asyncio.to_thread(prepare_root, config.places.root_key)
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


async def _rotate(keyring: Keyring, clock: Clock) -> None:
    """Begin a new wrapping key whenever the present one has served its quarter."""
    while True:
        if keyring.due(clock.now()):
            await keyring.rotate()
        await asyncio.sleep(ROTATION_LOOK_SECONDS)


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


@asynccontextmanager
async def open_house(config: Config, clock: Clock, cost: Cost | None = None) -> AsyncIterator[House]:
    """The base, and the rooms that decide. `cost`: of a password hash.

    Raises as `open_base`, and ConfigRefused for a secret's file.
    """
    async with open_base(config, clock) as base:
        carriers = await asyncio.to_thread(carriers_of, config.mail, config.sms)
        outbox = Outbox(**base.common(), fields=base.fields, bus=base.bus, carriers=carriers, entropy=ENTROPY)
        identity = _identity(base, outbox, Hasher(cost))
        vault = DiskVault(config.places.recordings)
        recordings = await _recordings(base, vault, identity.people)
        try:
            booking = await asyncio.to_thread(_booking, base, identity, outbox)  # reads the time zone
            yield House(base, outbox, identity, booking, recordings)
        finally:
            await vault.close()


async def _recordings(base: Base, vault: DiskVault, people: People) -> RecordingService:
    section = base.config.recording
    return RecordingService(
        store=base.store,
        keys=base.keystore,
        log=base.log,
        vault=vault,
        fields=base.fields,
        certificate_key=await base.keyring.secret("certificates"),
        clock=base.clock,
        settings=Settings(
            rule=Rule(section.retention_days, section.minimum_days),
            grant_seconds=section.grant_seconds,
            backup_days=section.backup_days,
            least_free_bytes=section.least_free_bytes,
            sweep_seconds=section.sweep_minutes * 60.0,
        ),
        names_of=people.name_of,
    )


def _booking(base: Base, identity: Identity, outbox: Outbox) -> Booking:
    store = VisitStore(base.store, base.fields)
    return Booking(
        BookingRooms(store, identity.links, identity.people, outbox, base.log, base.bus, base.clock, base.config)
    )


def _identity(base: Base, outbox: Outbox, hasher: Hasher) -> Identity:
    config = base.config
    budget = Budget(base.fields, config.visits)
    common = base.common()
    sealed = {**common, "fields": base.fields}
    sessions = Sessions(**sealed, bus=base.bus, limits=config.sessions, entropy=ENTROPY)
    verifying = Verifying(**sealed, bus=base.bus, hasher=hasher, budget=budget, entropy=ENTROPY)
    return Identity(
        people=People(**sealed, bus=base.bus, entropy=ENTROPY),
        enrolment=Enrolment(
            **sealed, hasher=hasher, sessions=sessions, entropy=ENTROPY, issuer=config.server.clinic_name
        ),
        sign_in=SignIn(**sealed, hasher=hasher, sessions=sessions),
        sessions=sessions,
        tokens=ApiTokens(**common, entropy=ENTROPY),
        links=Links(**sealed, bus=base.bus, hasher=hasher, post=outbox, limits=config.visits),
        joining=Joining(
            **sealed,
            bus=base.bus,
            verifying=verifying,
            budget=budget,
            post=outbox,
            limits=config.visits,
            entropy=ENTROPY,
            clinic=config.server.clinic_name,
        ),
    )
