"""Set-up links: a person chooses a password, ties an authenticator, keeps recovery codes, and is signed in."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import segno

from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.clock import Clock
from telehealth.errors import Malformed
from telehealth.identity import totp
from telehealth.identity.breached import PasswordRules
from telehealth.identity.faults import EnrolmentCodeWrong, InvitationOver, LoginTaken
from telehealth.identity.hashing import Hasher
from telehealth.identity.names import readable_login, readable_name
from telehealth.identity.passwords import normal
from telehealth.identity.ports import Audit, Fields
from telehealth.identity.secrets import new_recovery_codes, recovery_hash, token_hash
from telehealth.identity.sessions import Person, Proof, SessionInfo, Sessions
from telehealth.ids import Entropy, Kind, new_id
from telehealth.secret import Secret
from telehealth.store import people as rows
from telehealth.store.engine import Connection, Store

_FIRST = (Action.USER_CREATE, Action.MFA_ENROL, Action.SIGNIN_OK)


@dataclass(frozen=True, slots=True)
class EnrolmentOffer:
    """What the set-up page shows; `login` and `name` are None for the first admin, who chooses them."""

    purpose: str  # first_admin | enrol | reset
    login: str | None
    name: str | None
    totp_uri: Secret[str]
    totp_secret: Secret[str]
    qr_svg: str = field(repr=False)  # data: URL


@dataclass(frozen=True, slots=True)
class Enrolled:
    token: Secret[str]  # of the new session
    recovery_codes: tuple[str, ...] = field(repr=False)
    session: SessionInfo

    @property
    def user(self) -> Person:
        return self.session.user


@dataclass(frozen=True, slots=True)
class _Ready:
    """Everything checked and hashed, to be written in one transaction."""

    token_hash: bytes
    purpose: str
    user: str
    login: str
    name: str
    values: dict[str, Any] = field(repr=False)


class Enrolment:
    """The invitation's token decides who; the TOTP secret offered by `look` is the one `finish` verifies."""

    def __init__(
        self,
        *,
        store: Store,
        fields: Fields,
        audit: Audit,
        clock: Clock,
        hasher: Hasher,
        sessions: Sessions,
        entropy: Entropy,
        issuer: str,
        rules: PasswordRules,
    ) -> None:
        self._store = store
        self._fields = fields
        self._audit = audit
        self._clock = clock
        self._hasher = hasher
        self._rules = rules
        self._sessions = sessions
        self._entropy = entropy
        self._issuer = issuer

    async def look(self, token: str) -> EnrolmentOffer:
        """Uses nothing up. Raises InvitationOver."""
        invitation, user = await self._find(token)
        login, name = (None, None) if user is None else (self._open(user, "login"), self._open(user, "name"))
        secret = totp.secret_of(Secret(token))
        uri = totp.uri(secret, login=login or "admin", issuer=self._issuer)
        image = await asyncio.to_thread(_qr, uri)
        return EnrolmentOffer(invitation.purpose, login, name, Secret(uri), secret, image)

    async def finish(
        self,
        token: str,
        *,
        login: str | None,
        name: str | None,
        password: str,
        code: str,
        address: str | None,
        device: str | None,
        key: dict[str, str] | None = None,
    ) -> Enrolled:
        """Raises InvitationOver, Malformed, PasswordWeak, EnrolmentCodeWrong, LoginTaken, LogUnavailable."""
        invitation, user = await self._find(token)
        if user is not None:
            login, name = self._open(user, "login"), self._open(user, "name")
        if not login or not name or not name.strip():
            raise Malformed("name" if login else "login")
        if user is None:
            login, name = readable_login(login), readable_name(name)
        await self._rules.check(password, login, name)
        secret = totp.secret_of(Secret(token))
        step = totp.matching_step(secret, code, self._clock.now(), after=None)
        if step is None:
            raise EnrolmentCodeWrong
        codes = new_recovery_codes(self._entropy)
        who = user.id if user is not None else new_id(Kind.USER, self._entropy)
        values = {
            "password_hash": await self._hasher.hash(normal(password), address),
            "totp_sealed": self._seal(who, "totp_sealed", secret.reveal()),
            "totp_last_step": step,
            "recovery_hashes": [recovery_hash(one) for one in codes],
        }
        ready = _Ready(invitation.token_hash, invitation.purpose, who, login, name.strip(), values)
        session = await self._write(ready, user, address, Proof("totp", device, key=key, invited=True))
        return Enrolled(session, codes, await self._sessions.info(session.reveal()))

    async def _find(self, token: str) -> tuple[rows.InvitationRow, rows.UserRow | None]:
        async with self._store.read() as connection:
            found = await rows.invitation(connection, token_hash(token))
            user = await rows.by_id(connection, found.user_id) if found and found.user_id else None
        over = found is None or found.used_at is not None or found.expires_at <= self._clock.now()
        if found is None or over or (user is not None and user.disabled):
            raise InvitationOver
        return found, user

    async def _write(self, ready: _Ready, user: rows.UserRow | None, address: str | None, proof: Proof) -> Secret[str]:
        """Entered first; then the invitation is used up, the credentials are there and the session runs, or nothing."""
        role = user.role if user is not None else "admin"
        actor = Actor("user", ready.user, role, address, proof.device)
        async with AsyncExitStack() as acts:
            for action in (Action.MFA_ENROL, Action.SIGNIN_OK) if user else _FIRST:
                entry = Entry(action, Outcome.DONE, actor, subject=ready.user, detail={"purpose": ready.purpose})
                await acts.enter_async_context(self._audit.act(entry))
            connection = await acts.enter_async_context(self._store.begin())
            if not await rows.use_invitation(connection, ready.token_hash, self._clock.now()):
                raise InvitationOver
            if user is None:
                await self._first_admin(connection, ready)
            else:
                await rows.change(connection, ready.user, **ready.values)
                await rows.note_standing(connection, user, self._clock.now())
            await rows.drop_invitations(connection, user.id if user is not None else None)
            token, _ = await self._sessions.start(connection, ready.user, proof)
        return token

    async def _first_admin(self, connection: Connection, ready: _Ready) -> None:
        if await rows.admins(connection):
            raise InvitationOver
        try:
            await rows.insert_user(
                connection,
                id=ready.user,
                role="admin",
                login_lookup=self._fields.lookup("login", ready.login),
                login_sealed=self._seal(ready.user, "login_sealed", ready.login),
                name_sealed=self._seal(ready.user, "name_sealed", ready.name),
                created_at=self._clock.now(),
                **ready.values,
            )
        except rows.Taken:
            raise LoginTaken from None

    def _open(self, user: rows.UserRow, what: str) -> str:
        blob = user.login_sealed if what == "login" else user.name_sealed
        return self._fields.open(blob, table="users", column=f"{what}_sealed", row=user.id)

    def _seal(self, user: str, column: str, text: str) -> bytes:
        return self._fields.seal(text, table="users", column=column, row=user)


def _qr(uri: str) -> str:
    """A data: URL of an SVG, dark on light whatever the page's colours; some milliseconds of work."""
    image: str = segno.make(uri, error="m").svg_data_uri(scale=4, border=4, dark="#000", light="#fff")
    return image
