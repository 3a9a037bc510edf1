"""Whom an identity is here: tied by issuer and subject alone, never by a name or an e-mail address."""

from collections.abc import Mapping
from typing import Any

from telehealth.access import SYSTEM
from telehealth.audit.actions import Action
from telehealth.audit.entry import Code, Entry, Outcome
from telehealth.clock import Clock
from telehealth.errors import Malformed
from telehealth.events import Bus, SessionEnded
from telehealth.identity.faults import LastAdmin
from telehealth.identity.names import readable_login, readable_name
from telehealth.identity.oidc.faults import SsoTaken, SsoUnknown
from telehealth.identity.oidc.flow import exact
from telehealth.identity.oidc.idtoken import Vouched
from telehealth.identity.oidc.settings import Sso
from telehealth.identity.ports import Audit, Fields
from telehealth.ids import Entropy, Kind, new_id
from telehealth.store import people, sso
from telehealth.store import sessions as session_rows
from telehealth.store.engine import Store


class Accounts:
    """Roles follow the provider's claims where the configuration maps them; no mapped role, no way in."""

    def __init__(
        self,
        *,
        store: Store,
        fields: Fields,
        audit: Audit,
        clock: Clock,
        bus: Bus,
        entropy: Entropy,
        settings: Sso,
    ) -> None:
        self._store = store
        self._fields = fields
        self._audit = audit
        self._clock = clock
        self._bus = bus
        self._entropy = entropy
        self._settings = settings

    def lookup(self, subject: str) -> bytes:
        """Under what an identity is kept."""
        return exact(self._fields, "sso-subject", self._settings.issuer, subject)

    def sid(self, sid: str | None) -> bytes | None:
        """Under what the provider's session is kept."""
        return None if sid is None else exact(self._fields, "sso-sid", self._settings.issuer, sid)

    async def of(self, vouched: Vouched) -> people.UserRow:
        """The account, its role brought up to date, made where that is configured.

        Raises SsoUnknown, SsoTaken, LastAdmin, LogUnavailable.
        """
        role, lookup = self._role(vouched.claims), self.lookup(vouched.subject)
        async with self._store.read() as connection:
            known = await sso.user_of(connection, lookup)
            user = await people.by_id(connection, known) if known else None
        if user is None:
            if role is None or not self._settings.provision:
                raise SsoUnknown
            return await self._made(vouched, role, lookup)
        if user.disabled or (role is None and self._settings.roles):
            raise SsoUnknown
        if role is not None and role != user.role:
            await self._follow(user, role)
            user = await self._again(user.id)
        return user

    def _role(self, claims: Mapping[str, Any]) -> str | None:
        """The first of the configured roles that the claim names; a dot goes into an object, as Keycloak nests them."""
        found: Any = claims.get(self._settings.role_claim)
        if found is None:
            found = claims
            for part in self._settings.role_claim.split("."):
                found = found.get(part) if isinstance(found, dict) else None
        listed = [found] if isinstance(found, str) else found
        if not isinstance(listed, list):
            return None
        return next((role for name, role in self._settings.roles.items() if name in listed), None)

    async def _made(self, vouched: Vouched, role: str, lookup: bytes) -> people.UserRow:
        try:
            login = readable_login(str(vouched.claims.get(self._settings.login_claim) or ""))
            name = readable_name(str(vouched.claims.get("name") or login))
        except Malformed:
            raise SsoUnknown from None
        user, now = new_id(Kind.USER, self._entropy), self._clock.now()
        entry = Entry(
            Action.USER_CREATE, Outcome.DONE, SYSTEM.actor(), subject=user, detail={"role": role, "by": "sso"}
        )
        async with self._audit.act(entry), self._store.begin() as connection:
            try:
                await people.insert_user(
                    connection,
                    id=user,
                    role=role,
                    login_lookup=self._fields.lookup("login", login),
                    login_sealed=self._fields.seal(login, table="users", column="login_sealed", row=user),
                    name_sealed=self._fields.seal(name, table="users", column="name_sealed", row=user),
                    recovery_hashes=[],
                    created_at=now,
                )
                await sso.insert(connection, lookup, user, now)
            except people.Taken:
                raise SsoTaken from None
        return await self._again(user)

    async def _follow(self, user: people.UserRow, role: str) -> None:
        """The directory says otherwise than we: its word counts from now on, and what was open ends."""
        detail: dict[str, Code] = {"role": role, "disabled": user.disabled, "by": "sso"}
        entry = Entry(Action.USER_ROLE, Outcome.DONE, SYSTEM.actor(), subject=user.id, detail=detail)
        async with self._audit.act(entry), self._store.begin() as connection:
            await people.change(connection, user.id, role=role)
            await people.note_standing(connection, user, self._clock.now())
            if user.able_admin and not await people.admins(connection, active=True):
                raise LastAdmin
            await session_rows.end_sessions_of(connection, user.id, self._clock.now())
        await self._bus.publish(SessionEnded(user.id))

    async def _again(self, user: str) -> people.UserRow:
        async with self._store.read() as connection:
            row = await people.by_id(connection, user)
        if row is None or row.disabled:
            raise SsoUnknown
        return row
