"""Sign-in by password and TOTP or recovery code; every wrong try costs the same and tells the same."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from telehealth.access import Caller
from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.audit.faults import LogUnavailable
from telehealth.clock import Clock
from telehealth.identity.faults import SignInRefused, SlowDown
from telehealth.identity.hashing import Hasher
from telehealth.identity.passwords import normal
from telehealth.identity.ports import Audit, Fields
from telehealth.identity.secrets import recovery_hash
from telehealth.identity.sessions import Factor, Proof, SessionInfo, Sessions
from telehealth.identity.totp import matching_step
from telehealth.identity.tries import Counted, Tries
from telehealth.limits.devices import Device
from telehealth.secret import Secret
from telehealth.store import people
from telehealth.store.engine import Connection, Store

Step = Callable[[Connection], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Factor:
    """What the second factor turned out to be: a TOTP step, or the hash of a recovery code."""

    step: int | None = None
    recovery: str | None = None

    @property
    def right(self) -> bool:
        return self.step is not None or self.recovery is not None

    @property
    def name(self) -> Factor:
        return "totp" if self.step is not None else "recovery_code"


@dataclass(frozen=True, slots=True)
class _Known:
    """Somebody whose password and second factor are right; the factor is not used up yet."""

    user: people.UserRow
    factor: _Factor
    counted: Counted
    rehashed: str | None  # the password at today's cost, where it was hashed at another


class SignIn:
    """A try is counted before it is looked at and forgiven when right, so that many at once get no more tries."""

    def __init__(
        self, *, store: Store, fields: Fields, audit: Audit, clock: Clock, hasher: Hasher, sessions: Sessions
    ) -> None:
        self._store = store
        self._fields = fields
        self._audit = audit
        self._clock = clock
        self._hasher = hasher
        self._sessions = sessions
        self._tries = Tries(store, fields)

    async def attempt(
        self,
        login: str,
        password: str,
        code: str,
        *,
        address: str | None,
        device: str | None,
        key: dict[str, str] | None = None,
        browser: Device | None = None,
    ) -> tuple[Secret[str], SessionInfo]:
        """A new session, bound to `key` (JWK) if it is given; `browser`: who signed in with it before.

        Raises SignInRefused, SlowDown, LogUnavailable.
        """
        known = await self._known(login, password, code, Actor("stranger", address=address, device=device), browser)
        actor = Actor("user", known.user.id, known.user.role, address, device)
        entry = Entry(
            Action.SIGNIN_OK, Outcome.DONE, actor, subject=known.user.id, detail={"factor": known.factor.name}
        )
        try:
            async with self._audit.act(entry) as act, self._store.begin() as connection:
                await self._claim(connection, known)
                proof = Proof(known.factor.name, device, key=key)
                token, session = await self._sessions.start(connection, known.user.id, proof)
                act.detail["session"] = session
        except LogUnavailable:
            await self._tries.forgive(known.counted)
            raise
        return token, await self._sessions.info(token.reveal())

    async def prove_again(self, caller: Caller, password: str, code: str) -> Secret[str]:
        """Step-up by both factors: the session's new token. Raises as `attempt`, and Unauthenticated."""
        async with self._store.read() as connection:
            user = await people.by_id(connection, caller.id)
        if user is None:
            raise SignInRefused
        known = await self._known(self._login_of(user), password, code, caller.actor(), session=caller.session)
        entry = Entry(
            Action.MFA_PROVE, Outcome.DONE, caller.actor(), subject=caller.session, detail={"factor": known.factor.name}
        )
        try:
            async with self._audit.act(entry), self._store.begin() as connection:
                await self._claim(connection, known)
                return await self._sessions.prove_again(connection, caller)
        except LogUnavailable:
            await self._tries.forgive(known.counted)
            raise

    async def by_code(self, user: str, code: str, proof: Proof, address: str | None, first: Step) -> Secret[str]:
        """A new session for somebody whose other factor holds already, by their own code.

        `first` is done in the same transaction, after the entry. Raises SignInRefused, SlowDown, LogUnavailable, and
        what `first` raises.
        """
        who, now = Actor("stranger", address=address, device=proof.device), self._clock.now()
        async with self._store.read() as connection:
            row = await people.by_id(connection, user)
        login = self._login_of(row) if row else None
        counted = await self._counted(login, who, now, f"sso {user}")  # only who the provider vouched for comes here
        factor = self._second_factor(row if row and not row.disabled else None, code, now)
        if row is None or not factor.right:
            await self._refused(who, user, "wrong")
            raise SignInRefused
        known, actor = _Known(row, factor, counted, None), Actor("user", row.id, row.role, address, proof.device)
        entry = Entry(Action.SIGNIN_OK, Outcome.DONE, actor, subject=row.id, detail={"factor": proof.factor})
        try:
            async with self._audit.act(entry) as act, self._store.begin() as connection:
                await first(connection)
                await self._claim(connection, known)
                token, session = await self._sessions.start(connection, row.id, proof)
                act.detail["session"] = session
        except LogUnavailable:
            await self._tries.forgive(counted)
            raise
        return token

    def _login_of(self, user: people.UserRow) -> str:
        return self._fields.open(user.login_sealed, table="users", column="login_sealed", row=user.id)

    async def _counted(self, login: str | None, who: Actor, now: datetime, own: str | None) -> Counted:
        """`own`: the name of what strangers cannot use up. Raises SlowDown."""
        counted = self._tries.of(login, who.address, own)
        wait = await self._tries.count(counted, now)
        if wait > 0:
            await self._refused(who, None, "slow_down")
            raise SlowDown(retry_after=wait)
        return counted

    async def _known(
        self,
        login: str,
        password: str,
        code: str,
        who: Actor,
        browser: Device | None = None,
        *,
        session: str | None = None,
    ) -> _Known:
        """Raises SignInRefused, SlowDown."""
        now = self._clock.now()
        async with self._store.read() as connection:
            user = await people.by_login(connection, self._fields.lookup("login", login))
        own = browser.of(user.id if user else "nobody") if browser else session
        counted = await self._counted(login, who, now, own)
        usable = user if user is not None and not user.disabled and user.totp_sealed is not None else None
        right = await self._hasher.verify(
            usable.password_hash if usable else None, normal(password), own or who.address
        )
        factor = self._second_factor(usable, code, now)
        if usable is None or not right or not factor.right:
            await self._refused(who, user.id if user else None, "wrong")
            raise SignInRefused
        return _Known(usable, factor, counted, await self._rehashed(usable, password))

    def _second_factor(self, user: people.UserRow | None, code: str, now: datetime) -> _Factor:
        if user is None or user.totp_sealed is None:
            return _Factor()
        sealed = self._fields.open(user.totp_sealed, table="users", column="totp_sealed", row=user.id)
        step = matching_step(Secret(sealed), code, now, after=user.totp_last_step)
        hashed = recovery_hash(code)
        return _Factor(step, hashed if step is None and hashed in user.recovery_hashes else None)

    async def _rehashed(self, user: people.UserRow, password: str) -> str | None:
        if user.password_hash is None or not self._hasher.outdated(user.password_hash):
            return None
        return await self._hasher.hash(normal(password))

    async def _claim(self, connection: Connection, known: _Known) -> None:
        """Use the second factor up.

        Raises SignInRefused when somebody was faster with the same code, or the account changed since it was looked at.
        """
        if not await self._use(connection, known.user.id, known.factor):
            raise SignInRefused
        fresh = await people.by_id(connection, known.user.id)  # after the write, which waits for whoever changes it
        if fresh is None or _means(fresh) != _means(known.user):
            raise SignInRefused
        await self._tries.clear(connection, known.counted)
        if known.rehashed is not None:
            await people.change(connection, known.user.id, password_hash=known.rehashed)

    async def _use(self, connection: Connection, user: str, factor: _Factor) -> bool:
        if factor.step is not None:
            return await people.use_step(connection, user, factor.step)
        return factor.recovery is not None and await people.use_recovery(connection, user, factor.recovery)

    async def _refused(self, who: Actor, user: str | None, reason: str) -> None:
        entry = Entry(Action.SIGNIN_TRY, Outcome.REFUSED, who, subject=user, detail={"reason": reason})
        await self._audit.enter_throttled(entry, who.address or "unknown")


def _means(user: people.UserRow) -> tuple[str | None, bytes | None, bool]:
    """What a sign-in rests on."""
    return user.password_hash, user.totp_sealed, user.disabled
