"""Messages that survive a restart: queued in the caller's transaction, tried until they are out or over."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Code, Entry, Outcome
from telehealth.clock import Clock
from telehealth.errors import Reason, Refusal
from telehealth.events import Bus, VisitChanged
from telehealth.identity.ports import Audit, Fields
from telehealth.ids import Entropy, new_id
from telehealth.ids import Kind as IdKind
from telehealth.log import get_logger
from telehealth.outbox.carriers import Carrier
from telehealth.outbox.failure import DeliveryFailed
from telehealth.outbox.messages import Kind, Message, unpacked
from telehealth.store import outbox as rows
from telehealth.store.engine import Connection, Store

AT_ONCE = 8
LEASE = timedelta(seconds=60)  # a message claimed by a process that died is tried again after that
SEND_SECONDS = 45.0  # shorter than the lease
REST_SECONDS = 2.0
MOST_WAITING = 10_000
log = get_logger(__name__)


class ChannelOff(Refusal):
    """This server is not set up to send over the channel."""

    code = "channel_off"
    reason = Reason.CONFLICT
    message = "This server is not set up to send messages that way."


class OutboxFull(Refusal):
    code = "outbox_full"
    reason = Reason.UNAVAILABLE
    message = "Too many messages are waiting to be sent. Please tell the link by other means."


@dataclass(frozen=True, slots=True)
class Retry:
    """Seconds until the next try: `first`, doubled every time, never more than `most`."""

    first: float = 5.0
    most: float = 300.0

    def after(self, attempts: int) -> timedelta:
        """`attempts`: tries made so far, ≥ 1."""
        return timedelta(seconds=min(self.most, self.first * 2.0 ** min(attempts - 1, 32)))


class Outbox:
    """A crash between sending and noting it sends twice, never not at all. `run` is the one task, owned by the app."""

    def __init__(
        self,
        *,
        store: Store,
        fields: Fields,
        audit: Audit,
        clock: Clock,
        bus: Bus,
        carriers: Mapping[str, Carrier],
        entropy: Entropy,
        retry: Retry | None = None,
    ) -> None:
        self._store = store
        self._fields = fields
        self._audit = audit
        self._clock = clock
        self._bus = bus
        self._carriers = carriers
        self._entropy = entropy
        self._retry = retry or Retry()
        self._woken = asyncio.Event()

    def offers(self, channel: str) -> bool:
        """Whether this server can send over the channel."""
        return channel in self._carriers

    async def queue(
        self,
        channel: str,
        to: str,
        message: Message,
        *,
        visit: str | None,
        link: str | None,
        kind: Kind = "link",
        expires: datetime,
        connection: Connection | None = None,
    ) -> str:
        """Durable when the transaction is; a code replaces codes of its link that still wait.

        `connection`: the caller's transaction, else one of its own. Raises ChannelOff, OutboxFull.
        """
        if not self.offers(channel):
            raise ChannelOff
        if connection is None:
            async with self._store.begin() as own:
                return await self.queue(
                    channel, to, message, visit=visit, link=link, kind=kind, expires=expires, connection=own
                )
        if await rows.waiting(connection) >= MOST_WAITING:
            raise OutboxFull
        now, name = self._clock.now(), new_id(IdKind.MESSAGE, self._entropy)
        if kind == "code" and link is not None:
            await rows.void_codes(connection, link, now)
        await rows.insert(
            connection,
            id=name,
            channel=channel,
            kind=kind,
            visit_id=visit,
            link_id=link,
            to_sealed=self._fields.seal(to, table="outbox", column="to_sealed", row=name),
            body_sealed=self._fields.seal(message.packed(), table="outbox", column="body_sealed", row=name),
            attempts=0,
            created_at=now,
            next_at=now,
            expires_at=expires,
        )
        self._woken.set()
        return name

    async def waiting(self) -> int:
        """Messages neither sent nor given up."""
        async with self._store.read() as connection:
            return await rows.waiting(connection)

    async def run(self) -> None:
        """Deliver until cancelled; a failing database or log is logged and tried again."""
        while True:
            self._woken.clear()
            try:
                busy = await self.deliver_due()
            except Exception:
                log.error("outbox.failed", exc_info=True)
                busy = 0
            if not busy:
                await self._rest()

    async def deliver_due(self) -> int:
        """Try every message whose turn has come, a bounded number at once; how many were looked at."""
        claimed = await self._claim()
        async with asyncio.TaskGroup() as group:
            for row in claimed:
                group.create_task(self._deliver(row), name="outbox delivery")
        return len(claimed)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(REST_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            return  # look again

    async def _claim(self) -> list[rows.OutboxRow]:
        """Take messages for the length of a lease, counting the try before it is made."""
        now = self._clock.now()
        async with self._store.begin() as connection:
            due = await rows.due(connection, now, AT_ONCE)
            for row in due:
                await rows.change(connection, row.id, attempts=row.attempts + 1, next_at=now + LEASE)
        return due

    async def _deliver(self, row: rows.OutboxRow) -> None:
        attempts = row.attempts + 1
        try:
            await self._send(row)
        except DeliveryFailed as failed:
            await self._failed(row, attempts, failed)
        except Refusal as refusal:  # the log is down, or a field does not open: nothing was sent
            await self._failed(row, attempts, DeliveryFailed(refusal.code, final=False))
        else:
            await self._note(row, sent_at=self._clock.now(), failure=None, to_sealed=b"", body_sealed=b"")
            log.info("outbox.sent", channel=row.channel, visit=row.visit_id, attempts=attempts)

    async def _send(self, row: rows.OutboxRow) -> None:
        """Entered, then handed over. Raises DeliveryFailed, LogUnavailable, FieldUnreadable."""
        if row.expires_at <= self._clock.now():
            raise DeliveryFailed("expired", final=True)
        carrier = self._carriers.get(row.channel)
        if carrier is None:
            raise DeliveryFailed("channel_off", final=True)
        to = self._fields.open(row.to_sealed, table="outbox", column="to_sealed", row=row.id)
        body = self._fields.open(row.body_sealed, table="outbox", column="body_sealed", row=row.id)
        if row.kind == "alert":  # opens nothing, and must get out when the log is down
            await self._hand_over(carrier, to, unpacked(body))
            return
        action = Action.CODE_SEND if row.kind == "code" else Action.LINK_SEND
        entry = Entry(
            action, Outcome.DONE, SYSTEM, visit=row.visit_id, subject=row.link_id, detail={"channel": row.channel}
        )
        async with self._audit.act(entry):
            await self._hand_over(carrier, to, unpacked(body))

    async def _hand_over(self, carrier: Carrier, to: str, message: Message) -> None:
        """Raises DeliveryFailed."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await carrier.send(to, message)
        except TimeoutError as error:
            raise DeliveryFailed("timeout", final=False) from error

    async def _failed(self, row: rows.OutboxRow, attempts: int, failed: DeliveryFailed) -> None:
        now = self._clock.now()
        again = now + self._retry.after(attempts)
        over = failed.final or again >= row.expires_at
        if row.kind == "alert" and (over or attempts == 1):
            detail: dict[str, Code] = {"channel": row.channel, "code": failed.code, "attempts": attempts}
            await self._audit.enter_closing(Entry(Action.ALERT_SEND, Outcome.FAILED, SYSTEM, detail=detail))
        if over:
            await self._note(row, given_up_at=now, failure=failed.code, to_sealed=b"", body_sealed=b"")
            log.warning("outbox.given_up", channel=row.channel, visit=row.visit_id, code=failed.code, attempts=attempts)
        else:
            await self._note(row, next_at=again, failure=failed.code)
            log.info("outbox.again", channel=row.channel, visit=row.visit_id, code=failed.code, attempts=attempts)

    async def _note(self, row: rows.OutboxRow, **values: object) -> None:
        async with self._store.begin() as connection:
            await rows.note(connection, row.id, **values)
        if row.visit_id is not None:
            await self._bus.publish(VisitChanged(row.visit_id))
