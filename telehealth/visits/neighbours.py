"""What every part of a running visit works with: the rooms next door, the settings, and telling people."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from zoneinfo import ZoneInfo

from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Code, Entry, Outcome
from telehealth.clock import Clock
from telehealth.draining import Draining
from telehealth.log import get_logger
from telehealth.visits.chores import Chores
from telehealth.visits.ports import (
    Alone,
    Audit,
    LegRoom,
    People,
    Publish,
    RecordingRoom,
    RetentionDays,
    Tenure,
    TouchLive,
)
from telehealth.visits.roster import LiveVisit, Person
from telehealth.visits.store import VisitStore
from telehealth.visits.today import Today
from telehealth.visits.view import view

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """Seconds and minutes as `telehealth.config` has them; `start_seconds`: until every leg's first frame is stored.

    `turn_seconds`: for a change of the way media takes; `leg_seconds`: until a lost leg is back.
    `direct_allowed`: whether media may go from browser to browser.
    """

    resume_seconds: float = 60.0
    starter_lost_seconds: float = 60.0
    start_seconds: float = 30.0
    tidy_seconds: float = 60.0
    turn_seconds: float = 8.0
    leg_seconds: float = 5.0
    direct_allowed: bool = True
    early_minutes: int = 15
    late_minutes: int = 60
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The rooms a running visit needs."""

    store: VisitStore
    audit: Audit
    people: People
    publish: Publish
    legs: LegRoom
    recorder: RecordingRoom
    retention_days: RetentionDays
    touch_live: TouchLive
    clock: Clock
    draining: Draining = field(default_factory=Draining)
    tenure: Tenure = field(default_factory=Alone)


class Desk:
    """Tells and writes down for all parts of the running visits."""

    def __init__(self, rooms: Neighbours, settings: Settings, chores: Chores, today: Today) -> None:
        self.rooms: Final = rooms
        self.settings: Final = settings
        self.chores: Final = chores
        self.today: Final = today

    def tell(self, visit: LiveVisit) -> None:
        """Everybody who is there gets the new view, and the clinician's list is brought up to date."""
        visit.revision += 1
        for person in visit.here():
            if person.online:
                self.rooms.publish.to_participant(person.id, "view", self.view_of(visit, person))
        self.today.touch(visit.row.clinician)

    def view_of(self, visit: LiveVisit, person: Person) -> Mapping[str, Any]:
        """What this person may see now."""
        return view(visit, person, self.rooms.clock.now(), never_direct=not self.settings.direct_allowed)

    def send(self, participant: str, event: str, payload: Mapping[str, Any]) -> None:
        self.rooms.publish.to_participant(participant, event, payload)

    async def enter(self, entry: Entry) -> None:
        """Durable before what it opens. Raises LogUnavailable."""
        await self.rooms.audit.enter(entry)

    async def enter_closing(self, entry: Entry) -> None:
        """What has happened already; kept in the spool while the log is down."""
        await self.rooms.audit.enter_closing(entry)

    async def enter_break_glass(self, entry: Entry, words: str | None) -> None:
        """Care goes on without the log: spooled and alarmed; `words`: the stated reason, sealed."""
        entry = replace(entry, purpose="log_unavailable", private={"reason": words} if words else {})
        log.critical("alarm.break_glass", code="log_unavailable", visit=entry.visit, action=entry.action.value)
        await self.rooms.audit.enter_closing(replace(entry, detail={**entry.detail, "log_down": True}))


def visit_entry(
    action: Action,
    actor: Actor,
    visit: LiveVisit,
    *,
    subject: str | None = None,
    recording: str | None = None,
    purpose: str | None = None,
    outcome: Outcome = Outcome.DONE,
    detail: Mapping[str, Code] | None = None,
) -> Entry:
    """An entry about a visit; its patient stands under a pseudonym."""
    return Entry(
        action,
        outcome,
        actor,
        visit=visit.id,
        recording=recording,
        patient=visit.row.patient_lookup.hex(),
        subject=subject,
        purpose=purpose,
        detail=detail or {},
    )
