"""Alerts over a log and a database of their own, a clock that the test moves, and acts to enter."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from mmdb_writer import MMDBWriter
from netaddr import IPSet
from sqlalchemy import insert

from telehealth.access import Caller
from telehealth.alerts import store as rows
from telehealth.alerts.channels import Channel
from telehealth.alerts.country import country_of
from telehealth.alerts.delivering import Deliveries
from telehealth.alerts.following import Follower, Reader
from telehealth.alerts.gauges import Alarms, Gauge, Gauges
from telehealth.alerts.judging import Hours
from telehealth.alerts.memory import MOST_SUBJECTS, Memory
from telehealth.alerts.raising import Channels, Raiser
from telehealth.alerts.reviewing import Reviews
from telehealth.alerts.room import AlertRoom
from telehealth.alerts.rows import AlertRow
from telehealth.alerts.rules import in_force
from telehealth.alerts.settings import Alerts
from telehealth.alerts.trying import Trying
from telehealth.audit.actions import Action
from telehealth.audit.details import FileDetailKeys
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.audit.log import AuditLog, Limits
from telehealth.keys.fields import FieldCipher
from telehealth.secret import Secret
from telehealth.store.engine import Store
from telehealth.store.tables import recordings, users, visits

START = datetime(2031, 5, 6, 9, 0, tzinfo=UTC)  # a Tuesday
HOME, ABROAD, ELSEWHERE = "192.0.2.7", "203.0.113.9", "198.51.100.4"
ADMIN = Caller("user", "usr_admin", "admin")
AUDITOR = Caller("user", "usr_auditor", "auditor")
QUICK = Limits(retry_every=0.005, brief=2.0, throttle_tick=0.005)


class SteppedClock:
    def __init__(self) -> None:
        self.moment = START

    def now(self) -> datetime:
        return self.moment

    def steady(self) -> float:
        return (self.moment - START).total_seconds()

    def step(self, **how: float) -> None:
        self.moment += timedelta(**how)


def countries(folder: Path) -> Path:
    """A small file of networks for documentation, each in a country of its own."""
    path = folder / "country.mmdb"
    if not path.exists():
        writer = MMDBWriter(ip_version=4, database_type="GeoLite2-Country")
        for network, code in (("192.0.2.0/24", "AT"), ("203.0.113.0/24", "NZ"), ("198.51.100.0/24", "AT")):
            writer.insert_network(IPSet([network]), {"country": {"iso_code": code}})
        writer.to_db_file(str(path))
    return path


async def open_log(folder: Path, clock: SteppedClock) -> AuditLog:
    return await AuditLog.open(
        folder / "audit",
        signing_key=Secret(b"s" * 32),
        pseudonym_key=Secret(b"p" * 32),
        detail_keys=FileDetailKeys(folder / "detail-keys", Secret(b"w" * 32)),
        clock=clock,
        origin="log.example/audit",
        limits=QUICK,
    )


@dataclass
class Tower:
    """`room` is what runs; `restart` makes another over the same log and database."""

    store: Store
    audit: AuditLog
    clock: SteppedClock
    folder: Path
    settings: Alerts = field(default_factory=Alerts)
    channels: Mapping[str, Channel] = field(default_factory=dict)
    most: int = MOST_SUBJECTS

    def __post_init__(self) -> None:
        self.fields = FieldCipher(Secret(b"f" * 32), Secret(b"l" * 32))
        self.alarms = Alarms()
        self.country = country_of(countries(self.folder))
        self.restart()

    def restart(self) -> None:
        common: dict[str, Any] = {"store": self.store, "audit": self.audit, "clock": self.clock}
        rules, zone = in_force(self.settings.rules), ZoneInfo("Europe/Vienna")
        hours = Hours.of(self.settings.hours, self.settings.work_days, zone)
        reader = Reader(self.audit, self.store, self.fields, self.country)

        def memory() -> Memory:
            return Memory(rules, hours, self.most)

        names = tuple(name for name in self.channels if name != "email")
        raiser = Raiser(
            **common,
            fields=self.fields,
            settings=self.settings,
            channels=Channels(names, self.settings.mail_to),
            entropy=os.urandom,
        )
        self.rules = rules
        self.room = AlertRoom(
            **common,
            fields=self.fields,
            names_of=self.names_of,
            rules=rules,
            follower=Follower(**common, reader=reader, raiser=raiser, rules=rules, memory=memory, zone=zone),
            raiser=raiser,
            deliveries=Deliveries(**common, fields=self.fields, channels=self.channels),
            reviews=Reviews(**common, fields=self.fields, names_of=self.names_of, zone=zone),
            trying=Trying(self.audit, self.clock, reader, memory),
        )

    async def names_of(self, ids: Sequence[str]) -> Mapping[str, str]:
        return {name: name.removeprefix("usr_").title() for name in ids}

    def gauges(self, **gauges: Gauge) -> Gauges:
        return Gauges(self.rules, gauges, self.alarms)

    async def enter(
        self,
        action: Action,
        outcome: Outcome = Outcome.DONE,
        *,
        who: str = "usr_a",
        kind: str = "user",
        address: str | None = HOME,
        device: str | None = "Firefox 140, Windows",
        **more: Any,
    ) -> int:
        actor = Actor(kind, who, address=address, device=device)  # type: ignore[arg-type]
        return await self.audit.enter(Entry(action, outcome, actor, **more))

    async def raised(self) -> list[AlertRow]:
        """Look, and tell every alert there is, oldest first."""
        await self.room.look()
        async with self.store.read() as c:
            return list(reversed(await rows.page(c, None, 1000, None)))

    async def names(self) -> set[str]:
        return {row.rule for row in await self.raised()}

    async def entries(self, action: Action) -> list[Any]:
        return [one for one in await self.audit.entries(limit=1000) if one.action == action]

    async def recordings(self, count: int, clinician: str = "usr_a") -> list[str]:
        """So many sealed recordings of one clinician."""
        named = [f"rec_{clinician[4:]}{number}" for number in range(count)]
        async with self.store.begin() as c:
            await c.execute(
                insert(users).values(
                    id=clinician,
                    role="clinician",
                    login_lookup=clinician.encode(),
                    login_sealed=b"x",
                    name_sealed=b"x",
                    recovery_hashes=[],
                    created_at=START,
                )
            )
            await c.execute(
                insert(visits).values(
                    id=f"vis_{clinician}",
                    clinician_id=clinician,
                    state="ended",
                    patient_name_sealed=b"x",
                    patient_lookup=b"x",
                    scheduled_at=START,
                    minutes=30,
                    assurance="standard",
                    recording_planned=False,
                    created_at=START,
                )
            )
            for name in named:
                await c.execute(
                    insert(recordings).values(
                        id=name,
                        visit_id=f"vis_{clinician}",
                        clinician_id=clinician,
                        patient_lookup=b"x",
                        retention_class="visit",
                        state="sealed",
                        started_at=START,
                        stopped_at=START,
                    )
                )
        return named
