"""From the configuration to the rooms of care: teams, broken glasses, and the clinic's rules."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from telehealth.access.surroundings import Surroundings, surroundings_of
from telehealth.base import Base
from telehealth.care.glass import Glasses
from telehealth.care.rooms import CareRooms, GlassLimits
from telehealth.care.team import Team
from telehealth.config import Config, ConfigRefused
from telehealth.identity.people import People
from telehealth.ids import Entropy
from telehealth.visits.store import VisitStore


@dataclass(frozen=True, slots=True)
class Care:
    team: Team
    glasses: Glasses
    surroundings: Surroundings
    rooms: CareRooms

    def workers(self) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        """The rooms' own long-running tasks, by name."""
        return [("glasses", self.glasses.run())]


async def clinic_rules(config: Config) -> Surroundings:
    """The clinic's rules in force. Raises ConfigRefused for a country database that cannot be read."""

    def read() -> Surroundings:
        zone = ZoneInfo(config.server.time_zone)
        return surroundings_of(config.access, zone, timedelta(minutes=config.sessions.step_up_minutes))

    try:
        return await asyncio.to_thread(read)
    except (OSError, ValueError) as error:
        raise ConfigRefused([f"access.country_database: cannot be read ({type(error).__name__})"]) from error


def caring_of(config: Config, base: Base, people: People, surroundings: Surroundings, entropy: Entropy) -> Care:
    """The rooms, over what every room stands on."""
    section = config.access
    limits = GlassLimits(
        timedelta(minutes=section.break_glass_minutes),
        timedelta(seconds=section.break_glass_wait_seconds),
        timedelta(minutes=config.sessions.idle_minutes),
    )
    rooms = CareRooms(
        store=base.store,
        visits=VisitStore(base.store, base.fields),
        fields=base.fields,
        audit=base.log,
        clock=base.clock,
        bus=base.bus,
        entropy=entropy,
        names_of=people.name_of,
        window=config.visits,
        limits=limits,
    )
    return Care(Team(rooms), Glasses(rooms), surroundings, rooms)
