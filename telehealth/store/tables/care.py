"""Who besides its clinician cares for a visit: colleagues put on its team, and glasses broken for it."""

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, PrimaryKeyConstraint, String, Table

from telehealth.store.tables.columns import ID, metadata, time

visit_team = Table(
    "visit_team",
    metadata,
    Column("visit_id", ID, ForeignKey("visits.id"), nullable=False),
    Column("user_id", ID, ForeignKey("users.id"), nullable=False),
    Column("added_by", ID, nullable=False),
    time("added_at", required=True),
    PrimaryKeyConstraint("visit_id", "user_id"),
    Index(None, "user_id"),
)

glasses = Table(  # one breaking of the glass: for one person, one visit, a short time
    "glasses",
    metadata,
    Column("id", ID, primary_key=True),
    Column("visit_id", ID, ForeignKey("visits.id"), nullable=False),
    Column("user_id", ID, ForeignKey("users.id"), nullable=False),
    Column("recording_id", ID),  # where it began; the glass is the visit's
    Column("reason", String(32), nullable=False),  # emergency | covering | handover | other
    Column("words_sealed", LargeBinary, nullable=False),  # the stated reason
    time("asked_at", required=True),
    time("opens_at", required=True),  # at once, or when nobody has answered until then
    time("expires_at", required=True),
    Column("decision", String(8)),  # approved | denied, by a second person
    Column("decided_by", ID),
    time("decided_at"),
    time("closed_at"),
    Index(None, "visit_id"),
    Index(None, "user_id"),
)
