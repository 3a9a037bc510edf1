"""Alerts, where they were sent, what is known of everybody's habits, weekly reviews."""

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from telehealth.store.tables.columns import ID, metadata, time

alerts = Table(
    "alerts",
    metadata,
    Column("id", ID, primary_key=True),
    Column("rule", String(48), nullable=False),
    Column("severity", String(8), nullable=False),  # notice | warning | critical
    Column("subject", String(128), nullable=False),  # an id or a keyed hash; "*": too many to tell apart
    Column("facts", JSON, nullable=False),  # codes and numbers, in clear
    Column("about_sealed", LargeBinary),  # JSON: address, device
    Column("times", Integer, nullable=False),  # how often the rule fired
    Column("first_entry", BigInteger),  # index in the audit log; null: a gauge
    Column("last_entry", BigInteger),
    time("raised_at", required=True),
    time("last_at", required=True),
    time("over_at"),  # a gauge that is well again
    time("told_at", required=True),  # when it was last sent out
    Column("entered", BigInteger),  # index of its own entry; null until that is durable
    time("acknowledged_at"),
    Column("acknowledged_by", ID),
    Column("note_sealed", LargeBinary),
    Index(None, "rule", "subject"),
    Index(None, "raised_at"),
    Index(None, "acknowledged_at"),
)

alert_deliveries = Table(
    "alert_deliveries",
    metadata,
    Column("id", ID, primary_key=True),
    Column("alert_id", ID, ForeignKey("alerts.id"), nullable=False),
    Column("channel", String(8), nullable=False),  # email | webhook | syslog
    Column("to_sealed", LargeBinary),  # of an e-mail
    Column("again", Integer, nullable=False),  # 0: the first telling; else the how-manieth reminder
    Column("attempts", Integer, nullable=False, default=0),
    Column("failure", String(32)),
    time("created_at", required=True),
    time("next_at", required=True),
    time("expires_at", required=True),
    time("sent_at"),
    time("given_up_at"),
    Index(None, "next_at"),
    Index(None, "alert_id"),
)

alert_known = Table(
    "alert_known",
    metadata,
    Column("rule", String(48), primary_key=True),
    Column("subject", String(128), primary_key=True),
    Column("value", String(40), primary_key=True),  # a keyed hash, or an hour
    Column("times", Integer, nullable=False),
    time("first_at", required=True),
    time("last_at", required=True),
)

alert_state = Table(
    "alert_state",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

review_tallies = Table(
    "review_tallies",
    metadata,
    Column("week", String(8), primary_key=True),  # ISO 8601, as in 2026-W47
    Column("name", String(48), primary_key=True),
    Column("times", Integer, nullable=False),
)

glass_cases = Table(
    "glass_cases",
    metadata,
    Column("entry", BigInteger, primary_key=True, autoincrement=False),  # index in the audit log
    Column("week", String(8), nullable=False),
    Column("action", String(40), nullable=False),
    Column("actor", String(128), nullable=False),
    Column("visit", ID),
    Column("subject", String(128)),
    time("at", required=True),
    Column("verdict", String(16)),  # justified | unjustified | unclear
    Column("note_sealed", LargeBinary),
    Column("reviewed_by", ID),
    time("reviewed_at"),
    Index(None, "week"),
    Index(None, "reviewed_at"),
)

reviews = Table(
    "reviews",
    metadata,
    Column("week", String(8), primary_key=True),
    Column("summary", Text, nullable=False),  # canonical JSON, what the hash is of
    Column("sha256", String(64), nullable=False),
    Column("signed_by", ID, nullable=False),
    time("signed_at", required=True),
    Column("note_sealed", LargeBinary),
)
