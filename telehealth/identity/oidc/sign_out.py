"""The other way round: the provider ends what it began, a person leaves both, or unties their account."""

from telehealth.access import Caller
from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.clock import Clock
from telehealth.errors import NotFound, WrongState
from telehealth.identity.oidc.accounts import Accounts
from telehealth.identity.oidc.faults import LogoutRefused
from telehealth.identity.oidc.flow import exact
from telehealth.identity.oidc.provider import Provider
from telehealth.identity.ports import Audit, Fields
from telehealth.identity.sessions import Sessions
from telehealth.store import attempts, passkeys, people, sso
from telehealth.store.engine import Store


class SsoSignOut:
    """Ends sessions at once, and with them their sockets, calls and players, whatever the audit log does."""

    def __init__(
        self,
        *,
        store: Store,
        fields: Fields,
        audit: Audit,
        clock: Clock,
        sessions: Sessions,
        provider: Provider,
        accounts: Accounts,
    ) -> None:
        self._store = store
        self._fields = fields
        self._audit = audit
        self._clock = clock
        self._sessions = sessions
        self._provider = provider
        self._accounts = accounts

    async def by_provider(self, token: str, address: str | None) -> int:
        """How many sessions a logout token ended; each token counts once.

        Raises LogoutRefused, SsoOff, SsoUnavailable (then the provider may send it again).
        """
        try:
            told = await self._provider.logged_out(token)
            async with self._store.begin() as connection:
                if not await attempts.take(
                    connection, exact(self._fields, "sso-logout", told.id), 1, self._clock.now()
                ):
                    raise LogoutRefused
        except LogoutRefused:
            entry = Entry(
                Action.SIGNIN_TRY, Outcome.REFUSED, Actor("stranger", address=address), detail={"reason": "logout"}
            )
            await self._audit.enter_throttled(entry, address or "unknown")
            raise
        async with self._store.read() as connection:
            user = await sso.user_of(connection, self._accounts.lookup(told.subject)) if told.subject else None
            if told.subject and user is None:
                return 0  # nobody of ours
            begun = await sso.begun_by(connection, user=user, sid=self._accounts.sid(told.sid))
        actor = Actor("system", "server", "system", address)
        ended = 0
        for whose in {whose for whose, _ in begun}:
            mine = {session for owner, session in begun if owner == whose}
            ended += await self._sessions.end_of(whose, mine, "sso_logout", actor)
        return ended

    async def leave(self, token: str, caller: Caller, back: str) -> str | None:
        """Sign out here; where the browser goes to sign out of the provider too, None where it has no such place."""
        await self._sessions.end(token, address=caller.address, device=caller.device)
        return await self._provider.sign_out_url(back)

    async def untie(self, caller: Caller) -> None:
        """The identity opens the account no more; other sessions begun by it end. Raises NotFound, WrongState."""
        async with self._store.begin() as connection:
            user = await people.held(connection, caller.id)
            if user is None:
                raise NotFound
            if user.password_hash is None and not await passkeys.of(connection, caller.id):
                raise WrongState  # there would be no way in left
            if not await sso.remove(connection, caller.id):
                raise NotFound
        async with self._store.read() as connection:
            begun = await sso.begun_by(connection, user=caller.id, sid=None)
        others = {session for _, session in begun if session != caller.session}
        await self._sessions.end_of(caller.id, others, "sso_unlinked", caller.actor())
        await self._audit.enter_closing(Entry(Action.SSO_UNLINK, Outcome.DONE, caller.actor(), subject=caller.id))
