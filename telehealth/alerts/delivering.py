"""Sends what is to be sent, tries again for hours, and enters what failed. Survives a restart: its state is durable."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from telehealth.alerts import store as rows
from telehealth.alerts.channels import Channel, NotDelivered, Telling
from telehealth.alerts.rows import DeliveryRow
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Code, Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.keys.fields import FieldCipher
from telehealth.log import get_logger
from telehealth.store.engine import Store

AT_ONCE = 8
LEASE = timedelta(seconds=60)  # what a process that died had in its hands is tried again after that
SEND_SECONDS = 30.0  # shorter than the lease
FIRST, MOST = timedelta(seconds=10), timedelta(minutes=15)
log = get_logger(__name__)


class Deliveries:
    """A crash between sending and noting it sends twice, never not at all."""

    def __init__(
        self, *, store: Store, audit: AuditLog, clock: Clock, fields: FieldCipher, channels: Mapping[str, Channel]
    ) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._fields = fields
        self._channels = channels

    async def deliver_due(self) -> int:
        """Try every delivery whose turn has come, a bounded number at once; how many were looked at."""
        now = self._clock.now()
        async with self._store.begin() as c:
            claimed = await rows.claim(c, now, now + LEASE, AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for row in claimed:
                group.create_task(self._deliver(row), name="alert delivery")
        return len(claimed)

    async def _deliver(self, row: DeliveryRow) -> None:
        try:
            await self._tell(row)
        except NotDelivered as failed:
            await self._failed(row, failed.code)
        except Exception as broken:  # noqa: BLE001  # it must not take along those beside it; entered, tried again
            log.error("alerts.delivery_broke", code=type(broken).__name__, channel=row.channel)
            await self._failed(row, "broken")
        else:
            await self._note(row, sent_at=self._clock.now(), failure=None, to_sealed=None)

    async def _tell(self, row: DeliveryRow) -> None:
        """Raises NotDelivered."""
        channel = self._channels.get(row.channel)
        async with self._store.read() as c:
            alert = await rows.alert(c, row.alert_id)
        if channel is None or alert is None:
            raise NotDelivered("channel_off")
        to = None
        if row.to_sealed:
            to = self._fields.open(row.to_sealed, table="alert_deliveries", column="to_sealed", row=row.id)
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await channel.tell(Telling(row.id, alert, row.again, to))
        except TimeoutError as error:
            raise NotDelivered("timeout") from error

    async def _failed(self, row: DeliveryRow, code: str) -> None:
        """The first failure and the giving up are entries; the tries between are in the row."""
        now, attempts = self._clock.now(), row.attempts + 1
        again = now + min(MOST, FIRST * 2.0 ** min(row.attempts, 32))
        over = again >= row.expires_at or code == "channel_off"
        if over:
            await self._note(row, given_up_at=now, failure=code, to_sealed=None)
        else:
            await self._note(row, next_at=again, failure=code)
        if over or row.attempts == 0:
            detail: dict[str, Code] = {"channel": row.channel, "code": code, "attempts": attempts, "given_up": over}
            entry = Entry(Action.ALERT_SEND, Outcome.FAILED, SYSTEM, subject=row.alert_id, detail=detail)
            await self._audit.enter_closing(entry)
        log.warning("alerts.not_delivered", channel=row.channel, code=code, attempts=attempts)

    async def _note(self, row: DeliveryRow, **values: object) -> None:
        async with self._store.begin() as c:
            await rows.change_delivery(c, row.id, **values)
