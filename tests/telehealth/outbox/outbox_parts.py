"""A post office whose carriers do what the test says."""

import os
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from telehealth.audit.log import AuditLog
from telehealth.events import Bus, VisitChanged
from telehealth.keys.fields import FieldCipher
from telehealth.outbox.carriers import Carrier
from telehealth.outbox.failure import DeliveryFailed
from telehealth.outbox.messages import Message
from telehealth.outbox.outbox import Outbox
from telehealth.secret import Secret
from telehealth.store.engine import Store
from telehealth.store.tables import links, outbox, users, visits

START = datetime(2031, 5, 6, 7, 0, tzinfo=UTC)


class SteppedClock:
    def __init__(self) -> None:
        self.moment = START

    def now(self) -> datetime:
        return self.moment

    def steady(self) -> float:
        return (self.moment - START).total_seconds()

    def step(self, **how: float) -> None:
        self.moment += timedelta(**how)


@dataclass
class Tray:
    """Keeps what it is given; fails as often as it was told to."""

    sent: list[tuple[str, Message]] = field(default_factory=list)
    failures: deque[Exception] = field(default_factory=deque)

    async def send(self, to: str, message: Message) -> None:
        if self.failures:
            raise self.failures.popleft()
        self.sent.append((to, message))

    def fail(self, times: int, *, final: bool = False) -> None:
        self.failures.extend(DeliveryFailed("unreachable", final=final) for _ in range(times))


class PostOffice:
    def __init__(self, store: Store, audit: AuditLog, clock: SteppedClock, folder: Path) -> None:
        self.store, self.audit, self.clock, self.folder = store, audit, clock, folder
        self.fields = FieldCipher(Secret(b"f" * 32), Secret(b"l" * 32))
        self.tray, self.changed = Tray(), list[str]()
        self.outbox = self.open({"sms": self.tray, "email": self.tray})

    def open(self, carriers: dict[str, Carrier]) -> Outbox:
        """An outbox as after a restart."""
        bus = Bus()
        bus.subscribe(VisitChanged, self._heard)
        return Outbox(
            store=self.store,
            fields=self.fields,
            audit=self.audit,
            clock=self.clock,
            bus=bus,
            carriers=carriers,
            entropy=os.urandom,
        )

    async def _heard(self, event: VisitChanged) -> None:
        self.changed.append(event.visit)

    async def queue(self, text: str = "hello", **changes: Any) -> str:
        given = {"visit": None, "link": None, "expires": self.clock.now() + timedelta(hours=1), **changes}
        return await self.outbox.queue("sms", "+436601234567", Message(text), **given)

    async def visit(self) -> tuple[str, str]:
        """A visit and a link, for messages that belong to them."""
        async with self.store.begin() as connection:
            await connection.execute(
                insert(users).values(
                    id="usr_1",
                    role="clinician",
                    login_lookup=b"x",
                    login_sealed=b"x",
                    name_sealed=b"x",
                    recovery_hashes=[],
                    created_at=START,
                )
            )
            await connection.execute(
                insert(visits).values(
                    id="vis_1",
                    clinician_id="usr_1",
                    state="booked",
                    patient_name_sealed=b"x",
                    patient_lookup=b"x",
                    scheduled_at=START,
                    minutes=30,
                    assurance="standard",
                    recording_planned=False,
                    created_at=START,
                )
            )
            await connection.execute(
                insert(links).values(
                    id="lnk_1",
                    visit_id="vis_1",
                    role="patient",
                    channel="sms",
                    token_hash=b"x",
                    not_before=START,
                    expires_at=START,
                    created_at=START,
                )
            )
        return "vis_1", "lnk_1"

    async def rows(self) -> list[dict[str, Any]]:
        async with self.store.read() as connection:
            query = select(outbox).order_by(outbox.c.created_at, outbox.c.id)
            return [dict(row) for row in (await connection.execute(query)).mappings()]

    async def due_now(self) -> None:
        """Bring every waiting message's turn forward."""
        async with self.store.begin() as connection:
            await connection.execute(update(outbox).values(next_at=self.clock.now()))

    async def entries(self) -> list[tuple[str, str]]:
        return [(stored.action, stored.outcome) for stored in await self.audit.entries(limit=1000)]
