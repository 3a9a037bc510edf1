"""A patient's way in: link, code, details. Nothing tells a link that never was from one that is over."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import pyotp

from telehealth.access import Caller
from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Code, Entry, Outcome
from telehealth.clock import Clock
from telehealth.errors import Malformed
from telehealth.events import Bus, CodeMinted, ParticipantSignedOut
from telehealth.identity.budget import Budget
from telehealth.identity.contacts import address_for
from telehealth.identity.faults import (
    CodeNotMintedHere,
    ContactUnfit,
    LinkUnknown,
    SlowDown,
    TriesUsedUp,
    Unauthenticated,
    VisitOver,
)
from telehealth.identity.links import contact_of
from telehealth.identity.ports import Audit, Fields, Post
from telehealth.identity.secrets import new_token, token_hash
from telehealth.identity.standing import SENT, opens, over, state_of
from telehealth.identity.verifying import CODE_DIGITS, Verified, Verifying
from telehealth.ids import Entropy, Kind, new_id
from telehealth.outbox.messages import code_message
from telehealth.secret import Secret
from telehealth.sections import Visits
from telehealth.store import links as rows
from telehealth.store.engine import Connection, Store
from telehealth.store.locks import hold
from telehealth.visits.states import PARTICIPANT, ParticipantState, ParticipantStep, VisitState, after

RESEND_AFTER = timedelta(seconds=30)
Step = Literal["early", "code", "device", "over"]


@dataclass(frozen=True, slots=True)
class JoinStep:
    """What the page shows next; holds nothing about the patient."""

    step: Step
    channel: str
    opens_at: datetime
    scheduled_at: datetime
    code_length: int | None  # None: a passcode of any length
    details_given: bool = False
    language_hint: str | None = None


@dataclass(frozen=True, slots=True)
class Minted:
    channel: str
    expires_at: datetime
    resend_after: datetime


class Joining:
    """Cookies hold tokens, the database their hashes: a pre-session after the link, a session after the code."""

    def __init__(
        self,
        *,
        store: Store,
        fields: Fields,
        audit: Audit,
        clock: Clock,
        bus: Bus,
        verifying: Verifying,
        budget: Budget,
        post: Post,
        limits: Visits,
        entropy: Entropy,
        clinic: str,
    ) -> None:
        self._store = store
        self._fields = fields
        self._audit = audit
        self._clock = clock
        self._bus = bus
        self._verifying = verifying
        self._budget = budget
        self._post = post
        self._code_life = timedelta(minutes=limits.code_minutes)
        self._entropy = entropy
        self._clinic = clinic

    async def open(self, token: str, *, address: str | None, device: str | None) -> tuple[Secret[str], JoinStep]:
        """A pre-session for whoever holds the link; uses nothing up. Raises LinkUnknown for all that does not open."""
        now, cookie = self._clock.now(), new_token(self._entropy)
        stranger = Actor("stranger", address=address, device=device)
        async with self._store.read() as connection:
            found = await rows.by_token(connection, token_hash(token))
        if found is None or not opens(found, now, self._budget.per_link):
            await self._audit.enter_throttled(Entry(Action.LINK_OPEN, Outcome.REFUSED, stranger), address or "unknown")
            raise LinkUnknown
        if not over(found):
            async with self._store.begin() as connection:
                await self._seat(connection, found.link.id, token_hash(cookie.reveal()), now)
        await self._audit.enter_closing(_entry(Action.LINK_OPEN, Outcome.DONE, found, stranger))
        return cookie, self._step(found, now, verified=False)

    async def resumed(self, cookie: str, token: str, *, address: str | None, device: str | None) -> JoinStep | None:
        """Where a verified browser stands that opens its own link again: its session stays; None for every other."""
        now = self._clock.now()
        async with self._store.read() as connection:
            found = await rows.by_session(connection, token_hash(cookie))
            meant = await rows.by_token(connection, token_hash(token))
        if found is None or found.patient is None or meant is None or meant.link.id != found.link.id:
            return None
        if found.link.revoked_at is not None or not _within(found, now):
            return None
        actor = Actor("participant", found.patient.id, "patient", address, device)
        await self._audit.enter_closing(_entry(Action.LINK_OPEN, Outcome.DONE, found, actor))
        return self._step(found, now, verified=True)

    async def step(self, cookie: str) -> JoinStep:
        """Where the browser that holds the cookie stands. Raises Unauthenticated."""
        now = self._clock.now()
        async with self._store.read() as connection:
            pending = await rows.by_presession(connection, token_hash(cookie))
            found = pending or await rows.by_session(connection, token_hash(cookie))
        if found is None or found.link.revoked_at is not None or not _within(found, now):
            raise Unauthenticated
        return self._step(found, now, verified=pending is None)

    async def mint(self, cookie: str) -> Minted:
        """Mint a code and send it now by the link's channel; the code before it is void.

        Raises Unauthenticated, TooEarly, VisitOver, CodeNotMintedHere, TriesUsedUp, SlowDown, ContactUnfit,
        LogUnavailable.
        """
        now = self._clock.now()
        found = await self._may_mint(cookie, now)
        link = found.link
        expires = min(now + self._code_life, link.expires_at)
        code = self._code(link, link.hotp_counter + 1)
        actor = Actor("participant", found.patient.id if found.patient else "", "patient")
        entry = _entry(Action.CODE_MINT, Outcome.DONE, found, actor, {"channel": link.channel})
        async with self._audit.act(entry), self._store.begin() as connection:
            counted = await self._budget.count_code(connection, link.visit_id, now)
            if not counted or not await rows.next_code(connection, link, expires):
                raise SlowDown(retry_after=RESEND_AFTER.total_seconds())
            if link.channel in SENT:
                await self._send(connection, found, code, expires)
        if link.channel == "spoken":
            await self._bus.publish(CodeMinted(link.visit_id, link.id, code, expires))
        return Minted(link.channel, expires, now + RESEND_AFTER)

    async def _may_mint(self, cookie: str, now: datetime) -> rows.Found:
        """Everything that is checked before a code is minted; raises as `mint`."""
        async with self._store.read() as connection:
            found = await self._verifying.before_code(connection, cookie, now)
            if found.link.hotp_sealed is None:
                raise CodeNotMintedHere
            if not await self._budget.left(connection, found.link, now):
                raise TriesUsedUp
            self._check_pause(found.link, now)
            if not await self._budget.codes_left(connection, found.link.visit_id, now):
                raise SlowDown(retry_after=3600)
        return found

    async def verify(
        self, cookie: str, code: str, *, address: str | None = None, device: str | None = None
    ) -> tuple[Secret[str], Verified]:
        """Try a code; see `Verifying.verify`."""
        return await self._verifying.verify(cookie, code, address=address, device=device)

    async def details(self, cookie: str, location: str, callback: str) -> None:
        """Where the patient is and how to call back. Raises Unauthenticated, Malformed, VisitOver."""
        found, patient = await self._verified(cookie)
        place, number = location.strip(), callback.strip()
        if not 1 <= len(place) <= 200:
            raise Malformed("location")
        if not 1 <= len(number) <= 40:
            raise Malformed("callback")
        sealed = {
            column: self._fields.seal(text, table="participants", column=column, row=patient.id)
            for column, text in (("location_sealed", place), ("callback_sealed", number))
        }
        if over(found):
            raise VisitOver
        async with self._store.begin() as connection:
            await rows.change_patient(connection, patient.id, **sealed)

    async def resolve(self, cookie: str, *, address: str | None, device: str | None) -> Caller:
        """The verified patient behind the cookie. Raises Unauthenticated; a removed one stays out."""
        found, patient = await self._verified(cookie)
        if over(found):
            raise Unauthenticated
        visit = found.visit.id
        return Caller(
            "participant", patient.id, "patient", visit=visit, participant=patient.id, address=address, device=device
        )

    async def give_up(self, cookie: str) -> None:
        """The cookie is worth nothing any more, at once; giving up twice is no error."""
        hashed = token_hash(cookie)
        async with self._store.begin() as connection:
            found = await rows.by_presession(connection, hashed) or await rows.by_session(connection, hashed)
            if found is None or found.patient is None:
                return
            mine = "session_hash" if found.patient.session_hash == hashed else "presession_hash"
            await rows.change_patient(connection, found.patient.id, **{mine: None})
        actor = Actor("participant", found.patient.id, "patient")
        if mine == "session_hash":
            await self._bus.publish(ParticipantSignedOut(found.visit.id, found.patient.id))
        await self._audit.enter_closing(_entry(Action.SIGNIN_OUT, Outcome.DONE, found, actor))

    async def _seat(self, connection: Connection, link: str, presession: bytes, now: datetime) -> None:
        """Give the link's one participant this pre-session; make them at the first opening."""
        await hold(connection, "seat", link)  # two first openings at once make one participant
        found = await rows.by_id(connection, link)
        if found is None or found.link.revoked_at is not None:
            raise LinkUnknown
        if found.patient is not None:
            state = after(PARTICIPANT, ParticipantState(found.patient.state), ParticipantStep.OPEN_LINK)
            await rows.change_patient(connection, found.patient.id, presession_hash=presession, state=state)
            return
        await rows.insert_patient(
            connection,
            id=new_id(Kind.PARTICIPANT, self._entropy),
            visit_id=found.visit.id,
            link_id=link,
            role=found.link.role,
            state=after(PARTICIPANT, ParticipantState.INVITED, ParticipantStep.OPEN_LINK),
            presession_hash=presession,
            arrived_at=now,
        )

    def _step(self, found: rows.Found, now: datetime, *, verified: bool) -> JoinStep:
        step: Step = "device" if verified else "code"
        if over(found):
            step = "over"
        elif state_of(found.link, now) == "early":
            step = "early"
        given = verified and found.patient is not None and found.patient.location_sealed is not None
        length = None if found.link.channel == "passcode" else CODE_DIGITS
        return JoinStep(step, found.link.channel, found.link.not_before, found.visit.scheduled_at, length, given)

    def _check_pause(self, link: rows.LinkRow, now: datetime) -> None:
        if link.code_expires_at is None:
            return
        wait = link.code_expires_at - self._code_life + RESEND_AFTER - now
        if wait > timedelta(0):
            raise SlowDown(retry_after=wait.total_seconds())

    def _code(self, link: rows.LinkRow, counter: int) -> Secret[str]:
        sealed = link.hotp_sealed or b""
        seed = self._fields.open(sealed, table="links", column="hotp_sealed", row=link.id)
        return Secret(pyotp.HOTP(seed, digits=CODE_DIGITS).at(counter))

    async def _send(self, connection: Connection, found: rows.Found, code: Secret[str], expires: datetime) -> None:
        to = address_for(found.link.channel, contact_of(self._fields, found.visit))
        if to is None:
            raise ContactUnfit
        message = code_message(self._clinic, code, int(self._code_life.total_seconds() // 60))
        await self._post.queue(
            found.link.channel,
            to,
            message,
            visit=found.visit.id,
            link=found.link.id,
            kind="code",
            expires=expires,
            connection=connection,
        )

    async def _verified(self, cookie: str) -> tuple[rows.Found, rows.PatientRow]:
        async with self._store.read() as connection:
            found = await rows.by_session(connection, token_hash(cookie))
        if found is None or found.patient is None or found.link.revoked_at is not None:
            raise Unauthenticated
        if not _within(found, self._clock.now()):
            raise Unauthenticated
        return found, found.patient


def _within(found: rows.Found, now: datetime) -> bool:
    """A call that runs longer than its window is not cut off by it."""
    return now < found.link.expires_at or found.visit.state == VisitState.IN_CALL


def _entry(
    action: Action, outcome: Outcome, found: rows.Found, actor: Actor, detail: dict[str, Code] | None = None
) -> Entry:
    patient = found.visit.patient_lookup.hex()
    return Entry(
        action, outcome, actor, visit=found.visit.id, patient=patient, subject=found.link.id, detail=detail or {}
    )
