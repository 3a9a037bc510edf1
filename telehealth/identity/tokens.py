"""Bearer tokens for programs: limited by scope and by the role of the user they belong to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import cast

from telehealth.access import SCOPES, Caller, Role, require
from telehealth.access import Action as Asked
from telehealth.access.surroundings import Surroundings
from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Code, Entry, Outcome
from telehealth.clock import Clock
from telehealth.errors import Malformed, NotFound, WrongState
from telehealth.events import Bus, SessionEnded
from telehealth.identity.faults import Unauthenticated
from telehealth.identity.ports import Audit
from telehealth.identity.secrets import new_token, token_hash
from telehealth.ids import Entropy, Kind, new_id
from telehealth.secret import Secret
from telehealth.store import people
from telehealth.store import sessions as rows
from telehealth.store.engine import Store

PREFIX = "tht_"  # lets secret scanners find a leaked one
MOST_DAYS = 366
MOST_NETWORKS = 20
MOST_OVERLAP_HOURS = 7 * 24
USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ApiToken:
    id: str
    user: str
    label: str
    scopes: tuple[str, ...]
    networks: tuple[str, ...]  # CIDR; none: from anywhere
    successor: str | None
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


class ApiTokens:
    """A token dies with its days, its revocation or its user."""

    def __init__(
        self,
        *,
        store: Store,
        audit: Audit,
        clock: Clock,
        entropy: Entropy,
        surroundings: Surroundings | None = None,
        bus: Bus | None = None,
    ) -> None:
        self._bus = bus
        self._surroundings = surroundings or Surroundings()
        self._store = store
        self._audit = audit
        self._clock = clock
        self._entropy = entropy

    async def create(
        self, caller: Caller, user: str, label: str, scopes: Iterable[str], days: int, networks: Iterable[str] = ()
    ) -> tuple[str, Secret[str]]:
        """Id and token, shown once. Raises Forbidden, Malformed, NotFound."""
        require(caller, Asked.TOKENS_MANAGE)
        wanted = sorted(set(scopes))
        if not wanted or not SCOPES.issuperset(wanted):
            raise Malformed("scopes")
        if not 1 <= days <= MOST_DAYS:
            raise Malformed("days")
        if not 1 <= len(label.strip()) <= 80:
            raise Malformed("label")
        places = _networks(networks)
        token, new = new_token(self._entropy, PREFIX), new_id(Kind.TOKEN, self._entropy)
        detail: dict[str, Code] = {
            "user": user,
            "days": days,
            "networks": len(places),
            **{_field(scope): True for scope in wanted},
        }
        entry = Entry(Action.TOKEN_CREATE, Outcome.DONE, caller.actor(), subject=new, detail=detail)
        async with self._audit.act(entry), self._store.begin() as connection:
            if await people.by_id(connection, user) is None:
                raise NotFound
            now = self._clock.now()
            await rows.insert_token(
                connection,
                id=new,
                token_hash=token_hash(token.reveal()),
                user_id=user,
                label=label.strip(),
                scopes=wanted,
                networks=places,
                created_at=now,
                expires_at=now + timedelta(days=days),
            )
        return new, token

    async def rotate(self, caller: Caller, token: str, *, overlap_hours: int) -> tuple[str, Secret[str]]:
        """A successor with the same rights and as long a life; the old one works for so many hours more.

        Id and token, shown once. Raises Forbidden, Malformed, NotFound, WrongState when it is over or has a successor.
        """
        require(caller, Asked.TOKENS_MANAGE)
        if not 0 <= overlap_hours <= MOST_OVERLAP_HOURS:
            raise Malformed("overlap_hours")
        secret, new = new_token(self._entropy, PREFIX), new_id(Kind.TOKEN, self._entropy)
        detail: dict[str, Code] = {"successor": new, "overlap_hours": overlap_hours}
        entry = Entry(Action.TOKEN_ROTATE, Outcome.DONE, caller.actor(), subject=token, detail=detail)
        async with self._audit.act(entry), self._store.begin() as connection:
            row, now = await rows.token_by_id(connection, token), self._clock.now()
            if row is None:
                raise NotFound
            if row.revoked_at is not None or row.expires_at <= now or row.disabled or row.successor is not None:
                raise WrongState
            await rows.insert_token(
                connection,
                id=new,
                token_hash=token_hash(secret.reveal()),
                user_id=row.user_id,
                label=row.label,
                scopes=row.scopes,
                networks=row.networks,
                created_at=now,
                expires_at=now + (row.expires_at - row.created_at),
            )
            until = min(row.expires_at, now + timedelta(hours=overlap_hours))
            if not await rows.succeed(connection, token, new, until):
                raise WrongState
        return new, secret

    async def list(self, caller: Caller) -> Sequence[ApiToken]:
        """All that ever were, without their secrets. Raises Forbidden."""
        require(caller, Asked.TOKENS_MANAGE)
        async with self._store.read() as connection:
            return [_told(row) for row in await rows.tokens(connection)]

    async def revoke(self, caller: Caller, token: str) -> None:
        """Works at once; a second time is NotFound. Raises Forbidden."""
        require(caller, Asked.TOKENS_MANAGE)
        async with self._store.begin() as connection:
            row = await rows.token_by_id(connection, token)
            if row is None or not await rows.revoke_token(connection, token, self._clock.now()):
                raise NotFound
        if self._bus is not None:
            await self._bus.publish(SessionEnded(row.user_id, token))  # what plays under it stops
        await self._audit.enter_closing(Entry(Action.TOKEN_REVOKE, Outcome.DONE, caller.actor(), subject=token))

    async def resolve(self, bearer: str, *, address: str | None) -> Caller:
        """Whose token it is. Raises Unauthenticated, the same for unknown, expired, revoked and elsewhere."""
        now = self._clock.now()
        async with self._store.read() as connection:
            row = await rows.token(connection, token_hash(bearer))
        over = row is None or row.revoked_at is not None or row.expires_at <= now or row.disabled
        if row is None or over or not _inside(address, row.networks):
            stranger = Actor("stranger", address=address)
            detail: dict[str, Code] = {"reason": "over" if over else "network"}
            entry = Entry(Action.TOKEN_TRY, Outcome.REFUSED, stranger, subject=row.id if row else None, detail=detail)
            await self._audit.enter_throttled(entry, address or "unknown")
            raise Unauthenticated
        if row.used_at is None or now - row.used_at >= USE_NOTED_EVERY:
            async with self._store.begin() as connection:
                await rows.touch_token(connection, row.id, now)
        role = cast(Role, row.role)
        who = Caller("token", row.user_id, role, frozenset(row.scopes), session=row.id, address=address)
        return self._surroundings.about(who, now)


def _field(scope: str) -> str:
    return scope.replace(":", "_")


def _networks(given: Iterable[str]) -> list[str]:
    """In one form, host bits cut off. Raises Malformed."""
    try:
        found = sorted({str(ip_network(one.strip(), strict=False)) for one in given})
    except ValueError:
        raise Malformed("networks") from None
    if len(found) > MOST_NETWORKS:
        raise Malformed("networks")
    return found


def _inside(address: str | None, networks: Sequence[str]) -> bool:
    """Whether the address lies in one of them; without any, everywhere does."""
    if not networks:
        return True
    try:
        place = ip_address(address or "")
    except ValueError:
        return False
    mapped = getattr(place, "ipv4_mapped", None)
    return any((mapped or place) in ip_network(network) for network in networks)


def _told(row: rows.TokenRow) -> ApiToken:
    return ApiToken(
        row.id,
        row.user_id,
        row.label,
        tuple(row.scopes),
        tuple(row.networks),
        row.successor,
        row.created_at,
        row.expires_at,
        row.used_at,
        row.revoked_at,
    )
