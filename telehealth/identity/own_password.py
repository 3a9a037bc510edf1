"""Changing one's own password: the old one is proved, every other session ends."""

from telehealth.access import Caller
from telehealth.audit.actions import Action
from telehealth.audit.entry import Entry, Outcome
from telehealth.clock import Clock
from telehealth.identity.breached import PasswordRules
from telehealth.identity.faults import PasswordWeak, SignInRefused, SlowDown
from telehealth.identity.hashing import Hasher
from telehealth.identity.passwords import normal
from telehealth.identity.ports import Audit, Fields
from telehealth.identity.sessions import Sessions
from telehealth.identity.tries import Tries
from telehealth.secret import Secret
from telehealth.store import people
from telehealth.store.engine import Store


class OwnPassword:
    """A wrong old password counts like a wrong sign-in."""

    def __init__(
        self,
        *,
        store: Store,
        fields: Fields,
        audit: Audit,
        clock: Clock,
        hasher: Hasher,
        sessions: Sessions,
        rules: PasswordRules,
    ) -> None:
        self._store = store
        self._fields = fields
        self._audit = audit
        self._clock = clock
        self._hasher = hasher
        self._sessions = sessions
        self._rules = rules
        self._tries = Tries(store, fields)

    async def change(self, caller: Caller, old: str, new: str) -> Secret[str]:
        """This session's new token. Raises SignInRefused, SlowDown, PasswordWeak, Unauthenticated, LogUnavailable."""
        async with self._store.read() as connection:
            user = await people.by_id(connection, caller.id)
        if user is None:
            raise SignInRefused
        login = self._fields.open(user.login_sealed, table="users", column="login_sealed", row=user.id)
        counted = self._tries.of(login, caller.address, caller.session)
        wait = await self._tries.count(counted, self._clock.now())
        if wait > 0:
            raise SlowDown(retry_after=wait)
        if not await self._hasher.verify(user.password_hash, normal(old), caller.session):
            refused = Entry(Action.PASSWORD_CHANGE, Outcome.REFUSED, caller.actor(), subject=user.id)
            await self._audit.enter_throttled(refused, caller.address or "unknown")
            raise SignInRefused
        await self._tries.forgive(counted)
        name = self._fields.open(user.name_sealed, table="users", column="name_sealed", row=user.id)
        await self._rules.check(new, login, name)
        if normal(new) == normal(old):
            raise PasswordWeak
        hashed = await self._hasher.hash(normal(new), caller.session)
        entry = Entry(Action.PASSWORD_CHANGE, Outcome.DONE, caller.actor(), subject=user.id)
        async with self._audit.act(entry), self._store.begin() as connection:
            await people.change(connection, user.id, password_hash=hashed)
            token = await self._sessions.exchange(connection, caller)
        await self._sessions.end_others(caller, "password_changed")
        return token
