"""Sign-in by password and TOTP or recovery code; every wrong try costs the same and tells the same."""

from dataclasses import dataclass
from datetime import datetime

from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.audit.faults import LogUnavailable
from telehealth.clock import Clock
from telehealth.identity.faults import SignInRefused, SlowDown
from telehealth.identity.hashing import Hasher
from telehealth.identity.passwords import normal
from telehealth.identity.ports import Audit, Fields
from telehealth.identity.secrets import recovery_hash
from telehealth.identity.sessions import SessionInfo, Sessions
from telehealth.identity.slowing import (
    ADDRESS,
    FORGOTTEN,
    LOGIN,
    PAIR,
    Slope,
    Standing,
    after_failure,
    seconds_to_wait,
)
from telehealth.identity.totp import matching_step
from telehealth.secret import Secret
from telehealth.store import attempts, people
from telehealth.store.engine import Connection, Store


@dataclass(frozen=True, slots=True)
class _Factor:
    """What the second factor turned out to be: a TOTP step, or the hash of a recovery code."""

    step: int | None = None
    recovery: str | None = None

    @property
    def right(self) -> bool:
        return self.step is not None or self.recovery is not None


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

    async def attempt(
        self, login: str, password: str, code: str, *, address: str | None, device: str | None
    ) -> tuple[Secret[str], SessionInfo]:
        """A new session. Raises SignInRefused, SlowDown, LogUnavailable."""
        now = self._clock.now()
        stranger = Actor("stranger", address=address, device=device)
        counted = self._counted(login, address)
        wait = await self._count(counted, now)
        if wait > 0:
            await self._refused(stranger, None, "slow_down")
            raise SlowDown(retry_after=wait)
        lookup = self._fields.lookup("login", login)
        async with self._store.read() as connection:
            user = await people.by_login(connection, lookup)
        usable = user if user is not None and not user.disabled and user.totp_sealed is not None else None
        known = await self._hasher.verify(usable.password_hash if usable else None, normal(password))
        factor = self._second_factor(usable, code, now)
        if usable is None or not known or not factor.right:
            await self._refused(stranger, user.id if user else None, "wrong")
            raise SignInRefused
        rehashed = await self._rehashed(usable, password)
        try:
            token = await self._open(usable, factor, counted, rehashed, (address, device))
        except LogUnavailable:
            await self._forgive(counted)
            raise
        return token, await self._sessions.info(token.reveal())

    def _counted(self, login: str, address: str | None) -> list[tuple[bytes, Slope]]:
        source = address or "unknown"
        return [
            (self._fields.lookup("tries-pair", f"{login} {source}"), PAIR),
            (self._fields.lookup("tries-login", login), LOGIN),
            (self._fields.lookup("tries-address", source), ADDRESS),
        ]

    async def _count(self, counted: list[tuple[bytes, Slope]], now: datetime) -> float:
        """Count a failure in advance; the seconds to wait if it is too soon, and then nothing is counted."""
        async with self._store.begin() as connection:
            await attempts.forget_before(connection, now - FORGOTTEN)
            standings = []
            for subject, _ in counted:
                row = await attempts.standing(connection, subject)
                standings.append(Standing(*row) if row else Standing())
            wait = max(seconds_to_wait(standing, now) for standing in standings)
            if wait > 0:
                return wait
            for (subject, slope), standing in zip(counted, standings, strict=True):
                next_one = after_failure(standing, slope, now)
                await attempts.put(connection, subject, next_one.failures, next_one.until, now)
        return 0.0

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

    async def _open(
        self,
        user: people.UserRow,
        factor: _Factor,
        counted: list[tuple[bytes, Slope]],
        rehashed: str | None,
        place: tuple[str | None, str | None],
    ) -> Secret[str]:
        """Entered first; then the second factor is used up and the session runs, or nothing of it.

        Raises SignInRefused when somebody was faster with the same code, LogUnavailable.
        """
        detail = {"factor": "totp" if factor.step is not None else "recovery_code"}
        actor = Actor("user", user.id, user.role, *place)
        entry = Entry(Action.SIGNIN_OK, Outcome.DONE, actor, subject=user.id, detail=detail)
        async with self._audit.act(entry) as act, self._store.begin() as connection:
            if not await self._use(connection, user.id, factor):
                raise SignInRefused
            await self._clear(connection, counted)
            if rehashed is not None:
                await people.change(connection, user.id, password_hash=rehashed)
            token, session = await self._sessions.start(connection, user.id)
            act.detail["session"] = session
        return token

    async def _forgive(self, counted: list[tuple[bytes, Slope]]) -> None:
        async with self._store.begin() as connection:
            await self._clear(connection, counted)

    async def _clear(self, connection: Connection, counted: list[tuple[bytes, Slope]]) -> None:
        """Forget the failures of this name; those from this address stay, but for this try."""
        pair, login, address = (subject for subject, _ in counted)
        await attempts.clear(connection, [pair, login])
        await attempts.give_back(connection, address)

    async def _use(self, connection: Connection, user: str, factor: _Factor) -> bool:
        if factor.step is not None:
            return await people.use_step(connection, user, factor.step)
        return factor.recovery is not None and await people.use_recovery(connection, user, factor.recovery)

    async def _refused(self, stranger: Actor, user: str | None, reason: str) -> None:
        entry = Entry(Action.SIGNIN_TRY, Outcome.REFUSED, stranger, subject=user, detail={"reason": reason})
        await self._audit.enter_throttled(entry, stranger.address or "unknown")
