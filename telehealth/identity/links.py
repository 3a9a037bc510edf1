"""Links: issued for one visit, shown once, revoked when a new one comes."""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from telehealth.access import Action as Asked
from telehealth.access import Caller, Object, require
from telehealth.access import Kind as Kind_
from telehealth.audit.actions import Action
from telehealth.audit.entry import Code, Entry, Outcome
from telehealth.clock import Clock
from telehealth.errors import NotFound, WrongState
from telehealth.events import Bus, CodeVoided, LinkRevoked, VisitChanged
from telehealth.identity.budget import Budget
from telehealth.identity.contacts import address_for
from telehealth.identity.faults import ChannelNotAllowed, ContactUnfit, PasscodeWeak
from telehealth.identity.hashing import Hasher
from telehealth.identity.ports import Audit, Fields, Post
from telehealth.identity.secrets import as_read, new_passcode, new_token, token_hash
from telehealth.identity.standing import SENT, LinkState, Window, channel_allowed, state_of
from telehealth.ids import Entropy, Kind, new_id
from telehealth.secret import Secret
from telehealth.sections import Visits
from telehealth.store import care
from telehealth.store import links as rows
from telehealth.store.engine import Store
from telehealth.store.guests import GuestFacts
from telehealth.store.locks import hold
from telehealth.visits.states import OVER

SHORTEST_PASSCODE, LONGEST_PASSCODE = 8, 64


@dataclass(frozen=True, slots=True)
class IssuedLink:
    """`token` and `passcode` are shown once and stored only as hashes."""

    id: str
    token: Secret[str]
    channel: str
    passcode: Secret[str] | None
    not_before: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class LinkView:
    """A link without its secrets."""

    id: str
    channel: str
    state: LinkState
    not_before: datetime
    expires_at: datetime
    tries_left: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewBudget:
    tries_left: int
    passcode: Secret[str] | None = field(default=None)


class Links:
    """Who may is asked of the visit's clinician; a visit somebody may not see is NotFound."""

    def __init__(
        self,
        *,
        store: Store,
        fields: Fields,
        audit: Audit,
        clock: Clock,
        bus: Bus,
        hasher: Hasher,
        post: Post,
        limits: Visits,
        entropy: Entropy = os.urandom,
    ) -> None:
        self._store = store
        self._fields = fields
        self._audit = audit
        self._clock = clock
        self._bus = bus
        self._hasher = hasher
        self._post = post
        self._entropy = entropy
        self._budget = Budget(fields, limits)

    async def check(self, visit: str, channel: str) -> None:
        """Whether codes can reach the patient by the channel. Raises NotFound, ChannelNotAllowed, ContactUnfit."""
        async with self._store.read() as connection:
            facts = await rows.visit(connection, visit)
        if facts is None:
            raise NotFound
        self._check_channel(facts, channel)

    async def issue(
        self,
        caller: Caller,
        visit: str,
        *,
        channel: str,
        window: Window,
        passcode: str | None = None,
        guest: GuestFacts | None = None,
    ) -> IssuedLink:
        """A new link of the patient, or of a guest; their earlier ones are revoked, and those sockets close.

        Raises NotFound, WrongState, ChannelNotAllowed, ContactUnfit, PasscodeWeak, LogUnavailable.
        """
        facts = await self._visit(caller, visit)
        if facts.state in OVER:
            raise WrongState
        self._check_channel(facts, channel, guest)
        now, token = self._clock.now(), new_token(self._entropy)
        link = new_id(Kind.LINK, self._entropy)
        secrets, told = await self._secrets(link, channel, passcode)
        entry = self._entry(Action.LINK_ISSUE, caller, facts, link, {"channel": channel})
        async with self._audit.act(entry), self._store.begin() as connection:
            await hold(connection, "links", visit)  # of two at once the later revokes the earlier
            revoked = await rows.revoke(connection, now, visit_id=visit, whose=guest.id if guest else "patient")
            await rows.insert_link(
                connection,
                id=link,
                visit_id=visit,
                role=guest.role if guest else "patient",
                guest_id=guest.id if guest else None,
                channel=channel,
                token_hash=token_hash(token.reveal()),
                not_before=window.opens,
                expires_at=window.closes,
                created_at=now,
                **secrets,
            )
        await self._tell_revoked(caller, facts, revoked, "replaced")
        await self._bus.publish(VisitChanged(visit))
        return IssuedLink(link, token, channel, told, window.opens, window.closes)

    async def revoke(self, caller: Caller, visit: str, link: str) -> None:
        """At once; sockets close. Raises NotFound, also the second time."""
        facts = await self._visit(caller, visit)
        async with self._store.begin() as connection:
            revoked = await rows.revoke(connection, self._clock.now(), visit_id=visit, link=link)
        if not revoked:
            raise NotFound
        await self._tell_revoked(caller, facts, revoked, "revoked")
        await self._bus.publish(VisitChanged(visit))

    async def revoke_of(self, caller: Caller, visit: str, guest: str) -> None:
        """Every link of a guest, at once. Raises NotFound for the visit."""
        facts = await self._visit(caller, visit)
        async with self._store.begin() as connection:
            revoked = await rows.revoke(connection, self._clock.now(), visit_id=visit, whose=guest)
        await self._tell_revoked(caller, facts, revoked, "revoked")

    async def revoke_all(self, caller: Caller, visit: str, reason: str = "cancelled") -> None:
        """Every link of a visit, at once. Raises NotFound."""
        facts = await self._visit(caller, visit)
        async with self._store.begin() as connection:
            revoked = await rows.revoke(connection, self._clock.now(), visit_id=visit)
        await self._tell_revoked(caller, facts, revoked, reason)

    async def move(self, caller: Caller, visit: str, window: Window) -> None:
        """Give the visit's links that are early or live another window. Raises NotFound, LogUnavailable."""
        facts = await self._visit(caller, visit)
        async with self._store.read() as connection:
            found = await rows.of_visits(connection, [visit])
        live = [row for row in found if state_of(row, self._clock.now()) in ("early", "live")]
        for row in live:
            entry = self._entry(Action.LINK_ISSUE, caller, facts, row.id, {"moved": True})
            async with self._audit.act(entry), self._store.begin() as connection:
                await rows.change(connection, row.id, not_before=window.opens, expires_at=window.closes)

    async def new_budget(self, caller: Caller, visit: str, link: str) -> NewBudget:
        """Tries anew; the present code is void, a passcode is replaced by a minted one. The day's limit stays.

        Raises NotFound, WrongState, LogUnavailable.
        """
        facts = await self._visit(caller, visit)
        async with self._store.read() as connection:
            found = await rows.by_id(connection, link)
        if found is None or found.link.visit_id != visit:
            raise NotFound
        if state_of(found.link, self._clock.now()) not in ("early", "live"):
            raise WrongState
        told = Secret(new_passcode(self._entropy)) if found.link.channel == "passcode" else None
        values: dict[str, object] = {"tries": 0, "code_expires_at": None}
        if told is not None:
            values["passcode_hash"] = await self._hasher.hash(as_read(told.reveal()))
        entry = self._entry(Action.LINK_ISSUE, caller, facts, link, {"new_budget": True})
        async with self._audit.act(entry), self._store.begin() as connection:
            await rows.change(connection, link, **values)
            fresh = await rows.by_id(connection, link)
            left = 0 if fresh is None else await self._budget.left(connection, fresh.link, self._clock.now())
        await self._bus.publish(CodeVoided(visit, link))
        await self._bus.publish(VisitChanged(visit))
        return NewBudget(left, told)

    async def of(self, visits: Sequence[str]) -> dict[str, tuple[LinkView, ...]]:
        """Each visit's links of its patient, oldest first, for whoever was let see the visits."""
        found: dict[str, tuple[LinkView, ...]] = dict.fromkeys(visits, ())
        for row, view in await self._views(visits):
            if row.guest_id is None:
                found[row.visit_id] = (*found[row.visit_id], view)
        return found

    async def of_guests(self, visit: str) -> dict[str, LinkView]:
        """Each guest's newest link, by the guest's id, for whoever was let see the visit."""
        return {row.guest_id: view for row, view in await self._views([visit]) if row.guest_id is not None}

    async def _views(self, visits: Sequence[str]) -> list[tuple[rows.LinkRow, LinkView]]:
        now = self._clock.now()
        async with self._store.read() as connection:
            return [
                (row, _view(row, now, await self._budget.left(connection, row, now)))
                for row in await rows.of_visits(connection, visits)
            ]

    async def _visit(self, caller: Caller, visit: str) -> rows.VisitFacts:
        async with self._store.read() as connection:
            facts = await rows.visit(connection, visit)
            circle = (await care.circles(connection, [visit], self._clock.now()))[visit]
        if facts is None:
            raise NotFound
        patient = facts.patient_lookup.hex()
        thing = Object(Kind_.VISIT, visit, facts.clinician_id, circle.team, circle.opened, visit, patient)
        require(caller, Asked.VISITS_WRITE, thing)
        return facts

    def _check_channel(self, visit: rows.VisitFacts, channel: str, guest: GuestFacts | None = None) -> None:
        if not channel_allowed(visit, channel) or (channel in SENT and not self._post.offers(channel)):
            raise ChannelNotAllowed
        contact = contact_of(self._fields, visit) if guest is None else contact_of_guest(self._fields, guest)
        if channel in SENT and address_for(channel, contact) is None:
            raise ContactUnfit

    async def _secrets(
        self, link: str, channel: str, passcode: str | None
    ) -> tuple[dict[str, object], Secret[str] | None]:
        """What is stored of the link's code, and what is told."""
        if channel != "passcode":
            seed = base64.b32encode(self._entropy(20)).decode("ascii")  # RFC 4226 §4: 160 bits
            sealed = self._fields.seal(seed, table="links", column="hotp_sealed", row=link)
            return {"hotp_sealed": sealed}, None
        told = new_passcode(self._entropy) if passcode is None else passcode.strip()
        read = as_read(told)
        if passcode is not None and (not SHORTEST_PASSCODE <= len(read) <= LONGEST_PASSCODE or len(set(read)) < 4):
            raise PasscodeWeak
        return {"passcode_hash": await self._hasher.hash(read)}, Secret(told)

    async def _tell_revoked(self, caller: Caller, visit: rows.VisitFacts, links: list[str], reason: str) -> None:
        for link in links:
            await self._bus.publish(LinkRevoked(visit.id, link))
        for link in links:
            entry = self._entry(Action.LINK_REVOKE, caller, visit, link, {"reason": reason})
            await self._audit.enter_closing(entry)

    def _entry(
        self, action: Action, caller: Caller, visit: rows.VisitFacts, link: str, detail: dict[str, Code]
    ) -> Entry:
        patient = visit.patient_lookup.hex()
        return Entry(action, Outcome.DONE, caller.actor(), visit=visit.id, patient=patient, subject=link, detail=detail)


def _view(row: rows.LinkRow, now: datetime, left: int) -> LinkView:
    return LinkView(row.id, row.channel, state_of(row, now), row.not_before, row.expires_at, left, row.created_at)


def contact_for(fields: Fields, found: rows.Found) -> str | None:
    """Where codes of a link go: to the patient, or to the guest whose link it is."""
    return contact_of(fields, found.visit) if found.guest is None else contact_of_guest(fields, found.guest)


def contact_of_guest(fields: Fields, guest: GuestFacts) -> str | None:
    """A guest's contact as whoever invited them wrote it."""
    if guest.contact_sealed is None:
        return None
    return fields.open(guest.contact_sealed, table="guests", column="contact_sealed", row=guest.id)


def contact_of(fields: Fields, visit: rows.VisitFacts) -> str | None:
    """The patient's contact as the clinic wrote it."""
    if visit.patient_contact_sealed is None:
        return None
    return fields.open(visit.patient_contact_sealed, table="visits", column="patient_contact_sealed", row=visit.id)
