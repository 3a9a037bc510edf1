"""All parts of identity over one folder, with a clock that the test moves."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyotp
from sqlalchemy import insert, select

from telehealth.access import Caller
from telehealth.audit.details import FileDetailKeys
from telehealth.audit.log import AuditLog, Limits
from telehealth.config import Config
from telehealth.events import Bus, CodeMinted, CodeVoided, IdentitySeen, LinkRevoked, ParticipantSignedOut, SessionEnded
from telehealth.identity.authenticator import Site
from telehealth.identity.breached import PasswordRules
from telehealth.identity.budget import Budget
from telehealth.identity.contacts import contact_key
from telehealth.identity.enrolment import Enrolled, Enrolment
from telehealth.identity.fence import OPEN
from telehealth.identity.hashing import Cost, Hasher
from telehealth.identity.joining import Joining
from telehealth.identity.links import IssuedLink, Links
from telehealth.identity.lost import LostLinks
from telehealth.identity.own_password import OwnPassword
from telehealth.identity.passkey_sign_in import PasskeySignIn
from telehealth.identity.passkeys import Passkeys
from telehealth.identity.people import People
from telehealth.identity.possession import Possession
from telehealth.identity.resets import Resets
from telehealth.identity.sessions import Sessions
from telehealth.identity.sightings import Sightings
from telehealth.identity.sign_in import SignIn
from telehealth.identity.standing import window_of
from telehealth.identity.tokens import ApiTokens
from telehealth.identity.verifying import Verifying
from telehealth.ids import Kind, new_id
from telehealth.keys.fields import FieldCipher
from telehealth.outbox.messages import Message
from telehealth.outbox.outbox import Outbox
from telehealth.secret import Secret
from telehealth.sections import Sessions as SessionLimits
from telehealth.sections import Visits
from telehealth.store.engine import Store
from telehealth.store.tables import visits
from tests.partners.databases import Databases

CHEAP = Cost(passes=1, memory_kib=32, lanes=1)
START = datetime(2031, 5, 6, 7, 0, tzinfo=UTC)
ADMIN = Caller("cli", "cli", "admin")
PASSWORD = "seven brown otters swim"
PLACE: dict[str, str] = {"address": "192.0.2.7", "device": "a browser"}
SITE = Site("clinic.example", ("https://clinic.example",), "Clinic by the Lake")
QUICK = Limits(retry_every=0.005, brief=2.0, throttle_tick=0.005)


class SteppedClock:
    def __init__(self) -> None:
        self.moment = START
        self.seconds = 0.0

    def now(self) -> datetime:
        return self.moment

    def steady(self) -> float:
        return self.seconds

    def step(self, **how: float) -> None:
        by = timedelta(**how)
        self.moment += by
        self.seconds += by.total_seconds()


@dataclass
class Tray:
    """A carrier that keeps what it was given."""

    sent: list[tuple[str, Message]] = field(default_factory=list)

    async def send(self, to: str, message: Message) -> None:
        self.sent.append((to, message))


@dataclass
class Enrolment_:
    """Somebody who can sign in."""

    user: str
    login: str
    totp: pyotp.TOTP
    recovery: tuple[str, ...]
    session: Secret[str]


class House:
    """Opened again after a restart with `again`."""

    def __init__(self, folder: Path, store: Store, audit: AuditLog, clock: SteppedClock) -> None:
        self.folder, self.store, self.audit, self.clock = folder, store, audit, clock
        self.bus, self.events = Bus(), list[Any]()
        for kind in (SessionEnded, LinkRevoked, CodeMinted, CodeVoided, ParticipantSignedOut, IdentitySeen):
            self.bus.subscribe(kind, self._heard)
        self.fields = FieldCipher(Secret(b"f" * 32), Secret(b"l" * 32))
        self.limits, self.hasher = Visits(), Hasher(CHEAP)
        self.mail, self.sms = Tray(), Tray()
        parts: dict[str, Any] = {"store": store, "fields": self.fields, "audit": audit, "clock": clock}
        bus, odds = {"bus": self.bus}, {"entropy": _entropy}
        self.outbox = Outbox(**parts, **bus, **odds, carriers={"email": self.mail, "sms": self.sms})
        self.sessions = Sessions(**parts, **bus, **odds, limits=SessionLimits())
        self.people = People(**parts, **bus, **odds)
        self.sign_in = SignIn(**parts, hasher=self.hasher, sessions=self.sessions)
        self.enrolment = Enrolment(
            **parts, **odds, hasher=self.hasher, sessions=self.sessions, issuer="Clinic", rules=PasswordRules()
        )
        keyed = {**parts, **odds, "sessions": self.sessions, "site": SITE}
        self.passkeys, self.passkey_sign_in = Passkeys(**keyed), PasskeySignIn(**keyed)
        self.possession = Possession(**parts, **odds)
        self.own_password = OwnPassword(**parts, hasher=self.hasher, sessions=self.sessions, rules=PasswordRules())
        self.resets = Resets(store=store, audit=audit, clock=clock, **odds, people=self.people)
        self.tokens = ApiTokens(store=store, audit=audit, clock=clock, **odds)
        mine = {"hasher": self.hasher, "limits": self.limits}
        self.links = Links(**parts, **bus, **odds, **mine, post=self.outbox)
        budget = Budget(self.fields, self.limits)
        self.verifying = Verifying(**parts, **bus, **odds, hasher=self.hasher, budget=budget)
        self.joining = Joining(
            **parts,
            **bus,
            **odds,
            verifying=self.verifying,
            budget=budget,
            post=self.outbox,
            limits=self.limits,
            clinic="Clinic by the Lake",
        )
        self.lost = LostLinks(**parts, **odds, post=self.outbox, fence=OPEN, limits=self.limits, config=Config())
        self.sightings = Sightings(store=store, audit=audit, clock=clock, **bus, **odds, limits=self.limits)

    async def _heard(self, event: Any) -> None:
        self.events.append(event)

    def heard(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def enrolled(self, login: str = "ada", role: str = "clinician") -> Enrolment_:
        invitation = await self.people.add(ADMIN, login, f"Dr {login}", role)
        done, secret = await self.finish(invitation.token.reveal())
        self.clock.step(seconds=30)
        return Enrolment_(done.user.id, login, pyotp.TOTP(secret), done.recovery_codes, done.token)

    async def finish(self, token: str, **changes: Any) -> tuple[Enrolled, str]:
        offer = await self.enrolment.look(token)
        secret = offer.totp_secret.reveal()
        code = pyotp.TOTP(secret).at(self.clock.now())
        given = {"login": None, "name": None, "password": PASSWORD, "code": code, **PLACE, **changes}
        return await self.enrolment.finish(token, **given), secret

    def code_of(self, person: Enrolment_) -> str:
        return person.totp.at(self.clock.now())

    async def visit(
        self, clinician: str, *, contact: str | None = None, assurance: str = "standard", **more: Any
    ) -> str:
        visit, key = new_id(Kind.VISIT), contact_key(contact)
        sealed = {
            column: self.fields.seal(text, table="visits", column=column, row=visit)
            for column, text in (("patient_name_sealed", "Canary Patient"), ("patient_contact_sealed", contact))
            if text is not None
        }
        async with self.store.begin() as connection:
            await connection.execute(
                insert(visits).values(
                    id=visit,
                    clinician_id=clinician,
                    state="booked",
                    patient_lookup=self.fields.lookup("patient", "Canary Patient"),
                    scheduled_at=self.clock.now(),
                    minutes=30,
                    assurance=assurance,
                    recording_planned=False,
                    created_at=self.clock.now(),
                    contact_lookup=None if key is None else self.fields.lookup("visit-contact", key),
                    **sealed,
                    **more,
                )
            )
        return visit

    async def link(self, visit: str, channel: str = "passcode", **changes: Any) -> IssuedLink:
        window = window_of(self.clock.now(), 30, self.limits)
        return await self.links.issue(ADMIN, visit, channel=channel, **{"window": window, **changes})

    async def entries(self) -> list[tuple[str, str]]:
        return [(stored.action, stored.outcome) for stored in await self.audit.entries(limit=1000)]

    async def rows(self, table: Any) -> list[dict[str, Any]]:
        async with self.store.read() as connection:
            return [dict(row) for row in (await connection.execute(select(table))).mappings()]


def _entropy(count: int) -> bytes:
    import os

    return os.urandom(count)


async def open_house(folder: Path, databases: Databases, clock: SteppedClock) -> House:
    """A house over the folder and its database; a new one starts empty."""
    store = await asyncio.to_thread(Store.open, await asyncio.to_thread(databases.of, folder))
    audit = await AuditLog.open(
        folder / "audit",
        signing_key=Secret(b"s" * 32),
        pseudonym_key=Secret(b"p" * 32),
        detail_keys=FileDetailKeys(folder / "detail-keys", Secret(b"w" * 32)),
        clock=clock,
        origin="log.example/audit",
        limits=QUICK,
    )
    return House(folder, store, audit, clock)


async def close_house(house: House) -> None:
    await house.audit.close()
    await house.store.close()
