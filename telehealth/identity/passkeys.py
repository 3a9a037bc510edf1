"""A person's own passkeys: added by somebody who proved two factors just now, listed, removed, given up as lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from telehealth.access import Caller
from telehealth.audit.actions import Action
from telehealth.audit.entry import Entry, Outcome
from telehealth.clock import Clock
from telehealth.errors import Malformed, NotFound
from telehealth.identity import authenticator
from telehealth.identity.authenticator import Site
from telehealth.identity.challenges import Challenges
from telehealth.identity.faults import PasskeyKnown, PasskeysOff, TooManyPasskeys
from telehealth.identity.ports import Audit, Fields
from telehealth.identity.sessions import Sessions
from telehealth.ids import Entropy, Kind, new_id
from telehealth.store import passkeys as rows
from telehealth.store import people
from telehealth.store.engine import Store
from telehealth.store.locks import hold

MOST = 20  # for one person
Credential = Mapping[str, Any]  # RegistrationResponseJSON or AuthenticationResponseJSON, its shape already checked


@dataclass(frozen=True, slots=True)
class Passkey:
    id: str
    label: str
    created_at: datetime
    used_at: datetime | None
    suspended_at: datetime | None
    backed_up: bool


class Passkeys:
    """Nobody adds a passkey to another's account; the first factor stays a way in when the last one is removed."""

    def __init__(
        self,
        *,
        store: Store,
        fields: Fields,
        audit: Audit,
        clock: Clock,
        sessions: Sessions,
        entropy: Entropy,
        site: Site | None,
    ) -> None:
        self._store = store
        self._fields = fields
        self._audit = audit
        self._clock = clock
        self._sessions = sessions
        self._entropy = entropy
        self._given_site = site
        self._challenges = Challenges(fields, clock, entropy)

    @property
    def _site(self) -> Site:
        if self._given_site is None:
            raise PasskeysOff
        return self._given_site

    async def list(self, caller: Caller) -> Sequence[Passkey]:
        """The caller's own, oldest first."""
        async with self._store.read() as connection:
            found = await rows.of(connection, caller.id)
        return [
            Passkey(row.id, row.label, row.created_at, row.used_at, row.suspended_at, row.backed_up) for row in found
        ]

    async def creation_options(self, caller: Caller) -> dict[str, Any]:
        """What `navigator.credentials.create` is to be asked. Raises PasskeysOff, TooManyPasskeys, NotFound."""
        site = self._site
        async with self._store.read() as connection:
            user = await people.by_id(connection, caller.id)
            known = await rows.of(connection, caller.id)
        if user is None:
            raise NotFound
        if len(known) >= MOST:
            raise TooManyPasskeys
        return authenticator.creation_options(
            site,
            self._challenges.mint("passkey-new", whose(caller)),
            handle=user_handle(self._fields, user.id),
            login=self._open(user.login_sealed, "login_sealed", user.id),
            name=self._open(user.name_sealed, "name_sealed", user.id),
            known=known,
        )

    async def add(self, caller: Caller, credential: Credential, label: str) -> Passkey:
        """Raises PasskeysOff, PasskeyRefused, PasskeyInvalid, ChallengeOver, PasskeyKnown, TooManyPasskeys."""
        if not 1 <= len(label.strip()) <= 80:
            raise Malformed("label")
        site, challenge = self._site, authenticator.challenge_of(credential)
        async with self._store.begin() as connection:
            await self._challenges.claim(connection, challenge, "passkey-new", whose(caller))
        made = authenticator.read_new(site, credential, challenge)
        passkey, now = new_id(Kind.PASSKEY, self._entropy), self._clock.now()
        entry = Entry(
            Action.PASSKEY_ADD,
            Outcome.DONE,
            caller.actor(),
            subject=passkey,
            detail={"user": caller.id, "backed_up": made.backed_up},
        )
        async with self._audit.act(entry), self._store.begin() as connection:
            await hold(connection, "passkeys", caller.id)  # two at once count one after the other
            if len(await rows.of(connection, caller.id)) >= MOST:
                raise TooManyPasskeys
            try:
                await rows.insert(
                    connection,
                    id=passkey,
                    user_id=caller.id,
                    credential_id=made.id,
                    public_key=made.public_key,
                    sign_count=made.sign_count,
                    transports=credential["response"].get("transports", []),
                    backed_up=made.backed_up,
                    label=label.strip(),
                    created_at=now,
                )
            except people.Taken:
                raise PasskeyKnown from None
        return Passkey(passkey, label.strip(), now, None, None, made.backed_up)

    async def remove(self, caller: Caller, passkey: str) -> None:
        """One of the caller's own; sessions begun with it end, but this one. Raises NotFound."""
        async with self._store.begin() as connection:
            if not await rows.remove(connection, caller.id, passkey):
                raise NotFound
        await self._sessions.end_own(
            caller, "passkey_removed", lambda row: row.passkey_id == passkey and row.id != caller.session
        )
        entry = Entry(Action.PASSKEY_REMOVE, Outcome.DONE, caller.actor(), subject=passkey, detail={"user": caller.id})
        await self._audit.enter_closing(entry)

    async def lose(self, caller: Caller, session: str) -> None:
        """The device of one of the caller's sessions is lost: the session ends, and the passkey that began it.

        Other sessions begun with that passkey end too. Raises NotFound.
        """
        ended = await self._sessions.end_own(caller, "lost", lambda row: row.id == session)
        for row in ended:
            await self._sessions.forget_device(row.id)
        if not ended:
            raise NotFound
        passkey = ended[0].passkey_id
        if passkey is not None:
            async with self._store.begin() as connection:
                await rows.suspend(connection, passkey, self._clock.now())
            ended += await self._sessions.end_own(caller, "lost", lambda row: row.passkey_id == passkey)
        entry = Entry(
            Action.DEVICE_LOST,
            Outcome.DONE,
            caller.actor(),
            subject=session,
            detail={"user": caller.id, "sessions": len(ended), "passkey": passkey or ""},
        )
        await self._audit.enter_closing(entry)

    def _open(self, blob: bytes, column: str, user: str) -> str:
        return self._fields.open(blob, table="users", column=column, row=user)


def user_handle(fields: Fields, user: str) -> bytes:
    """What authenticators keep for us: says nothing to whoever reads it there."""
    return fields.lookup("passkey-user", user)


def whose(caller: Caller) -> str:
    """Whom a challenge is for: one session."""
    return caller.session or caller.id
