"""The one schema. Columns ending in `_sealed` hold field-encrypted text (AAD: table, column, row id)."""

from telehealth.store.tables.columns import UtcTime, metadata
from telehealth.store.tables.people import api_tokens, attempts, invitations, passkeys, resets, sessions, users
from telehealth.store.tables.recordings import files, grants, recordings, retention_rules
from telehealth.store.tables.visits import consents, links, outbox, participants, visits

__all__ = [
    "UtcTime",
    "api_tokens",
    "attempts",
    "consents",
    "files",
    "grants",
    "invitations",
    "links",
    "metadata",
    "outbox",
    "participants",
    "passkeys",
    "recordings",
    "resets",
    "retention_rules",
    "sessions",
    "users",
    "visits",
]
