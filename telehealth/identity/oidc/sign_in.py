"""Signing in by the clinic's identity provider: begun, come back, and where it proved one factor alone, the other."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from telehealth.access import Caller
from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Code, Entry, Outcome
from telehealth.clock import Clock
from telehealth.identity.faults import ChallengeOver, SlowDown
from telehealth.identity.oidc.accounts import Accounts
from telehealth.identity.oidc.faults import SsoFactorMissing, SsoOff, SsoRefused, SsoTaken, SsoUnavailable, SsoUnknown
from telehealth.identity.oidc.flow import Flow, Flows, Purpose
from telehealth.identity.oidc.idtoken import Vouched
from telehealth.identity.oidc.provider import Provider, Returned
from telehealth.identity.oidc.settings import Sso
from telehealth.identity.ports import Audit, Fields
from telehealth.identity.session_facts import Proof, SessionInfo
from telehealth.identity.sessions import Sessions
from telehealth.identity.sign_in import SignIn
from telehealth.identity.tries import Tries
from telehealth.secret import Secret
from telehealth.store import people, sso
from telehealth.store.engine import Connection, Store


@dataclass(frozen=True, slots=True)
class Browser:
    """Who comes back: the cookie of the flow, and what a session begun here is bound to."""

    cookie: str | None
    address: str | None
    device: str | None
    key: dict[str, str] | None = None

    @property
    def stranger(self) -> Actor:
        return Actor("stranger", address=self.address, device=self.device)


@dataclass(frozen=True, slots=True)
class SignedIn:
    token: Secret[str]
    session: SessionInfo


@dataclass(frozen=True, slots=True)
class HalfWay:
    """The person's own second factor is still to come; `cookie` remembers whose."""

    cookie: Secret[str]


class SsoSignIn:
    """Without a claim that counts as two factors nobody gets in by the provider's word alone."""

    def __init__(
        self,
        *,
        store: Store,
        fields: Fields,
        audit: Audit,
        clock: Clock,
        sessions: Sessions,
        sign_in: SignIn,
        provider: Provider,
        accounts: Accounts,
        flows: Flows,
        longest: timedelta,
    ) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._sessions = sessions
        self._sign_in = sign_in
        self._provider = provider
        self._accounts = accounts
        self._flows = flows
        self._longest = longest
        self._tries = Tries(store, fields)

    @property
    def settings(self) -> Sso:
        return self._provider.settings

    async def begin(self, *, again: bool) -> tuple[str, Secret[str]]:
        """Where the browser goes, and its cookie. Raises SsoOff, SsoUnavailable."""
        return await self._begun(self._flows.new("sign-in", again=again))

    async def _begun(self, flow: Flow) -> tuple[str, Secret[str]]:
        return await self._provider.authorization_url(flow, self._max_age(flow)), self._flows.sealed(flow)

    def _max_age(self, flow: Flow) -> int:
        """Seconds since the person proved themselves to the provider; asked for, so that it says when that was."""
        return 0 if flow.again else int(self._longest.total_seconds())

    async def finish(self, browser: Browser, state: str, returned: Returned) -> SignedIn | HalfWay:
        """Raises ChallengeOver, SlowDown, SsoOff, SsoRefused, SsoUnavailable, SsoUnknown, SsoTaken, SsoFactorMissing,
        LastAdmin, LogUnavailable."""
        vouched = await self._vouched(browser, state, returned, "sign-in", browser.stranger)
        try:
            user = await self._accounts.of(vouched)
            link, sid = self._accounts.lookup(vouched.subject), self._accounts.sid(vouched.sid)
            if self._two_factors(vouched):
                proof = Proof("sso", browser.device, key=browser.key, proved_at=vouched.proved_at, sso_sid=sid)
                return await self._in(user, link, proof, browser)
            if user.totp_sealed is None:
                raise SsoFactorMissing
        except (SsoUnknown, SsoTaken, SsoFactorMissing) as refusal:
            await self._refused(browser.stranger, refusal.code)
            raise
        return HalfWay(self._flows.sealed(self._flows.half_way(user.id, link, sid, vouched.proved_at)))

    async def by_code(self, browser: Browser, code: str) -> SignedIn:
        """The second factor, for whom the provider vouched in this browser minutes ago.

        Raises ChallengeOver, SignInRefused, SlowDown, SsoUnknown, LogUnavailable.
        """
        flow = self._flows.opened(browser.cookie, "code")
        link, sid = bytes.fromhex(flow.link), bytes.fromhex(flow.sid) or None
        proved = datetime.fromtimestamp(flow.proved, UTC)
        proof = Proof("sso_code", browser.device, key=browser.key, proved_at=proved, sso_sid=sid)

        async def first(connection: Connection) -> None:
            await self._flows.claim(connection, flow, self._clock.now())
            await self._still(connection, flow.user, link)

        token = await self._sign_in.by_code(flow.user, code, proof, browser.address, first)
        return SignedIn(token, await self._sessions.info(token.reveal()))

    def _two_factors(self, vouched: Vouched) -> bool:
        settings = self.settings
        return vouched.acr in settings.mfa_acr or bool(set(vouched.amr) & set(settings.mfa_amr))

    async def _in(self, user: people.UserRow, link: bytes, proof: Proof, browser: Browser) -> SignedIn:
        actor = Actor("user", user.id, user.role, browser.address, browser.device)
        entry = Entry(Action.SIGNIN_OK, Outcome.DONE, actor, subject=user.id, detail={"factor": proof.factor})
        async with self._audit.act(entry) as act, self._store.begin() as connection:
            await self._still(connection, user.id, link)
            token, session = await self._sessions.start(connection, user.id, proof)
            act.detail["session"] = session
        return SignedIn(token, await self._sessions.info(token.reveal()))

    async def _still(self, connection: Connection, user: str, link: bytes) -> None:
        """Raises SsoUnknown when the account was disabled, or untied, since it was looked at."""
        row = await people.held(connection, user)
        if row is None or row.disabled or not await sso.use(connection, link, user, self._clock.now()):
            raise SsoUnknown

    async def _vouched(
        self, browser: Browser, state: str, returned: Returned, purpose: Purpose, who: Actor, session: str = ""
    ) -> Vouched:
        """Each flow is asked about once, whatever comes of it."""
        if not self.settings.on:
            raise SsoOff
        flow = self._flows.returned(browser.cookie, purpose, state)
        if flow.session != session:
            raise ChallengeOver
        now = self._clock.now()
        counted = self._tries.of(None, browser.address)
        wait = await self._tries.count(counted, now)
        if wait > 0:
            await self._refused(who, "slow_down")
            raise SlowDown(retry_after=wait)
        async with self._store.begin() as connection:
            await self._flows.claim(connection, flow, now)
        try:
            vouched = await self._provider.redeem(flow, returned, self._max_age(flow))
        except SsoRefused as refusal:
            await self._refused(who, refusal.why)
            raise
        except SsoUnavailable:
            await self._tries.forgive(counted)
            raise
        await self._tries.forgive(counted)
        return vouched

    async def _refused(self, who: Actor, reason: str) -> None:
        detail: dict[str, Code] = {"reason": reason, "factor": "sso"}
        entry = Entry(Action.SIGNIN_TRY, Outcome.REFUSED, who, detail=detail)
        await self._audit.enter_throttled(entry, who.address or "unknown")

    async def begin_link(self, caller: Caller) -> tuple[str, Secret[str]]:
        """Where somebody who is signed in goes to tie their identity. Raises SsoOff, SsoUnavailable."""
        session = caller.session or ""
        return await self._begun(self._flows.new("link", again=True, user=caller.id, session=session))

    async def finish_link(self, caller: Caller, browser: Browser, state: str, returned: Returned) -> None:
        """Raises as `finish`; SsoTaken where the identity is another's or the account has one."""
        vouched = await self._vouched(browser, state, returned, "link", caller.actor(), caller.session or "")
        entry = Entry(Action.SSO_LINK, Outcome.DONE, caller.actor(), subject=caller.id)
        async with self._audit.act(entry), self._store.begin() as connection:
            try:
                await sso.insert(connection, self._accounts.lookup(vouched.subject), caller.id, self._clock.now())
            except people.Taken:
                raise SsoTaken from None

    async def linked_at(self, caller: Caller) -> datetime | None:
        """Since when the caller's account is tied to an identity."""
        async with self._store.read() as connection:
            return await sso.linked_at(connection, caller.id)
