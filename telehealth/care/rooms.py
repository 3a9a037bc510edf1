"""What the rooms of care work with."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from telehealth.access import Object
from telehealth.clock import Clock
from telehealth.errors import NotFound
from telehealth.events import Bus
from telehealth.identity.ports import Audit, Fields
from telehealth.ids import Entropy, Kind, is_id
from telehealth.sections import Visits
from telehealth.store.engine import Store
from telehealth.visits.objects import visit_object
from telehealth.visits.rows import VisitRow
from telehealth.visits.store import VisitStore


@dataclass(frozen=True, slots=True)
class GlassLimits:
    """`lasts`: how long a broken glass opens; `wait`: for a second person; `idle`: who is there has acted since."""

    lasts: timedelta = timedelta(minutes=45)
    wait: timedelta = timedelta(seconds=120)
    idle: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class CareRooms:
    """`names_of`: names of users by id."""

    store: Store
    visits: VisitStore
    fields: Fields
    audit: Audit
    clock: Clock
    bus: Bus
    entropy: Entropy
    names_of: Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]
    window: Visits
    limits: GlassLimits = GlassLimits()

    async def thing(self, visit: str) -> tuple[VisitRow, Object]:
        """The visit, and as the rules look at it. Raises NotFound."""
        row = await self.visits.get(visit) if is_id(Kind.VISIT, visit) else None
        if row is None:
            raise NotFound
        circle = await self.visits.circle(visit, self.clock.now())
        window = self.window
        return row, visit_object(row, circle, early_minutes=window.early_minutes, late_minutes=window.late_minutes)
