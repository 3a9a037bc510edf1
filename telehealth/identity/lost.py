"""A lost link, sent once more to the contact on file; whoever asks learns nothing of whether we know it.

Answering does one and the same work for every contact. Looking it up happens later, in the one task that sends.
The link that was lost stays good until one of the new ones passes the code: asking bars nobody from their visit.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Actor, Entry, Outcome
from telehealth.clock import Clock
from telehealth.config import Config
from telehealth.errors import Malformed, Refusal
from telehealth.identity.contacts import address_for, contact_key
from telehealth.identity.faults import OutsideArea, SlowDown
from telehealth.identity.fence import Fence
from telehealth.identity.links import contact_of
from telehealth.identity.ports import Audit, Fields, Post
from telehealth.identity.secrets import new_token, token_hash
from telehealth.identity.standing import opens, over, within
from telehealth.ids import Entropy
from telehealth.log import get_logger
from telehealth.outbox.messages import link_message
from telehealth.secret import Secret
from telehealth.sections import Visits
from telehealth.store import attempts
from telehealth.store import links as rows
from telehealth.store.engine import Store
from telehealth.visits.states import OVER

A_CONTACT = 3  # answered requests a day
AN_ADDRESS = 10  # requests an hour
A_DAY = 2_000  # requests from everybody
VISITS = 3  # of one contact, the soonest
WAITING = 100
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Asked:
    key: Secret[str]
    at: datetime


class LostLinks:
    """`run` is the one task that sends, owned by the app. What waits is lost with the process: people ask again."""

    def __init__(
        self,
        *,
        store: Store,
        fields: Fields,
        audit: Audit,
        clock: Clock,
        post: Post,
        fence: Fence,
        limits: Visits,
        entropy: Entropy,
        config: Config,
    ) -> None:
        self._store = store
        self._fields = fields
        self._audit = audit
        self._clock = clock
        self._post = post
        self._fence = fence
        self._tries = limits.code_tries
        self._entropy = entropy
        self._config = config
        self._queue: asyncio.Queue[_Asked] = asyncio.Queue(WAITING)  # full: everybody is told to ask later

    async def ask(self, contact: str, *, address: str | None, device: str | None) -> None:
        """The same for every contact, known or not. Raises Malformed for what is none, OutsideArea, SlowDown."""
        key = contact_key(contact)
        if key is None:
            raise Malformed("contact")
        who = Actor("stranger", address=address, device=device)
        await self._audit.enter_throttled(Entry(Action.LINK_LOST, Outcome.DONE, who), f"lost:{address or 'unknown'}")
        if not self._fence.lets(address):
            raise OutsideArea
        now = self._clock.now()
        async with self._store.begin() as connection:
            for subject, most in (
                (self._fields.lookup("lost-address", f"{_neighbourhood(address)} {now:%Y-%m-%d %H}"), AN_ADDRESS),
                (self._fields.lookup("lost-day", f"{now.date()}"), A_DAY),
            ):
                if not await attempts.take(connection, subject, most, now):
                    raise SlowDown(retry_after=3600)
            subject = self._fields.lookup("lost-contact", f"{key} {now.date()}")
            counted = await attempts.take(connection, subject, A_CONTACT, now)
        if not counted:
            return
        try:
            self._queue.put_nowait(_Asked(Secret(key), now))
        except asyncio.QueueFull:
            raise SlowDown(retry_after=60) from None

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be answered."""
        return self._queue.empty()

    async def run(self) -> None:
        """Answer what was asked, one after the other, until cancelled."""
        while True:
            await self.answer_one()

    async def answer_one(self) -> None:
        """Wait for a request and send what is to be sent; what is refused is told in the server's log alone."""
        asked = await self._queue.get()
        try:
            async with self._store.read() as connection:
                lookup = self._fields.lookup("visit-contact", asked.key.reveal())
                found = await rows.of_contact(connection, lookup, asked.at, sorted(OVER), VISITS)
            for one in found:
                await self._send(one, self._clock.now())
        except Refusal as refusal:
            log.warning("lost_link.not_sent", code=refusal.code)
        except Exception:  # the promise: a database that fails ends neither this worker nor the server
            log.error("lost_link.not_sent", code="lost_link_failed", exc_info=True)
        finally:
            self._queue.task_done()

    async def _send(self, found: rows.Found, now: datetime) -> None:
        """One more token of the link, in one transaction with its message."""
        sent_by = self._way(found)
        if sent_by is None or over(found) or not opens(found, now, self._tries) or not within(found, now):
            return
        channel, to = sent_by
        token = new_token(self._entropy)
        server = self._config.server
        message = await asyncio.to_thread(  # reads the time zone
            link_message,
            (found.patient and found.patient.language) or server.language,
            server.clinic_name,
            Secret(f"{self._config.public_url}/join#{token.reveal()}"),
            link=found.link.id,
            scheduled_at=found.visit.scheduled_at,
            minutes=found.visit.minutes,
            zone=server.time_zone,
            now=now,
        )
        entry = Entry(
            Action.LINK_REISSUE,
            Outcome.DONE,
            SYSTEM,
            visit=found.visit.id,
            patient=found.visit.patient_lookup.hex(),
            subject=found.link.id,
            detail={"channel": channel},
        )
        async with self._audit.act(entry), self._store.begin() as connection:
            if await rows.add_spare(connection, found.link.id, token_hash(token.reveal()), now):
                await self._post.queue(
                    channel,
                    to,
                    message,
                    visit=found.visit.id,
                    link=found.link.id,
                    expires=found.link.expires_at,
                    connection=connection,
                )

    def _way(self, found: rows.Found) -> tuple[str, str] | None:
        """How it is sent; never, for high assurance, the way its codes go."""
        contact = contact_of(self._fields, found.visit)
        for channel in ("email", "sms"):
            to = address_for(channel, contact)
            if to is None or not self._post.offers(channel):
                continue
            if found.visit.assurance == "high" and found.link.channel == channel:
                continue
            return channel, to
        return None


def _neighbourhood(address: str | None) -> str:
    """Who is counted as one asker: an IPv4 address, an IPv6 /64."""
    try:
        place = ip_address(address or "")
    except ValueError:
        return "unknown"
    return str(place) if place.version == 4 else place.exploded[:19]
