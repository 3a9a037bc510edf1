"""The house without its doors: the base and the rooms that decide, for server and commands alike."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from recordings.retention import Rule
from recordings.service import RecordingService
from recordings.settings import Settings
from recordings.vault.store import Vault
from telehealth.audit.log import AuditLog
from telehealth.base import Base, open_base
from telehealth.clock import Clock
from telehealth.config import Config
from telehealth.identity.authenticator import site_of
from telehealth.identity.budget import Budget
from telehealth.identity.enrolment import Enrolment
from telehealth.identity.hashing import Cost, Hasher
from telehealth.identity.joining import Joining
from telehealth.identity.links import Links
from telehealth.identity.own_password import OwnPassword
from telehealth.identity.passkey_sign_in import PasskeySignIn
from telehealth.identity.passkeys import Passkeys
from telehealth.identity.people import People
from telehealth.identity.possession import Possession
from telehealth.identity.resets import Resets
from telehealth.identity.sessions import Sessions
from telehealth.identity.sign_in import SignIn
from telehealth.identity.tokens import ApiTokens
from telehealth.identity.verifying import Verifying
from telehealth.keys.keyring import Keyring
from telehealth.keys.provider import Provider
from telehealth.keys.rewrap import Turnover
from telehealth.outbox.carriers import carriers_of
from telehealth.outbox.outbox import Outbox
from telehealth.storing import Storing, storing_of
from telehealth.visits.booking import Booking, BookingRooms
from telehealth.visits.store import VisitStore

ENTROPY = os.urandom


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
    passkeys: Passkeys
    passkey_sign_in: PasskeySignIn
    own_password: OwnPassword
    resets: Resets
    possession: Possession


@dataclass(frozen=True, slots=True)
class House:
    """The base and the rooms that decide, without doors."""

    base: Base
    outbox: Outbox
    identity: Identity
    booking: Booking
    recordings: RecordingService
    turnover: Turnover
    storing: Storing

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
    def provider(self) -> Provider:
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
            ("scrub", self.recordings.scrub.run()),
            *self.storing.workers(),
            ("keys", self.turnover.run()),
            ("anchors", self.base.anchors.run()),
        ]

    @property
    def people(self) -> People:
        return self.identity.people

    @property
    def tokens(self) -> ApiTokens:
        return self.identity.tokens


@asynccontextmanager
async def open_house(config: Config, clock: Clock, cost: Cost | None = None) -> AsyncIterator[House]:
    """The base, and the rooms that decide. `cost`: of a password hash.

    Raises as `open_base`, and ConfigRefused for a secret's file.
    """
    async with open_base(config, clock) as base:
        carriers = await asyncio.to_thread(carriers_of, config.mail, config.sms)
        outbox = Outbox(**base.common(), fields=base.fields, bus=base.bus, carriers=carriers, entropy=ENTROPY)
        identity = _identity(base, outbox, Hasher(cost))
        storing = await storing_of(config, base, ENTROPY)
        recordings = await _recordings(base, storing.vault, identity.people)
        try:
            booking = await asyncio.to_thread(_booking, base, identity, outbox)  # reads the time zone
            yield House(base, outbox, identity, booking, recordings, _turnover(base), storing)
        finally:
            await storing.vault.close()


def _turnover(base: Base) -> Turnover:
    return Turnover(
        **base.common(),
        keyring=base.keyring,
        keystore=base.keystore,
        retire_after=timedelta(days=base.config.keys.retire_days),
    )


async def _recordings(base: Base, vault: Vault, people: People) -> RecordingService:
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
            scrub_days=section.scrub_days,
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
    people = People(**sealed, bus=base.bus, entropy=ENTROPY)
    keyed = {**sealed, "sessions": sessions, "entropy": ENTROPY, "site": site_of(config)}
    return Identity(
        people=people,
        passkeys=Passkeys(**keyed),
        passkey_sign_in=PasskeySignIn(**keyed),
        own_password=OwnPassword(**sealed, hasher=hasher, sessions=sessions),
        possession=Possession(**sealed, entropy=ENTROPY),
        resets=Resets(**common, entropy=ENTROPY, people=people),
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
