"""From the configuration to what a clinic owes its patients' data: registers, forgetting, de-identified exports."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from telehealth.alerting import Alerting
from telehealth.base import Base
from telehealth.ids import Entropy
from telehealth.privacy.leaving import Leavings
from telehealth.privacy.purge import Purge
from telehealth.registers.breach import Incidents
from telehealth.registers.room import Registers


@dataclass(frozen=True, slots=True)
class Stewardship:
    registers: Registers
    incidents: Incidents
    purge: Purge
    leavings: Leavings

    def workers(self) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        """Long-running tasks, by name."""
        return [("registers", self.registers.run()), ("identities", self.purge.run())]


async def stewardship_of(base: Base, alerting: Alerting, entropy: Entropy) -> Stewardship:
    """Nothing runs yet."""
    config, common = base.config, base.common()
    zone = await asyncio.to_thread(ZoneInfo, config.server.time_zone)
    registers = Registers(**common, fields=base.fields, zone=zone, entropy=entropy)
    leavings = Leavings(
        store=base.store,
        audit=base.log,
        fields=base.fields,
        settings=config.privacy,
        zone=zone,
        entropy=entropy,
    )
    purge = Purge(**common, fields=base.fields, settings=config.privacy, entropy=entropy)
    return Stewardship(registers, Incidents(base, alerting.room, registers, zone), purge, leavings)
