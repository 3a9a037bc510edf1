"""How a link stands: its window, its budget, its code, its visit. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from telehealth.sections import Visits
from telehealth.store.links import Found, LinkRow, VisitFacts
from telehealth.visits.states import OVER, ParticipantState, VisitState

LinkState = Literal["early", "live", "expired", "revoked"]
CHANNELS = ("passcode", "sms", "email", "spoken")
SENT = frozenset({"sms", "email"})  # minted codes that go out through the outbox


@dataclass(frozen=True, slots=True)
class Window:
    """When a link works: from `opens` to before `closes`."""

    opens: datetime
    closes: datetime


def window_of(scheduled_at: datetime, minutes: int, visits: Visits) -> Window:
    """The window the clinic's rules give a visit of so many minutes."""
    return Window(
        scheduled_at - timedelta(minutes=visits.early_minutes),
        scheduled_at + timedelta(minutes=minutes + visits.late_minutes),
    )


def state_of(link: LinkRow, now: datetime) -> LinkState:
    """One word for the link's present state."""
    if link.revoked_at is not None:
        return "revoked"
    if now >= link.expires_at:
        return "expired"
    return "early" if now < link.not_before else "live"


def opens(found: Found, now: datetime, tries: int) -> bool:
    """Whether the link may be opened: not revoked, not expired, tries left."""
    return state_of(found.link, now) in ("early", "live") and found.link.tries < tries


def over(found: Found) -> bool:
    """Whether the visit is over for whoever holds the link: ended for all, or they were removed."""
    removed = found.patient is not None and found.patient.state == ParticipantState.REMOVED
    return found.visit.state in OVER or removed


def within(found: Found, now: datetime) -> bool:
    """Whether a session that came in by the link is still good: not revoked, in its window, of the assurance asked for.

    A call that runs longer than its window is not cut off by it.
    """
    lasts = now < found.link.expires_at or found.visit.state == VisitState.IN_CALL
    return found.link.revoked_at is None and lasts and channel_allowed(found.visit, found.link.channel)


def has_code(link: LinkRow, now: datetime, life: timedelta) -> bool:
    """Whether a minted code is waiting to be typed; a clock that went back makes none live longer."""
    over = link.code_expires_at
    return over is not None and now < over <= now + life and link.code_used_at is None


def channel_allowed(visit: VisitFacts, channel: str) -> bool:
    """E-mail is no second way to somebody: never for high assurance (NIST SP 800-63B)."""
    return channel in CHANNELS and not (channel == "email" and visit.assurance == "high")
