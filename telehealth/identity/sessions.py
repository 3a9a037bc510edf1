"""Staff sessions: a cookie holds the token, the database its hash; idle and absolute ends."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Literal, cast

from telehealth.access import Caller, Role, recently_proven
from telehealth.access.surroundings import Surroundings
from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.clock import Clock
from telehealth.errors import NotFound
from telehealth.events import Bus, SessionEnded
from telehealth.identity.devices import device_name
from telehealth.identity.faults import StepUpNeeded, Unauthenticated
from telehealth.identity.ports import Audit, Fields
from telehealth.identity.secrets import new_token, token_hash
from telehealth.identity.session_facts import Device, Factor, Person, Proof, SessionInfo
from telehealth.ids import Entropy, Kind, new_id
from telehealth.log import get_logger
from telehealth.secret import Secret
from telehealth.sections import Sessions as Limits
from telehealth.store import sessions as rows
from telehealth.store.engine import Connection, Store

SWEEP_SECONDS = 5.0
JUST_NOW = Proof()
Why = Literal[
    "idle",
    "over",
    "signed_out",
    "ended_by_admin",
    "password_changed",
    "passkey_removed",
    "lost",
    "sso_logout",
    "sso_unlinked",
]
log = get_logger(__name__)
__all__ = ["Device", "Factor", "Person", "Proof", "SessionInfo", "Sessions", "Why"]


class Sessions:
    """Only `renew` and `touch_live` count as activity; looking things up does not keep a page signed in."""

    def __init__(
        self,
        *,
        store: Store,
        fields: Fields,
        audit: Audit,
        clock: Clock,
        bus: Bus,
        limits: Limits,
        entropy: Entropy,
        surroundings: Surroundings | None = None,
    ) -> None:
        self._surroundings = surroundings or Surroundings()
        self._store = store
        self._fields = fields
        self._audit = audit
        self._clock = clock
        self._bus = bus
        self._entropy = entropy
        self._idle = timedelta(minutes=limits.idle_minutes)
        self._absolute = timedelta(hours=limits.absolute_hours)
        self._fresh = timedelta(minutes=limits.step_up_minutes)

    async def start(
        self,
        connection: Connection,
        user: str,
        proof: Proof = JUST_NOW,
    ) -> tuple[Secret[str], str]:
        """A new session inside the caller's transaction, after its entry: token and id."""
        now = self._clock.now()
        token, session = new_token(self._entropy), new_id(Kind.SESSION, self._entropy)
        await rows.insert_session(
            connection,
            id=session,
            token_hash=token_hash(token.reveal()),
            user_id=user,
            created_at=now,
            seen_at=now,
            expires_at=now + self._absolute,
            mfa_at=proof.proved_at or now,
            sso_sid=proof.sso_sid,
            factor=proof.factor,
            passkey_id=proof.passkey,
            public_key=proof.key,
            known=await self._known(connection, user, proof),
            device_sealed=self._fields.seal(proof.device, table="sessions", column="device_sealed", row=session)
            if proof.device
            else None,
        )
        return token, session

    async def _known(self, connection: Connection, user: str, proof: Proof) -> bool:
        """A device is known by a passkey, by a set-up link, or because its browser's key was known before."""
        if proof.invited or proof.passkey or proof.key is None:
            return proof.invited or proof.passkey is not None
        return await rows.knows_key(connection, user, proof.key)

    async def forget_device(self, session: str) -> None:
        """What began this session is known as the person's device no more."""
        async with self._store.begin() as connection:
            await rows.forget_key(connection, session)

    async def prove_again(self, connection: Connection, caller: Caller) -> Secret[str]:
        """Two factors were proved in this session just now: its token is exchanged (ASVS 5.0 7.2.4).

        Raises Unauthenticated when it ended meanwhile.
        """
        return await self.exchange(connection, caller, mfa_at=self._clock.now())

    def require_recent(self, caller: Caller) -> None:
        """Let pass who proved two factors a little while ago. Raises StepUpNeeded."""
        if not recently_proven(caller, self._clock.now(), self._fresh):
            raise StepUpNeeded

    async def exchange(self, connection: Connection, caller: Caller, **values: datetime) -> Secret[str]:
        """Another token for the caller's session; the old one opens nothing any more. Raises Unauthenticated."""
        token = new_token(self._entropy)
        if caller.session is None or not await rows.renewed(
            connection, caller.session, token_hash(token.reveal()), **values
        ):
            raise Unauthenticated
        return token

    async def resolve(self, token: str, *, address: str | None, device: str | None) -> Caller:
        """Who holds the cookie. Raises Unauthenticated."""
        row = await self._live(token)
        role = cast(Role, row.role)
        who = Caller("user", row.user_id, role, session=row.id, mfa_at=row.mfa_at, address=address, device=device)
        return self._surroundings.about(who, self._clock.now(), device_known=row.known)

    async def info(self, token: str) -> SessionInfo:
        """Raises Unauthenticated."""
        return self._told(await self._live(token))

    async def renew(self, token: str) -> SessionInfo:
        """Count activity. Raises Unauthenticated."""
        row = await self._live(token)
        await self.touch_live(row.user_id, row.id)
        return await self.info(token)

    async def touch_live(self, user: str, session: str | None = None) -> None:
        """A live call is activity, of one session or of all the user's that are still live."""
        now = self._clock.now()
        async with self._store.begin() as connection:
            await rows.touch(connection, now, now - self._idle, user=user, session=session)

    async def of(self, user: str) -> Sequence[SessionInfo]:
        """The user's live sessions."""
        return [self._told(row) for row in await self._live_of(user)]

    async def devices(self, caller: Caller) -> Sequence[Device]:
        """The caller's own live sessions, the latest first."""
        return [
            Device(
                row.id,
                self._device(row),
                row.factor,
                row.created_at,
                row.seen_at,
                row.expires_at,
                row.id == caller.session,
            )
            for row in reversed(await self._live_of(caller.id))
        ]

    def _device(self, row: rows.SessionRow) -> str:
        if row.device_sealed is None:
            return ""
        return device_name(self._fields.open(row.device_sealed, table="sessions", column="device_sealed", row=row.id))

    async def _live_of(self, user: str) -> list[rows.SessionRow]:
        async with self._store.read() as connection:
            found = await rows.sessions_of(connection, user)
        return [row for row in found if self._why_over(row) is None]

    async def end(self, token: str, *, address: str | None = None, device: str | None = None) -> None:
        """Sign out, at once; ending what is over already is no error."""
        async with self._store.read() as connection:
            row = await rows.session(connection, token_hash(token))
        if row is not None:
            actor = Actor("user", row.user_id, row.role, address, device)
            await self._close(row, "signed_out", actor)

    async def end_one(self, caller: Caller, session: str) -> None:
        """End one of the caller's own sessions. Raises NotFound."""
        if not await self.end_own(caller, "signed_out", lambda row: row.id == session):
            raise NotFound

    async def end_own(
        self, caller: Caller, why: Why, which: Callable[[rows.SessionRow], bool]
    ) -> list[rows.SessionRow]:
        """End those of the caller's own live sessions, at once; which they were."""
        ending = [row for row in await self._live_of(caller.id) if which(row)]
        for row in ending:
            await self._close(row, why, caller.actor())
        return ending

    async def end_of(self, user: str, ids: Collection[str], why: Why, actor: Actor) -> int:
        """End these live sessions of the user, at once; how many."""
        ending = [row for row in await self._live_of(user) if row.id in ids]
        for row in ending:
            await self._close(row, why, actor)
        return len(ending)

    async def end_others(self, caller: Caller, why: Why = "signed_out") -> int:
        """End all of the caller's sessions but this one; how many."""
        return len(await self.end_own(caller, why, lambda row: row.id != caller.session))

    async def end_all(self, user: str, *, by: Caller) -> int:
        """End every session of the user, at once; how many."""
        async with self._store.begin() as connection:
            ended = await rows.end_sessions_of(connection, user, self._clock.now())
        await self._bus.publish(SessionEnded(user))
        detail = {"reason": "ended_by_admin" if by.id != user else "signed_out", "count": ended}
        entry = Entry(Action.SESSION_END, Outcome.DONE, by.actor(), subject=user, detail=detail)
        await self._audit.enter_closing(entry)
        return ended

    async def sweep(self) -> int:
        """End what is idle or over, so that its sockets close; how many."""
        now = self._clock.now()
        async with self._store.read() as connection:
            due = await rows.run_out(connection, now, now - self._idle)
        for row in due:
            await self._close(row, self._why_over(row) or "over", Actor("system", "server", "system"))
        return len(due)

    async def run(self, every: float = SWEEP_SECONDS) -> None:
        """Sweep until cancelled; a failing database is logged and tried again."""
        while True:
            try:
                await self.sweep()
            except Exception:
                log.error("sessions.sweep_failed", exc_info=True)
            await asyncio.sleep(every)

    async def _close(self, row: rows.SessionRow, why: Why, actor: Actor) -> None:
        async with self._store.begin() as connection:
            first = await rows.end_session(connection, row.id, self._clock.now())
        if not first:
            return
        await self._bus.publish(SessionEnded(row.user_id, row.id))
        action = Action.SIGNIN_OUT if why == "signed_out" else Action.SESSION_END
        entry = Entry(action, Outcome.DONE, actor, subject=row.id, detail={"reason": why, "user": row.user_id})
        await self._audit.enter_closing(entry)

    async def _live(self, token: str) -> rows.SessionRow:
        async with self._store.read() as connection:
            row = await rows.session(connection, token_hash(token))
        if row is None or self._why_over(row) is not None:
            raise Unauthenticated
        return row

    def _why_over(self, row: rows.SessionRow) -> Why | None:
        now = self._clock.now()
        if row.ended_at is not None or row.disabled:
            return "signed_out"
        if row.expires_at <= now:
            return "over"
        return "idle" if row.seen_at + self._idle <= now else None

    def _told(self, row: rows.SessionRow) -> SessionInfo:
        name = self._fields.open(row.name_sealed, table="users", column="name_sealed", row=row.user_id)
        left = row.seen_at + self._idle - self._clock.now()
        person = Person(row.user_id, name, row.role)
        idle = max(0, int(left.total_seconds()))
        return SessionInfo(row.id, person, idle, row.created_at, row.seen_at, row.expires_at, row.factor)
