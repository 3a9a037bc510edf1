"""Small registers of the clinic: business associates, incidents, findings of security tests."""

from sqlalchemy import JSON, Column, Index, Integer, LargeBinary, String, Table

from telehealth.store.tables.columns import ID, metadata, time

register_items = Table(
    "register_items",
    metadata,
    Column("id", ID, primary_key=True),
    Column("register", String(16), nullable=False),  # associates | incidents | findings
    Column("facts", JSON, nullable=False),  # dates, codes and numbers, in clear
    Column("words_sealed", LargeBinary, nullable=False),  # JSON: what people wrote
    Column("alert_id", ID, unique=True),  # what an incident was opened from: one incident for one alert
    Column("due_on", String(10)),  # YYYY-MM-DD; null: nothing is to be done
    Column("reminded", String(16)),  # the stage last reminded of
    Column("revision", Integer, nullable=False),
    time("created_at", required=True),
    time("changed_at", required=True),
    Column("changed_by", ID, nullable=False),
    Index(None, "register"),
)
