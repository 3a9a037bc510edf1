"""The identity check of a patient: a passcode, or the one minted code that is current."""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyotp

from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Code, Entry, Outcome
from telehealth.audit.faults import LogUnavailable
from telehealth.clock import Clock
from telehealth.errors import Malformed
from telehealth.events import Bus, CodeVoided, IdentitySeen, ParticipantSignedOut
from telehealth.identity.budget import Budget
from telehealth.identity.confirming import Confirming
from telehealth.identity.faults import CodeExpired, CodeWrong, TooEarly, TriesUsedUp, Unauthenticated, VisitOver
from telehealth.identity.hashing import Hasher
from telehealth.identity.ports import Audit, Fields
from telehealth.identity.secrets import as_read, new_token, token_hash
from telehealth.identity.standing import channel_allowed, has_code, over, state_of
from telehealth.ids import Entropy
from telehealth.secret import Secret
from telehealth.store import links as rows
from telehealth.store.engine import Connection, Store
from telehealth.store.locks import hold
from telehealth.visits.states import PARTICIPANT, ParticipantState, ParticipantStep, after

CODE_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Verified:
    participant: str
    visit: str


class Verifying:
    """A try is counted before it is looked at; the right one is entered, given back and used up at once."""

    def __init__(
        self,
        *,
        store: Store,
        fields: Fields,
        audit: Audit,
        clock: Clock,
        bus: Bus,
        hasher: Hasher,
        budget: Budget,
        entropy: Entropy,
        confirming: Confirming | None = None,
        code_life: timedelta = timedelta(minutes=10),
    ) -> None:
        self._store = store
        self._fields = fields
        self._audit = audit
        self._clock = clock
        self._bus = bus
        self._hasher = hasher
        self._budget = budget
        self._entropy = entropy
        self._code_life = code_life
        self.confirming = confirming or Confirming(fields)

    async def before_code(self, connection: Connection, cookie: str, now: datetime) -> rows.Found:
        """The link of a pre-session that may get or try a code. Raises Unauthenticated, TooEarly, VisitOver."""
        found = await rows.by_presession(connection, token_hash(cookie))
        if found is None:
            raise Unauthenticated
        state = state_of(found.link, now)
        if state in ("expired", "revoked") or not channel_allowed(found.visit, found.link.channel):
            raise Unauthenticated
        if over(found):
            raise VisitOver
        if state == "early":
            raise TooEarly
        return found

    async def verify(
        self, cookie: str, code: str, confirmed: str | None = None, *, address: str | None, device: str | None
    ) -> tuple[Secret[str], Verified]:
        """The participant session. `confirmed`: what the visit asks to be confirmed, looked at together with the code.

        Raises Unauthenticated, TooEarly, VisitOver, Malformed without the confirmation, CodeExpired, CodeWrong,
        TriesUsedUp.
        """
        now = self._clock.now()
        async with self._store.begin() as connection:
            found = await self.before_code(connection, cookie, now)
            if found.link.passcode_hash is None and not has_code(found.link, now, self._code_life):
                raise CodeExpired
            if confirmed is None and self.confirming.asked(found.visit, found.link.channel, found.guest) != "none":
                raise Malformed("confirm")
            left = await self._budget.take(connection, found.link, now)
        if found.patient is None:
            raise Unauthenticated
        actor = Actor("participant", found.patient.id, found.role, address, device)
        if left is None:
            entry = _entry(Action.CODE_TRY, Outcome.REFUSED, found, actor, {"reason": "tries_used_up"})
            await self._audit.enter_throttled(entry, address or "unknown")
            raise TriesUsedUp
        confirmation = self.confirming.right(found.visit, found.link.channel, confirmed or "", found.guest)
        if (
            not (await self._right(found.link, code, address)) & confirmation
        ):  # both, always: neither tells which was wrong
            detail: dict[str, Code] = {"reason": "wrong", "tries_left": left}
            await self._audit.enter_closing(_entry(Action.CODE_TRY, Outcome.REFUSED, found, actor, detail))
            raise CodeWrong(left)
        token = await self._admit(found, found.patient, actor, token_hash(cookie), now)
        if found.patient.session_hash is not None:
            await self._bus.publish(ParticipantSignedOut(found.visit.id, found.patient.id, replaced=True))
        if found.patient.sighted is not None:  # another browser, perhaps another face
            await self._bus.publish(IdentitySeen(found.visit.id, found.patient.id, None))
        if found.link.passcode_hash is None:
            await self._bus.publish(CodeVoided(found.visit.id, found.link.id))
        return token, Verified(found.patient.id, found.visit.id)

    async def _right(self, link: rows.LinkRow, code: str, address: str | None) -> bool:
        if link.passcode_hash is not None:
            return await self._hasher.verify(link.passcode_hash, as_read(code), address)
        seed = self._fields.open(link.hotp_sealed or b"", table="links", column="hotp_sealed", row=link.id)
        expected = pyotp.HOTP(seed, digits=CODE_DIGITS).at(link.hotp_counter)
        return hmac.compare_digest(expected.encode(), as_read(code).encode())

    async def _admit(
        self, found: rows.Found, patient: rows.PatientRow, actor: Actor, presession: bytes, now: datetime
    ) -> Secret[str]:
        """Entered first; then the code is used up and the cookies are exchanged, or nothing; one of many wins."""
        token = new_token(self._entropy)
        entry = _entry(Action.IDENTITY_VERIFIED, Outcome.DONE, found, actor, {"channel": found.link.channel})
        try:
            async with self._audit.act(entry), self._store.begin() as connection:
                await hold(connection, "seat", found.link.id)  # browsers of one link, one after the other
                await self._claim(connection, found.link, now)
                await self._budget.give_back(connection, found.link, now)
                fresh = await rows.by_presession(connection, presession)
                if fresh is None or fresh.patient is None or fresh.link.revoked_at is not None:
                    raise Unauthenticated
                if over(fresh):
                    raise VisitOver
                if fresh.link.passcode_hash != found.link.passcode_hash:
                    raise CodeExpired  # replaced while it was looked at
                state = after(PARTICIPANT, ParticipantState(fresh.patient.state), ParticipantStep.PASS_CODE)
                if not await rows.exchange(
                    connection, fresh, patient.id, presession, token_hash(token.reveal()), state
                ):
                    raise Unauthenticated
        except LogUnavailable:
            async with self._store.begin() as connection:
                await self._budget.give_back(connection, found.link, now)
            raise
        return token

    async def _claim(self, connection: Connection, link: rows.LinkRow, now: datetime) -> None:
        if link.passcode_hash is not None:
            return
        if not await rows.use_code(connection, link.id, link.hotp_counter, now, self._code_life):
            raise CodeExpired


def _entry(action: Action, outcome: Outcome, found: rows.Found, actor: Actor, detail: dict[str, Code]) -> Entry:
    patient = found.visit.patient_lookup.hex()
    return Entry(action, outcome, actor, visit=found.visit.id, patient=patient, subject=found.link.id, detail=detail)
