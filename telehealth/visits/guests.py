"""Guests of a visit: invited by whoever may send its links, each with a link of their own."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from telehealth.access import Action as May
from telehealth.access import Caller
from telehealth.audit.actions import Action
from telehealth.audit.entry import Code, Entry, Outcome
from telehealth.clock import Clock
from telehealth.errors import NotFound, Refusal, WrongState
from telehealth.events import Bus, VisitChanged
from telehealth.identity.links import IssuedLink, Links, LinkView, contact_of_guest
from telehealth.identity.ports import Audit, Fields
from telehealth.ids import Kind, is_id, new_id
from telehealth.store import guests as rows
from telehealth.store.engine import Connection, Store
from telehealth.store.locks import hold
from telehealth.visits.faults import GuestsFull
from telehealth.visits.orders import LinkAsked
from telehealth.visits.rows import VisitRow
from telehealth.visits.sending import Sending
from telehealth.visits.states import OVER
from telehealth.visits.topology import MOST_PEOPLE, SEATS

GuestRole = Literal["interpreter", "relative", "colleague"]
MOST_GUESTS = MOST_PEOPLE - sum(SEATS.values())
Seen = Callable[[Caller, str, May], Awaitable[VisitRow]]  # a visit the caller may do that to; raises NotFound


class GuestAsked(LinkAsked, Protocol):
    """A new guest and their first link. `contact`: e-mail address or phone."""

    @property
    def role(self) -> GuestRole: ...
    @property
    def name(self) -> str: ...
    @property
    def contact(self) -> str | None: ...
    @property
    def language(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class NewGuest:
    """A guest invited from inside: tests, the demonstration."""

    role: GuestRole
    name: str
    contact: str | None = None
    language: str | None = None
    channel: Literal["passcode", "sms", "email", "spoken"] = "passcode"
    passcode: str | None = None
    send: Literal["email", "sms"] | None = None


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest as whoever may send the visit's links sees them; `state`: invited until the link was opened."""

    id: str
    role: str
    name: str
    contact: str | None
    language: str | None
    state: str
    participant: str | None
    link: LinkView | None
    created_at: datetime


class Guests:
    """Who may is asked of the visit's clinician; a visit somebody may not see is NotFound."""

    def __init__(
        self,
        *,
        store: Store,
        fields: Fields,
        audit: Audit,
        clock: Clock,
        bus: Bus,
        links: Links,
        sending: Sending,
        seen: Seen,
    ) -> None:
        self._store = store
        self._fields = fields
        self._audit = audit
        self._clock = clock
        self._bus = bus
        self._links = links
        self._sending = sending
        self._seen = seen

    async def invite(self, caller: Caller, visit: str, asked: GuestAsked) -> tuple[Guest, IssuedLink]:
        """One guest more and their link.

        Raises NotFound, WrongState, GuestsFull, ChannelNotAllowed, ContactUnfit, ChannelOff, PasscodeWeak,
        LogUnavailable.
        """
        row = await self._seen(caller, visit, May.VISITS_WRITE)
        if row.state in OVER:
            raise WrongState
        self._sending.sendable(row, asked, asked.contact)
        guest = new_id(Kind.GUEST)
        async with self._audit.act(_entry(Action.GUEST_INVITE, caller, row, guest, {"role": asked.role})):
            async with self._store.begin() as connection:
                await hold(connection, "guests", visit)
                if len(await rows.of_visit(connection, visit)) >= MOST_GUESTS:
                    raise GuestsFull
                await self._add(connection, caller, row, guest, asked)
            try:
                found = await self._found(visit, guest)
                issued = await self._sending.issue(caller, row, asked, asked.contact, found.facts)
            except Refusal:
                async with self._store.begin() as connection:
                    await rows.discard(connection, guest)
                raise
        await self._bus.publish(VisitChanged(visit))
        return (await self._shown(visit, guest))[0], issued

    async def _add(self, c: Connection, caller: Caller, row: VisitRow, guest: str, asked: GuestAsked) -> None:
        sealed = {
            column: None if text is None else self._fields.seal(text, table="guests", column=column, row=guest)
            for column, text in (("name_sealed", asked.name.strip()), ("contact_sealed", asked.contact))
        }
        await rows.add(
            c,
            id=guest,
            visit_id=row.id,
            role=asked.role,
            language=asked.language,
            invited_by=caller.id,
            created_at=self._clock.now(),
            **sealed,
        )

    async def list(self, caller: Caller, visit: str) -> Sequence[Guest]:
        """Those whose invitation stands. Raises NotFound; LogUnavailable for a visit that is not the caller's own."""
        row = await self._seen(caller, visit, May.VISITS_READ)
        if row.clinician != caller.id:
            patient = row.patient_lookup.hex()
            entry = Entry(Action.VISIT_READ, Outcome.DONE, caller.actor(), visit=visit, patient=patient)
            await self._audit.enter(entry)
        return await self._shown(visit)

    async def issue_link(self, caller: Caller, visit: str, guest: str, asked: LinkAsked) -> IssuedLink:
        """A new link; the guest's earlier one is revoked, and its sockets close. Raises as `invite`."""
        row = await self._seen(caller, visit, May.VISITS_WRITE)
        found = await self._found(visit, guest)
        contact = contact_of_guest(self._fields, found.facts)
        self._sending.sendable(row, asked, contact)
        return await self._sending.issue(caller, row, asked, contact, found.facts)

    async def remove(self, caller: Caller, visit: str, guest: str) -> None:
        """Take the invitation back, at once; whoever came by it is out. Raises NotFound, also the second time."""
        row = await self._seen(caller, visit, May.VISITS_WRITE)
        if not is_id(Kind.GUEST, guest):
            raise NotFound
        await self._found(visit, guest)
        await self._links.revoke_of(caller, visit, guest)  # first: a fault between the two leaves nobody in
        async with self._store.begin() as connection:
            removed = await rows.remove(connection, visit, guest, self._clock.now())
        if not removed:
            raise NotFound
        await self._audit.enter_closing(_entry(Action.GUEST_REMOVE, caller, row, guest, {}))
        await self._bus.publish(VisitChanged(visit))

    async def _found(self, visit: str, guest: str) -> rows.GuestRow:
        async with self._store.read() as connection:
            found = [row for row in await rows.of_visit(connection, visit) if row.id == guest]
        if not found:
            raise NotFound
        return found[0]

    async def _shown(self, visit: str, guest: str | None = None) -> Sequence[Guest]:
        links = await self._links.of_guests(visit)
        async with self._store.read() as connection:
            found = await rows.of_visit(connection, visit)
        return [
            Guest(
                id=row.id,
                role=row.role,
                name=self._fields.open(row.name_sealed, table="guests", column="name_sealed", row=row.id),
                contact=contact_of_guest(self._fields, row.facts),
                language=row.language,
                state=row.state or "invited",
                participant=row.participant,
                link=links.get(row.id),
                created_at=row.created_at,
            )
            for row in found
            if guest in (None, row.id)
        ]


def _entry(action: Action, caller: Caller, row: VisitRow, guest: str, detail: dict[str, Code]) -> Entry:
    patient = row.patient_lookup.hex()
    return Entry(action, Outcome.DONE, caller.actor(), visit=row.id, patient=patient, subject=guest, detail=detail)
