"""The house without its doors: the base and the rooms that decide, for server and commands alike."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from ipaddress import ip_network
from typing import Any

from recordings.retention import Rule
from recordings.service import RecordingService
from recordings.settings import Settings
from recordings.vault.store import Vault
from telehealth.access.surroundings import Surroundings
from telehealth.alerting import Alerting, alerting_of
from telehealth.audit.log import AuditLog
from telehealth.backup.backups import Backups
from telehealth.backup.settling import settle
from telehealth.backup.standing import look
from telehealth.base import Base, open_base
from telehealth.caring import Care, caring_of, clinic_rules
from telehealth.clock import Clock
from telehealth.config import Config
from telehealth.copying import Copying, copying_of
from telehealth.identity.authenticator import site_of
from telehealth.identity.breached import PasswordRules
from telehealth.identity.budget import Budget
from telehealth.identity.confirming import Confirming
from telehealth.identity.enrolment import Enrolment
from telehealth.identity.fence import Fence
from telehealth.identity.hashing import Cost, Hasher
from telehealth.identity.joining import Joining
from telehealth.identity.links import Links
from telehealth.identity.lost import LostLinks
from telehealth.identity.oidc.provider import Provider as IdentityProvider
from telehealth.identity.oidc.rooms import SsoRooms, provider_of, sso_of
from telehealth.identity.own_password import OwnPassword
from telehealth.identity.passkey_sign_in import PasskeySignIn
from telehealth.identity.passkeys import Passkeys
from telehealth.identity.people import People
from telehealth.identity.possession import Possession
from telehealth.identity.quorum import AdminQuorum
from telehealth.identity.resets import Resets
from telehealth.identity.sessions import Sessions
from telehealth.identity.sightings import Sightings
from telehealth.identity.sign_in import SignIn
from telehealth.identity.tokens import ApiTokens
from telehealth.identity.verifying import Verifying
from telehealth.keys.keyring import Keyring
from telehealth.keys.provider import Provider
from telehealth.keys.rewrap import Turnover
from telehealth.limiting import Limiting, limiting_of
from telehealth.outbox.carriers import carriers_of
from telehealth.outbox.outbox import Outbox
from telehealth.stewardship import Stewardship, stewardship_of
from telehealth.storing import Storing, storing_of
from telehealth.visits.booking import Booking, BookingRooms
from telehealth.visits.guests import Guests
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
    lost: LostLinks
    sightings: Sightings
    passkeys: Passkeys
    passkey_sign_in: PasskeySignIn
    own_password: OwnPassword
    resets: Resets
    possession: Possession
    sso: SsoRooms


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
    copying: Copying
    alerting: Alerting
    care: Care
    backups: Backups
    stewardship: Stewardship

    limiting: Limiting

    @property
    def guests(self) -> Guests:
        """The room of a visit's guests; it keeps nothing of its own."""
        parts = {**self.base.common(), "fields": self.base.fields, "bus": self.base.bus}
        return Guests(**parts, links=self.identity.links, sending=self.booking.sending, seen=self.booking.seen)

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
        own = {"database": self._database, "log": self._log, "keys": self._keys}
        return {**own, "disk": self._disk, "vault": self._vault, "draining": self._stays}

    async def _stays(self) -> bool:
        """A server that is going is sent no more visitors."""
        return not self.base.draining.begun

    async def _database(self) -> bool:
        async with self.base.store.read() as connection:
            await connection.exec_driver_sql("SELECT 1")
        return True

    async def _log(self) -> bool:
        return self.log.healthy

    async def _keys(self) -> bool:
        return (await self.provider.status()).reachable

    async def _vault(self) -> bool:
        await self.storing.vault.free_bytes()  # raises VaultAway
        return True

    async def _disk(self) -> bool:
        usage = await asyncio.to_thread(shutil.disk_usage, self.config.places.recordings)
        return usage.free >= self.config.recording.least_free_bytes

    def workers(self) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        """The rooms' own long-running tasks, by name."""
        return [
            ("sessions", self.identity.sessions.run()),
            ("outbox", self.outbox.run()),
            ("lost links", self.identity.lost.run()),
            ("sweeper", self.recordings.run_sweeper()),
            ("exports", self.recordings.run_exports()),
            ("copies", self.copying.copies.run()),
            ("scrub", self.recordings.scrub.run()),
            *self.storing.workers(),
            *self.backups.workers(),
            ("keys", self.turnover.run()),
            ("anchors", self.base.anchors.run()),
            *self.base.outward.workers(),
            *self.alerting.workers(self),
            *self.care.workers(),
            *self.stewardship.workers(),
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
        surroundings = await clinic_rules(config)
        provider = await asyncio.to_thread(provider_of, config, clock)
        identity = _identity(base, outbox, Hasher(cost), surroundings, provider)
        limiting = await limiting_of(base, ENTROPY)
        storing = await storing_of(config, base, ENTROPY)
        recordings = await _recordings(base, storing.vault, identity.people)
        try:
            booking = await asyncio.to_thread(_booking, base, identity, outbox)  # reads the time zone
            care = caring_of(config, base, identity.people, surroundings, ENTROPY)
            alerting = await alerting_of(config, base, outbox, identity.people, ENTROPY)
            settled = await settle(base, storing.vault, recordings)  # after a restore, before anything else
            backups = Backups(base, storing.vault, ENTROPY, settled)
            copying = copying_of(base, recordings, outbox, ENTROPY)
            stewardship = await stewardship_of(base, alerting, ENTROPY)
            rooms = (booking, recordings, _turnover(base), storing, copying, alerting, care, backups, stewardship)
            yield House(base, outbox, identity, *rooms, limiting)
        finally:
            await limiting.close()
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
            provider_days=base.config.keys.provider_days,
            two_people=section.early_deletion == "two_people",
            least_free_bytes=section.least_free_bytes,
            sweep_seconds=section.sweep_minutes * 60.0,
            scrub_days=section.scrub_days,
            export=base.config.export,
        ),
        names_of=people.name_of,
        quorum=AdminQuorum(store=base.store, clock=base.clock),
        copies_left=partial(_copies_left, base),
    )


async def _copies_left(base: Base) -> bool:
    """Whether a configured place holds a backup of keys older than certificates promise, or cannot be looked at."""
    section, days = base.config.backup, base.config.recording.backup_days
    found = await asyncio.to_thread(look, section, days, base.clock.now())
    return bool(found.over_age) or found.unreachable


def _booking(base: Base, identity: Identity, outbox: Outbox) -> Booking:
    store = VisitStore(base.store, base.fields)
    return Booking(
        BookingRooms(store, identity.links, identity.people, outbox, base.log, base.bus, base.clock, base.config)
    )


def _identity(
    base: Base, outbox: Outbox, hasher: Hasher, surroundings: Surroundings, provider: IdentityProvider
) -> Identity:
    config = base.config
    budget = Budget(base.fields, config.visits)
    common = base.common()
    sealed = {**common, "fields": base.fields}
    sessions = Sessions(**sealed, bus=base.bus, limits=config.sessions, entropy=ENTROPY, surroundings=surroundings)
    confirming = Confirming(base.fields, config.visits.confirm)
    verifying = Verifying(
        **sealed,
        bus=base.bus,
        hasher=hasher,
        budget=budget,
        entropy=ENTROPY,
        confirming=confirming,
        code_life=timedelta(minutes=config.visits.code_minutes),
    )
    fence = Fence(
        config.visits.join_countries,
        [ip_network(one, strict=False) for one in config.visits.join_networks],
        surroundings.country,
    )
    people = People(**sealed, bus=base.bus, entropy=ENTROPY)
    keyed = {**sealed, "sessions": sessions, "entropy": ENTROPY, "site": site_of(config)}
    sign_in = SignIn(**sealed, hasher=hasher, sessions=sessions)
    rules = PasswordRules(config.sessions.breached_passwords, config.server.clinic_name)
    sso = sso_of({**sealed, "sessions": sessions}, provider, sign_in, base.bus, ENTROPY, config.sessions)
    return Identity(
        people=people,
        passkeys=Passkeys(**keyed),
        passkey_sign_in=PasskeySignIn(**keyed),
        own_password=OwnPassword(**sealed, hasher=hasher, sessions=sessions, rules=rules),
        possession=Possession(**sealed, entropy=ENTROPY),
        resets=Resets(**common, entropy=ENTROPY, people=people),
        enrolment=Enrolment(
            **sealed, hasher=hasher, sessions=sessions, entropy=ENTROPY, issuer=config.server.clinic_name, rules=rules
        ),
        sign_in=sign_in,
        sso=sso,
        sessions=sessions,
        tokens=ApiTokens(**common, entropy=ENTROPY, surroundings=surroundings, bus=base.bus),
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
            language=config.server.language,
            fence=fence,
        ),
        lost=LostLinks(**sealed, post=outbox, fence=fence, limits=config.visits, entropy=ENTROPY, config=config),
        sightings=Sightings(**common, bus=base.bus, limits=config.visits, entropy=ENTROPY),
    )
