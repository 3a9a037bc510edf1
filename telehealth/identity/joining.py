"""A patient's way in: link, code, details. Nothing tells a link that never was from one that is over."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from telehealth.access import Caller, Role
from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Code, Entry, Outcome
from telehealth.clock import Clock
from telehealth.errors import Malformed
from telehealth.events import Bus, ParticipantSignedOut
from telehealth.identity.budget import Budget
from telehealth.identity.confirming import Confirm
from telehealth.identity.faults import LinkUnknown, OutsideArea, Unauthenticated, VisitOver
from telehealth.identity.fence import OPEN, Fence
from telehealth.identity.minting import RESEND_AFTER, Minted, Minting
from telehealth.identity.ports import Audit, Fields, Post
from telehealth.identity.secrets import new_token, token_hash
from telehealth.identity.standing import over, state_of, within
from telehealth.identity.verifying import CODE_DIGITS, Verified, Verifying
from telehealth.ids import Entropy, Kind, new_id
from telehealth.secret import Secret
from telehealth.sections import Visits
from telehealth.store import links as rows
from telehealth.store.engine import Connection, Store
from telehealth.store.locks import hold
from telehealth.visits.states import PARTICIPANT, ParticipantState, ParticipantStep, after

__all__ = ["RESEND_AFTER", "JoinStep", "Joining", "Minted"]

Step = Literal["early", "code", "device", "over"]


@dataclass(frozen=True, slots=True)
class JoinStep:
    """What the page shows next; holds nothing about the patient, and of the visit no time before the code has passed.

    `opens_at`: for whoever is early. `confirm`: what is to be given with the code; `question`: the clinic's own.
    `role`: as whom one is invited. `details_given`: of guests none are asked.
    """

    step: Step
    channel: str
    opens_at: datetime | None
    scheduled_at: datetime | None
    code_length: int | None  # None: a passcode of any length
    confirm: Confirm = "none"
    question: str | None = None
    details_given: bool = False
    language_hint: str | None = None
    role: str = "patient"


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
        language: str = "en",
        fence: Fence = OPEN,
    ) -> None:
        self._store = store
        self._fields = fields
        self._audit = audit
        self._clock = clock
        self._bus = bus
        self._verifying = verifying
        self._budget = budget
        self._entropy = entropy
        self._fence = fence
        parts: dict[str, Any] = {"store": store, "fields": fields, "audit": audit, "clock": clock, "bus": bus}
        told: dict[str, Any] = {"clinic": clinic, "language": language, "life": timedelta(minutes=limits.code_minutes)}
        self._minting = Minting(**parts, verifying=verifying, budget=budget, post=post, **told)

    async def open(
        self, token: str, *, address: str | None, device: str | None, language: str | None = None
    ) -> tuple[Secret[str], JoinStep]:
        """A pre-session for whoever holds the link; uses nothing up. `language`: of the page, for later messages.

        Raises LinkUnknown for all that does not open, OutsideArea whatever the link is.
        """
        await self._inside(None, address, device)
        now, cookie = self._clock.now(), new_token(self._entropy)
        stranger = Actor("stranger", address=address, device=device)
        async with self._store.read() as connection:
            found = await rows.opening(connection, token_hash(token), now, self._budget.per_link)
        if found is None:
            await self._audit.enter_throttled(Entry(Action.LINK_OPEN, Outcome.REFUSED, stranger), address or "unknown")
            raise LinkUnknown
        if not over(found):
            async with self._store.begin() as connection:
                hashes = token_hash(cookie.reveal()), token_hash(token)
                participant = await self._seat(connection, found.link.id, *hashes, now)
                if language is not None:
                    await rows.change_patient(connection, participant, language=language)
        await self._audit.enter_closing(_entry(Action.LINK_OPEN, Outcome.DONE, found, stranger))
        return cookie, self._step(found, now, verified=False)

    async def resumed(self, cookie: str, token: str, *, address: str | None, device: str | None) -> JoinStep | None:
        """For a verified browser that opens its own link again: its session stays; else None. Raises OutsideArea."""
        await self._inside(cookie, address, device)
        now = self._clock.now()
        async with self._store.read() as connection:
            found = await rows.by_session(connection, token_hash(cookie))
            meant = await rows.by_token(connection, token_hash(token))
        if found is None or found.patient is None or meant is None or meant.link.id != found.link.id:
            return None
        if not within(found, now):
            return None
        actor = Actor("participant", found.patient.id, found.role, address, device)
        await self._audit.enter_closing(_entry(Action.LINK_OPEN, Outcome.DONE, found, actor))
        return self._step(found, now, verified=True)

    async def step(self, cookie: str, *, address: str | None = None, device: str | None = None) -> JoinStep:
        """Where the browser that holds the cookie stands. Raises Unauthenticated, OutsideArea."""
        await self._inside(cookie, address, device)
        now = self._clock.now()
        async with self._store.read() as connection:
            pending = await rows.by_presession(connection, token_hash(cookie))
            found = pending or await rows.by_session(connection, token_hash(cookie))
        if found is None or not within(found, now):
            raise Unauthenticated
        return self._step(found, now, verified=pending is None)

    async def mint(self, cookie: str, *, address: str | None = None, device: str | None = None) -> Minted:
        """A code, sent or told now; see `Minting.mint`. Raises OutsideArea besides."""
        await self._inside(cookie, address, device)
        return await self._minting.mint(cookie)

    async def verify(
        self,
        cookie: str,
        code: str,
        confirmed: str | None = None,
        *,
        address: str | None = None,
        device: str | None = None,
    ) -> tuple[Secret[str], Verified]:
        """Try a code and what is confirmed with it; see `Verifying.verify`. Raises OutsideArea besides."""
        await self._inside(cookie, address, device)
        return await self._verifying.verify(cookie, code, confirmed, address=address, device=device)

    async def details(
        self, cookie: str, location: str, callback: str, *, address: str | None = None, device: str | None = None
    ) -> None:
        """Where the patient is and how to call back. Raises Unauthenticated, OutsideArea, Malformed, VisitOver."""
        await self._inside(cookie, address, device)
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
        """Whoever passed the code behind the cookie. Raises Unauthenticated, OutsideArea; a removed one stays out."""
        await self._inside(cookie, address, device)
        found, patient = await self._verified(cookie)
        if over(found):
            raise Unauthenticated
        return _caller(found, patient, address, device)

    async def afterwards(self, cookie: str, *, address: str | None, device: str | None) -> Caller:
        """The verified patient behind the cookie while the link lasts, also once the visit has ended.

        Raises Unauthenticated, for one who was removed too, and for guests, who have nothing to come back for;
        OutsideArea.
        """
        await self._inside(cookie, address, device)
        found, patient = await self._verified(cookie)
        if patient.state == ParticipantState.REMOVED or found.guest is not None:
            raise Unauthenticated
        return _caller(found, patient, address, device)

    async def give_up(self, cookie: str) -> None:
        """The cookie is worth nothing any more, at once; giving up twice is no error."""
        hashed = token_hash(cookie)
        async with self._store.begin() as connection:
            found = await rows.by_presession(connection, hashed) or await rows.by_session(connection, hashed)
            if found is None or found.patient is None:
                return
            verified = found.patient.session_hash == hashed
            if verified:
                await rows.change_patient(connection, found.patient.id, session_hash=None)
            else:
                await rows.drop_presession(connection, hashed)
        actor = Actor("participant", found.patient.id, found.role)
        if verified:
            await self._bus.publish(ParticipantSignedOut(found.visit.id, found.patient.id))
        await self._audit.enter_closing(_entry(Action.SIGNIN_OUT, Outcome.DONE, found, actor))

    async def _inside(self, cookie: str | None, address: str | None, device: str | None) -> None:
        """Raises OutsideArea, entered, before anything of the link is looked at."""
        if self._fence.lets(address):
            return
        found: rows.Found | None = None
        if cookie is not None:
            hashed = token_hash(cookie)
            async with self._store.read() as connection:
                found = await rows.by_session(connection, hashed) or await rows.by_presession(connection, hashed)
        entry = Entry(
            Action.LINK_OPEN,
            Outcome.REFUSED,
            Actor("stranger", address=address, device=device),
            visit=found.visit.id if found else None,
            patient=found.visit.patient_lookup.hex() if found else None,
            subject=found.link.id if found else None,
            detail={"reason": "outside_area"},
        )
        await self._audit.enter_throttled(entry, f"area:{found.link.id if found else address or 'unknown'}")
        raise OutsideArea

    async def _seat(self, connection: Connection, link: str, presession: bytes, token: bytes, now: datetime) -> str:
        """Give the link's one participant one more pre-session; make them at the first opening. Their id."""
        await hold(connection, "seat", link)  # two first openings at once make one participant
        found = await rows.by_id(connection, link)
        if found is None or found.link.revoked_at is not None:
            raise LinkUnknown
        if found.patient is not None:
            participant = found.patient.id
            state = after(PARTICIPANT, ParticipantState(found.patient.state), ParticipantStep.OPEN_LINK)
            await rows.change_patient(connection, participant, state=state)
        else:
            participant = new_id(Kind.PARTICIPANT, self._entropy)
            await rows.insert_patient(
                connection,
                id=participant,
                visit_id=found.visit.id,
                link_id=link,
                role=found.link.role,
                state=after(PARTICIPANT, ParticipantState.INVITED, ParticipantStep.OPEN_LINK),
                arrived_at=now,
            )
        await rows.add_presession(connection, participant, presession, token, now)
        return participant

    def _step(self, found: rows.Found, now: datetime, *, verified: bool) -> JoinStep:
        step: Step = "device" if verified else "code"
        if over(found):
            step = "over"
        elif state_of(found.link, now) == "early":
            step = "early"
        known = found.patient is not None and found.patient.location_sealed is not None
        asking, channel = step == "code", found.link.channel
        return JoinStep(
            step,
            channel,
            found.link.not_before if step == "early" else None,
            found.visit.scheduled_at if verified else None,
            None if channel == "passcode" else CODE_DIGITS,
            self._verifying.confirming.asked(found.visit, channel, found.guest) if asking else "none",
            self._verifying.confirming.question(found.visit, channel, found.guest) if asking else None,
            verified and (known or found.guest is not None),
            role=found.link.role,
        )

    async def _verified(self, cookie: str) -> tuple[rows.Found, rows.PatientRow]:
        async with self._store.read() as connection:
            found = await rows.by_session(connection, token_hash(cookie))
        if found is None or found.patient is None or not within(found, self._clock.now()):
            raise Unauthenticated
        return found, found.patient


def _caller(found: rows.Found, person: rows.PatientRow, address: str | None, device: str | None) -> Caller:
    role: Role = "patient" if found.guest is None else "guest"
    return Caller(
        "participant", person.id, role, visit=found.visit.id, participant=person.id, address=address, device=device
    )


def _entry(
    action: Action, outcome: Outcome, found: rows.Found, actor: Actor, detail: dict[str, Code] | None = None
) -> Entry:
    patient = found.visit.patient_lookup.hex()
    return Entry(
        action, outcome, actor, visit=found.visit.id, patient=patient, subject=found.link.id, detail=detail or {}
    )
