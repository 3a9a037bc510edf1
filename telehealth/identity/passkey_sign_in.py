"""Passkeys in use: alone to sign in, or to prove two factors again. Each use names its challenge once."""

import hmac
from dataclasses import dataclass
from typing import Any

from telehealth.access import Caller
from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Code, Entry, Outcome
from telehealth.audit.faults import LogUnavailable
from telehealth.clock import Clock
from telehealth.identity import authenticator
from telehealth.identity.authenticator import Site
from telehealth.identity.challenges import Challenges
from telehealth.identity.faults import PasskeyCloned, PasskeyRefused, PasskeysOff, SlowDown
from telehealth.identity.passkeys import Credential, user_handle, whose
from telehealth.identity.ports import Audit, Fields
from telehealth.identity.sessions import Proof, SessionInfo, Sessions
from telehealth.identity.tries import Counted, Tries
from telehealth.ids import Entropy
from telehealth.limits.devices import Device
from telehealth.log import get_logger
from telehealth.secret import Secret
from telehealth.store import passkeys as rows
from telehealth.store import people
from telehealth.store.engine import Connection, Store

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Proved:
    """A use that holds; it is not remembered yet."""

    row: rows.PasskeyRow
    user: people.UserRow
    use: authenticator.Use
    counted: Counted


class PasskeySignIn:
    """With user verification a passkey is both factors. A counter that goes back switches it off."""

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
        self._given_site = site
        self._challenges = Challenges(fields, clock, entropy)
        self._tries = Tries(store, fields)

    @property
    def place(self) -> str | None:
        """The relying party's id: the name under which passkeys work, None where there is none."""
        return self._given_site.id if self._given_site else None

    @property
    def _site(self) -> Site:
        if self._given_site is None:
            raise PasskeysOff
        return self._given_site

    def options(self) -> dict[str, Any]:
        """What `navigator.credentials.get` is to be asked; names nobody. Raises PasskeysOff."""
        return authenticator.request_options(self._site, self._challenges.mint("passkey-sign-in"))

    async def attempt(
        self,
        credential: Credential,
        *,
        address: str | None,
        device: str | None,
        key: dict[str, str] | None = None,
        browser: Device | None = None,
    ) -> tuple[Secret[str], SessionInfo]:
        """A new session; `browser`: one that somebody signed in with before.

        Raises PasskeysOff, PasskeyRefused, PasskeyCloned, ChallengeOver, SlowDown, LogUnavailable.
        """
        stranger = Actor("stranger", address=address, device=device)
        own = browser.name if browser else None
        proved = await self._proved(credential, "passkey-sign-in", "", stranger, own=own)
        actor = Actor("user", proved.user.id, proved.user.role, address, device)
        detail: dict[str, Code] = {"factor": "passkey", "passkey": proved.row.id}
        entry = Entry(Action.SIGNIN_OK, Outcome.DONE, actor, subject=proved.user.id, detail=detail)
        try:
            async with self._audit.act(entry) as act, self._store.begin() as connection:
                await self._remember(connection, proved)
                proof = Proof("passkey", device, proved.row.id, key)
                token, session = await self._sessions.start(connection, proved.user.id, proof)
                act.detail["session"] = session
        except LogUnavailable:
            await self._tries.forgive(proved.counted)
            raise
        return token, await self._sessions.info(token.reveal())

    async def prove_options(self, caller: Caller) -> dict[str, Any] | None:
        """As `options`, for the caller's own passkeys; None when there are none, or they do not work here."""
        if self._given_site is None:
            return None
        async with self._store.read() as connection:
            usable = [row for row in await rows.of(connection, caller.id) if row.suspended_at is None]
        if not usable:
            return None
        challenge = self._challenges.mint("passkey-prove", whose(caller))
        return authenticator.request_options(self._given_site, challenge, usable)

    async def prove_again(self, caller: Caller, credential: Credential) -> Secret[str]:
        """Step-up: the session's new token. Raises as `attempt`, and Unauthenticated."""
        proved = await self._proved(
            credential, "passkey-prove", whose(caller), caller.actor(), only=caller.id, own=caller.session
        )
        detail: dict[str, Code] = {"factor": "passkey", "passkey": proved.row.id}
        entry = Entry(Action.MFA_PROVE, Outcome.DONE, caller.actor(), subject=caller.session, detail=detail)
        try:
            async with self._audit.act(entry), self._store.begin() as connection:
                await self._remember(connection, proved)
                return await self._sessions.prove_again(connection, caller)
        except LogUnavailable:
            await self._tries.forgive(proved.counted)
            raise

    async def _proved(
        self,
        credential: Credential,
        purpose: str,
        whose: str,
        who: Actor,
        *,
        only: str | None = None,
        own: str | None = None,
    ) -> _Proved:
        """`only`: whose passkey it must be, for a session that is somebody's already; `own`: of the browser's own."""
        site, challenge = self._site, authenticator.challenge_of(credential)
        counted = self._tries.of(None, who.address, own)
        wait = await self._tries.count(counted, self._clock.now())
        if wait > 0:
            await self._refused(who, None, "slow_down")
            raise SlowDown(retry_after=wait)
        async with self._store.begin() as connection:
            await self._challenges.claim(connection, challenge, purpose, whose)
            row = await rows.by_credential(connection, authenticator.credential_id(credential))
            user = await people.by_id(connection, row.user_id) if row else None
        if row is None or user is None or not self._usable(row, user, credential, only):
            await self._refused(who, user.id if user else None, "unknown")
            raise PasskeyRefused
        try:
            use = authenticator.read_use(site, credential, challenge, row.public_key)
        except PasskeyRefused:
            await self._refused(who, user.id, "wrong")
            raise
        if authenticator.counter_went_back(row.sign_count, use.sign_count):
            await self._suspend(row, who)
            raise PasskeyCloned
        return _Proved(row, user, use, counted)

    def _usable(self, row: rows.PasskeyRow, user: people.UserRow, credential: Credential, only: str | None) -> bool:
        """Enrolled, not disabled, not suspended, and the authenticator means the same person as we do."""
        handle = authenticator.handle_of(credential)
        own = user_handle(self._fields, user.id)
        meant = (
            only is not None if handle is None else hmac.compare_digest(handle, own)
        )  # asked by id, it need not tell
        enrolled = not user.disabled and user.totp_sealed is not None
        return meant and enrolled and row.suspended_at is None and only in (None, user.id)

    async def _remember(self, connection: Connection, proved: _Proved) -> None:
        """Raises PasskeyRefused when the passkey was used or switched off, or its person, since it was looked at."""
        use = proved.use
        user = await people.held(connection, proved.user.id)  # waits for whoever changes the account
        if user is None or user.disabled or user.totp_sealed != proved.user.totp_sealed:
            raise PasskeyRefused
        if not await rows.use(connection, proved.row, use.sign_count, self._clock.now(), backed_up=use.backed_up):
            raise PasskeyRefused
        await self._tries.clear(connection, proved.counted)

    async def _suspend(self, row: rows.PasskeyRow, who: Actor) -> None:
        async with self._store.begin() as connection:
            await rows.suspend(connection, row.id, self._clock.now())
        log.error("alarm.passkey_cloned", user=row.user_id)
        detail: dict[str, Code] = {"user": row.user_id, "reason": "counter"}
        await self._audit.enter_closing(Entry(Action.PASSKEY_SUSPEND, Outcome.DONE, who, subject=row.id, detail=detail))

    async def _refused(self, who: Actor, user: str | None, reason: str) -> None:
        detail: dict[str, Code] = {"reason": reason, "factor": "passkey"}
        entry = Entry(Action.SIGNIN_TRY, Outcome.REFUSED, who, subject=user, detail=detail)
        await self._audit.enter_throttled(entry, who.address or "unknown")
