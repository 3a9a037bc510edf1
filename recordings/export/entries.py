"""How exports stand in the audit log."""

from collections.abc import Mapping
from dataclasses import replace

from recordings.export.ledger import ExportRow
from recordings.rows import RecordingRow
from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Code, Entry, Outcome


def entry_of(action: Action, outcome: Outcome, actor: Actor, recording: RecordingRow, row: ExportRow) -> Entry:
    """Of whose recording, what for, and how it is protected; a plain one says that it leaves protection."""
    return Entry(
        action=action,
        outcome=outcome,
        actor=actor,
        visit=recording.visit,
        recording=recording.id,
        patient=recording.patient_lookup.hex(),
        subject=row.id,
        purpose=row.purpose,
        detail={"format": row.format, "protection": row.protection, "for_patient": row.copy is not None},
    )


def with_detail(entry: Entry, detail: Mapping[str, Code]) -> Entry:
    """The same entry, saying more."""
    return replace(entry, detail={**entry.detail, **detail})
