"""Recordings, their files, who plays them, how long they are kept."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from telehealth.store.tables.columns import ID, metadata, time

recordings = Table(
    "recordings",
    metadata,
    Column("id", ID, primary_key=True),
    Column("visit_id", ID, ForeignKey("visits.id"), nullable=False),
    Column("clinician_id", ID, ForeignKey("users.id"), nullable=False),
    Column("patient_lookup", LargeBinary(32), nullable=False),
    Column("retention_class", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("interrupted", Boolean, nullable=False, default=False),
    Column("stop_reason", String(32)),
    time("started_at", required=True),
    time("stopped_at"),
    time("sealed_at"),
    Column("milliseconds", BigInteger, nullable=False, default=0),
    Column("bytes", BigInteger, nullable=False, default=0),
    Column("held_by", ID),
    Column("hold_reason_sealed", LargeBinary),
    time("held_at"),
    Column("delete_reason", String(32)),
    Column("delete_note_sealed", LargeBinary),
    Column("delete_asked_by", ID),
    time("deleted_at"),
    time("effective_after"),
    Column("certificate", LargeBinary),  # canonical JSON, signed
    Column("final_certificate", LargeBinary),  # once a pending one's time has come
    Column("final_entry", BigInteger),  # of the final certificate in the audit log; null until it is durable
    Column("delete_approved_by", ID),
    time("delete_asked_at"),
    Column("facts", JSON, nullable=False, default=dict),  # parties, purpose, consents, pauses: what a recovery needs
    Column("delete_rule", JSON),  # the retention rule in force when it was asked for
    Column("delete_entry", BigInteger),  # index of the intent in the audit log
    Column("deleted_entry", BigInteger),  # index of the last entry of a deletion; null until it is durable
    Column("destruction", JSON),  # the key store's evidence, kept until the certificate is written
    time("destroyed_at"),
    Column("node", ID),  # the life of the server that captures or seals it; null where nobody does, or there is one
    Index(None, "started_at"),
    Index(None, "visit_id"),
    Index(None, "patient_lookup"),
)

files = Table(
    "files",
    metadata,
    Column("id", ID, primary_key=True),
    Column("recording_id", ID, ForeignKey("recordings.id"), nullable=False),
    Column("participant_id", ID),  # null: the manifest
    Column("kind", String(16), nullable=False),  # capture | track | manifest | export
    Column("part", Integer, nullable=False, default=0),  # counts a participant's capture files
    Column("state", String(16), nullable=False),  # open | ended (capture) | sealed | gone
    Column("day", String(10), nullable=False),
    Column("bucket", ID, nullable=False),
    Column("wrapping_key", String(64), nullable=False),
    Column("wrapped_share", LargeBinary, nullable=False),
    Column("segments", BigInteger, nullable=False, default=0),  # durable ones
    Column("bytes", BigInteger, nullable=False, default=0),  # ciphertext
    Column("plain_bytes", BigInteger, nullable=False, default=0),
    Column("sha256", String(64)),  # of the ciphertext, once sealed
    Column("track", JSON),  # sealed tracks: role, milliseconds, offset_ms, width, height
    Column("place", String(16), nullable=False, default="local", server_default="local"),  # local | uploading | remote
    time("created_at", required=True),
    Index(None, "recording_id"),
    Index(None, "wrapping_key"),
    Index(None, "place"),
)

grants = Table(
    "grants",
    metadata,
    Column("id", ID, primary_key=True),
    Column("recording_id", ID, ForeignKey("recordings.id"), nullable=False),
    Column("user_id", ID, nullable=False),
    Column("purpose", String(32), nullable=False),
    time("created_at", required=True),
    time("expires_at", required=True),
    time("closed_at"),
    Column("bytes", BigInteger, nullable=False, default=0),
    Column("ranges", Integer, nullable=False, default=0),
    Index(None, "recording_id"),
)

retention_rules = Table(
    "retention_rules",
    metadata,
    Column("retention_class", String(32), primary_key=True),
    Column("days", Integer, nullable=False),
    Column("minimum_days", Integer, nullable=False),
    Column("changed_by", ID),
    time("changed_at", required=True),
    Column("before_days", Integer),  # in force before the change; what it shortened holds for a while
    Column("before_minimum_days", Integer),
)
