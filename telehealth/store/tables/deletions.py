"""Wishes to destroy before the term, and parts of recordings that are destroyed."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
)

from telehealth.store.tables.columns import ID, metadata, time

deletion_requests = Table(  # one asks, another one approves or refuses; what nobody decides is over at `expires_at`
    "deletion_requests",
    metadata,
    Column("id", ID, primary_key=True),
    Column("recording_id", ID, ForeignKey("recordings.id"), nullable=False),
    Column("participant_id", ID),  # null: the whole recording
    Column("reason", String(32), nullable=False),
    Column("note_sealed", LargeBinary),
    Column("asked_by", ID, nullable=False),
    time("asked_at", required=True),
    time("expires_at", required=True),
    Column("decided_by", ID),
    time("decided_at"),
    Column("approved", Boolean),  # null: not decided
    Index(None, "recording_id"),
)

destroyed_parts = Table(  # one participant's files, destroyed while the rest lives
    "destroyed_parts",
    metadata,
    Column("id", ID, primary_key=True),
    Column("recording_id", ID, ForeignKey("recordings.id"), nullable=False),
    Column("participant_id", ID, nullable=False),
    Column("reason", String(32), nullable=False),
    Column("note_sealed", LargeBinary),
    Column("asked_by", ID, nullable=False),
    time("asked_at", required=True),
    Column("approved_by", ID),
    Column("rule", JSON, nullable=False),  # the retention rule in force when it began
    Column("entry", BigInteger, nullable=False),  # index of the intent in the audit log
    Column("files", JSON, nullable=False),  # ids of the files that go
    Column("destruction", JSON),  # the key store's evidence
    time("destroyed_at"),
    time("effective_after"),
    Column("certificate", LargeBinary),  # canonical JSON, signed
    Column("final_certificate", LargeBinary),  # once a pending one's time has come
    Column("done_entry", BigInteger),  # index of the last entry of the destruction; null until it is durable
    Column("final_entry", BigInteger),  # of the final certificate
    UniqueConstraint("recording_id", "participant_id"),
)
