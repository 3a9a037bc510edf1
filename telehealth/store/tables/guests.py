"""Guests of a visit: interpreter, relative, colleague. Each has links of their own."""

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, String, Table

from telehealth.store.tables.columns import ID, metadata, time

guests = Table(
    "guests",
    metadata,
    Column("id", ID, primary_key=True),
    Column("visit_id", ID, ForeignKey("visits.id"), nullable=False),
    Column("role", String(16), nullable=False),  # interpreter | relative | colleague
    Column("name_sealed", LargeBinary, nullable=False),  # as whoever invited them wrote it
    Column("contact_sealed", LargeBinary),  # e-mail address or phone
    Column("language", String(8)),  # what an interpreter speaks, a relative understands
    Column("invited_by", ID, nullable=False),
    time("created_at", required=True),
    time("removed_at"),  # the invitation was taken back
    Index(None, "visit_id"),
)
