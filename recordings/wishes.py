"""What somebody wants destroyed, whether it may be, and what certificate and log say of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recordings import retention
from recordings.deletionstore import Decision
from recordings.refusals import Held, TooEarly
from recordings.retention import Rule
from recordings.rows import RecordingRow, RequestRow
from recordings.rules import subject
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Actor, Code, Entry, Outcome
from telehealth.clock import rfc3339
from telehealth.errors import WrongState
from telehealth.keys.fields import FieldCipher


@dataclass(frozen=True, slots=True)
class Wish:
    """Who wants a recording gone and why: `reason` is a code, `note` free text for the file.

    `actor` acts now: who asked, or with a `decision` who approves what `asked_by` wished for. None: they are one.
    """

    actor: Actor
    reason: str
    note: str | None = None
    asked_by: str | None = None
    asked_at: datetime | None = None
    decision: Decision | None = None

    @property
    def asker(self) -> str:
        return self.asked_by or self.actor.id

    @property
    def approver(self) -> str | None:
        return None if self.decision is None else self.decision.by

    def detail(self) -> dict[str, Code]:
        """What the log says of it."""
        found: dict[str, Code] = {"reason": self.reason}
        if self.decision is not None:
            found |= {"request": self.decision.request, "asked_by": self.asker}
        return found


def refuse_now(row: RecordingRow, rule: Rule, now: datetime) -> None:
    """Let a wish pass, or raise Held, TooEarly, WrongState."""
    match retention.may_delete(subject(row), rule, now):
        case retention.HeldBack():
            raise Held
        case retention.TooEarly():
            raise TooEarly
        case retention.Unfinished() | retention.Gone():
            raise WrongState


def note_of(asked: RequestRow, fields: FieldCipher) -> str | None:
    """What was written beside a request, in clear, for those who may read it."""
    sealed = asked.note_sealed
    return fields.open(sealed, table="deletion_requests", column="note", row=asked.id) if sealed else None


def said_of(certificate: bytes, more: Mapping[str, Code]) -> dict[str, Code]:
    """What an entry says of a certificate: the SHA-256 (hex) of its bytes."""
    return {**more, "sha256": hashlib.sha256(certificate).hexdigest()}


def issued_entry(row: RecordingRow, final: bytes) -> Entry:
    """That a final certificate was issued."""
    return Entry(
        action=Action.CERTIFICATE_ISSUE,
        outcome=Outcome.DONE,
        actor=SYSTEM,
        visit=row.visit,
        recording=row.id,
        patient=row.patient_lookup.hex(),
        detail=said_of(final, {"status": "final"}),
    )


def in_force(row: RecordingRow, rule: Rule, now: datetime) -> dict[str, Any]:
    """What the certificate says of the rule, and when the hold was looked at."""
    return {
        "class": row.retention_class,
        "days": rule.days,
        "minimum_days": rule.minimum_days,
        "hold_checked_at": rfc3339(now),
    }
