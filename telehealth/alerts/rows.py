"""What stands in the tables of alerts, as the rest of the room knows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from telehealth.alerts.rules import Severity


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One row of `alerts`."""

    id: str
    rule: str
    severity: Severity
    subject: str
    facts: Mapping[str, Any]
    about_sealed: bytes | None
    times: int
    first_entry: int | None
    last_entry: int | None
    raised_at: datetime
    last_at: datetime
    over_at: datetime | None
    told_at: datetime
    entered: int | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    note_sealed: bytes | None


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One row of `alert_deliveries`."""

    id: str
    alert_id: str
    channel: str
    to_sealed: bytes | None
    again: int
    attempts: int
    failure: str | None
    created_at: datetime
    next_at: datetime
    expires_at: datetime
    sent_at: datetime | None
    given_up_at: datetime | None


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One row of `glass_cases`: an act beyond the usual rights that somebody else must look at afterwards."""

    entry: int
    week: str
    action: str
    actor: str
    visit: str | None
    subject: str | None
    at: datetime
    verdict: str | None
    note_sealed: bytes | None
    reviewed_by: str | None
    reviewed_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One row of `reviews`."""

    week: str
    summary: str
    sha256: str
    signed_by: str
    signed_at: datetime
    note_sealed: bytes | None
