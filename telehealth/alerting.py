"""Alerts as the configuration wants them: their rules, their channels, and the gauges of this house."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from telehealth.alerts import store as rows
from telehealth.alerts.channels import ByMail, Channel, Syslog, Webhook
from telehealth.alerts.country import country_of
from telehealth.alerts.delivering import Deliveries
from telehealth.alerts.following import PAGE, Follower, Reader
from telehealth.alerts.gauges import Gauge, Gauges
from telehealth.alerts.judging import Hours
from telehealth.alerts.memory import Memory
from telehealth.alerts.raising import Channels, Raiser
from telehealth.alerts.reviewing import Reviews
from telehealth.alerts.room import AlertRoom
from telehealth.alerts.rules import in_force
from telehealth.alerts.trying import Trying
from telehealth.audit.anchors import ALARM_SECONDS
from telehealth.base import Base
from telehealth.config import Config, read_secret
from telehealth.identity.people import People
from telehealth.ids import Entropy
from telehealth.outbox.outbox import Outbox

if TYPE_CHECKING:
    from telehealth.house import House
    from telehealth.web.metrics import Metrics

LATE = timedelta(days=1)  # beyond its day, before a recording counts as kept too long


@dataclass(frozen=True, slots=True)
class Alerting:
    """The room, and what its tasks look at."""

    room: AlertRoom
    base: Base

    def workers(self, house: "House") -> list[tuple[str, Coroutine[Any, Any, None]]]:
        """Long-running tasks, by name."""
        gauges = Gauges(self.room.table, gauges_of(house), self.base.alarms)
        return [("alerts", self.room.run(gauges)), ("alert deliveries", self.room.run_deliveries())]

    def measure(self, metrics: "Metrics") -> None:
        """How far the rules are behind the log, and how much they remember."""
        follower = self.room.follower
        metrics.gauge("alerts_behind", "Entries that no rule looked at yet", lambda: float(follower.behind))
        metrics.gauge("alerts_subjects", "Subjects that rules remember", lambda: float(follower.remembered))


async def alerting_of(config: Config, base: Base, outbox: Outbox, people: People, entropy: Entropy) -> Alerting:
    """Nothing runs yet. Raises ConfigRefused for a secret's file."""
    settings, clock = config.alerts, base.clock
    zone, country, channels = await asyncio.to_thread(_read, config, base, outbox)
    rules = in_force(settings.rules)
    hours = Hours.of(settings.hours, settings.work_days, zone)
    common = base.common()
    reader = Reader(base.log, base.store, base.fields, country)
    names = tuple(name for name in channels if name != "email")
    raiser = Raiser(
        **common,
        fields=base.fields,
        settings=settings,
        channels=Channels(names, settings.mail_to if "email" in channels else ()),
        entropy=entropy,
    )

    def memory() -> Memory:
        return Memory(rules, hours)

    room = AlertRoom(
        **common,
        fields=base.fields,
        names_of=people.name_of,
        rules=rules,
        follower=Follower(
            **common, reader=reader, raiser=raiser, rules=rules, memory=memory, zone=zone, node=config.redis.node
        ),
        raiser=raiser,
        deliveries=Deliveries(**common, fields=base.fields, channels=channels),
        reviews=Reviews(
            **common, fields=base.fields, names_of=people.name_of, zone=zone, reminds=settings.review_weekly
        ),
        trying=Trying(base.log, clock, reader, memory),
    )
    return Alerting(room, base)


def _read(config: Config, base: Base, outbox: Outbox) -> tuple[ZoneInfo, Any, Mapping[str, Channel]]:
    """Time zone, countries and channels: all that is read from files. Blocks. Raises ConfigRefused."""
    settings, clock = config.alerts, base.clock
    clinic, page = config.server.clinic_name, f"{config.public_url}/alerts"
    channels: dict[str, Channel] = {}
    if settings.webhook_url and settings.webhook_secret_file is not None:
        secret = read_secret(settings.webhook_secret_file)
        channels["webhook"] = Webhook(settings.webhook_url, secret, clock, clinic, page)
    if settings.syslog:
        channels["syslog"] = Syslog(settings.syslog, settings.syslog_ca_file, clock, clinic, page)
    if settings.mail_to:
        channels["email"] = ByMail(outbox, clock, clinic, page, timedelta(hours=settings.give_up_hours))
    return ZoneInfo(config.server.time_zone), country_of(settings.country_file), channels


def gauges_of(house: "House") -> Mapping[str, Gauge]:
    """What is read of this house, by the names that rules use; true is well."""
    checks, base = house.checks(), house.base

    async def anchors() -> bool:
        return base.anchors.age() <= ALARM_SECONDS

    async def rotation() -> bool:
        return not base.keyring.due(base.clock.now())

    async def shares() -> bool:
        return not house.turnover.progress.unreadable

    async def uploads() -> bool:
        uploader = house.storing.uploader
        return uploader is None or not uploader.figures.trouble

    async def reading() -> bool:
        follower = house.alerting.room.follower
        return follower.behind <= PAGE and not follower.failing

    async def limits() -> bool:
        return house.limiting.buckets.together

    async def backups() -> bool:
        return not house.backups.standing.codes

    return {
        "log": checks["log"],
        "keys": checks["keys"],
        "disk": checks["disk"],
        "vault": checks["vault"],
        "anchors": anchors,
        "outward": base.outward.up_to_date,
        "key_rotation": rotation,
        "key_shares": shares,
        "uploads": uploads,
        "reading": reading,
        "backups": backups,
        "limits": limits,
        "review": house.alerting.room.reviews.up_to_date,
        "identities": house.stewardship.purge.up_to_date,
        "retention_overdue": lambda: _retention(house),
    }


async def _retention(house: "House") -> bool:
    """Whether nothing is here longer than its rule says, but what a hold keeps."""
    async with house.base.store.read() as c:
        oldest = await rows.kept_longest(c)
    now, default = house.clock.now(), house.config.recording.retention_days
    return all(
        now - since <= timedelta(days=default if days is None else days) + LATE for since, days in oldest.values()
    )
