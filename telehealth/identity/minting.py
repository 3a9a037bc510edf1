"""One-time codes: minted when asked for, sent or told at once, the one before void."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pyotp

from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Code, Entry, Outcome
from telehealth.clock import Clock
from telehealth.events import Bus, CodeMinted
from telehealth.identity.budget import Budget
from telehealth.identity.contacts import address_for
from telehealth.identity.faults import CodeNotMintedHere, ContactUnfit, SlowDown, TriesUsedUp
from telehealth.identity.links import contact_for
from telehealth.identity.ports import Audit, Fields, Post
from telehealth.identity.standing import SENT
from telehealth.identity.verifying import CODE_DIGITS, Verifying
from telehealth.outbox.messages import code_message
from telehealth.secret import Secret
from telehealth.store import links as rows
from telehealth.store.engine import Connection, Store

RESEND_AFTER = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Minted:
    channel: str
    expires_at: datetime
    resend_after: datetime


class Minting:
    """Nothing of a code is stored but the counter it comes from (RFC 4226)."""

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
        life: timedelta,
        clinic: str,
        language: str = "en",
    ) -> None:
        self._store = store
        self._fields = fields
        self._audit = audit
        self._clock = clock
        self._bus = bus
        self._verifying = verifying
        self._budget = budget
        self._post = post
        self._life = life
        self._clinic = clinic
        self._language = language

    async def mint(self, cookie: str) -> Minted:
        """Mint a code and send it now by the link's channel; the code before it is void.

        Raises Unauthenticated, TooEarly, VisitOver, CodeNotMintedHere, TriesUsedUp, SlowDown, ContactUnfit,
        LogUnavailable.
        """
        now = self._clock.now()
        found = await self._may_mint(cookie, now)
        link = found.link
        expires = min(now + self._life, link.expires_at)
        code = self._code(link, link.hotp_counter + 1)
        async with self._audit.act(_entry(found)), self._store.begin() as connection:
            counted = await self._budget.count_code(connection, link, now)
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
            if not await self._budget.codes_left(connection, found.link, now):
                raise SlowDown(retry_after=3600)
        return found

    def _check_pause(self, link: rows.LinkRow, now: datetime) -> None:
        if link.code_expires_at is None:
            return
        wait = link.code_expires_at - self._life + RESEND_AFTER - now
        if timedelta(0) < wait <= RESEND_AFTER:  # longer: the clock went back, and nobody waits for that
            raise SlowDown(retry_after=wait.total_seconds())

    def _code(self, link: rows.LinkRow, counter: int) -> Secret[str]:
        sealed = link.hotp_sealed or b""
        seed = self._fields.open(sealed, table="links", column="hotp_sealed", row=link.id)
        return Secret(pyotp.HOTP(seed, digits=CODE_DIGITS).at(counter))

    async def _send(self, connection: Connection, found: rows.Found, code: Secret[str], expires: datetime) -> None:
        to = address_for(found.link.channel, contact_for(self._fields, found))
        if to is None:
            raise ContactUnfit
        language = (found.patient and found.patient.language) or self._language
        message = code_message(language, self._clinic, code, int(self._life.total_seconds() // 60))
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


def _entry(found: rows.Found) -> Entry:
    actor = Actor("participant", found.patient.id if found.patient else "", found.role)
    detail: dict[str, Code] = {"channel": found.link.channel}
    patient, link = found.visit.patient_lookup.hex(), found.link.id
    return Entry(
        Action.CODE_MINT, Outcome.DONE, actor, visit=found.visit.id, patient=patient, subject=link, detail=detail
    )
