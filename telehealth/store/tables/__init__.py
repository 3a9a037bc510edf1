"""The one schema. Columns ending in `_sealed` hold field-encrypted text (AAD: table, column, row id)."""

from telehealth.store.tables.alerts import (
    alert_deliveries,
    alert_known,
    alert_state,
    alerts,
    glass_cases,
    review_tallies,
    reviews,
)
from telehealth.store.tables.care import glasses, visit_team
from telehealth.store.tables.columns import UtcTime, metadata
from telehealth.store.tables.deletions import deletion_requests, destroyed_parts
from telehealth.store.tables.exports import copies, exports
from telehealth.store.tables.guests import guests
from telehealth.store.tables.joining import link_spares, presessions, sightings
from telehealth.store.tables.nodes import nodes, server_logs
from telehealth.store.tables.people import api_tokens, attempts, invitations, passkeys, resets, sessions, users
from telehealth.store.tables.recordings import files, grants, recordings, retention_rules
from telehealth.store.tables.registers import register_items
from telehealth.store.tables.sso import sso_links
from telehealth.store.tables.visits import consents, links, outbox, participants, visits

__all__ = [
    "UtcTime",
    "alert_deliveries",
    "alert_known",
    "alert_state",
    "alerts",
    "api_tokens",
    "attempts",
    "consents",
    "copies",
    "deletion_requests",
    "destroyed_parts",
    "exports",
    "files",
    "glass_cases",
    "glasses",
    "grants",
    "guests",
    "invitations",
    "link_spares",
    "links",
    "metadata",
    "nodes",
    "outbox",
    "participants",
    "passkeys",
    "presessions",
    "recordings",
    "register_items",
    "resets",
    "retention_rules",
    "review_tallies",
    "reviews",
    "server_logs",
    "sessions",
    "sightings",
    "sso_links",
    "users",
    "visit_team",
    "visits",
]
