"""The one schema. Columns ending in `_sealed` hold field-encrypted text (AAD: table, column, row id)."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
)


class UtcTime(TypeDecorator[datetime]):
    """Aware datetimes in UTC on every database; a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time needs its offset")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ID = String(32)


def _time(name: str, *, required: bool = False) -> Column[Any]:
    return Column(name, UtcTime, nullable=not required)


users = Table(
    "users",
    metadata,
    Column("id", ID, primary_key=True),
    Column("role", String(16), nullable=False),  # admin | clinician | auditor | front_desk
    Column("login_lookup", LargeBinary(32), nullable=False, unique=True),  # keyed hash of the sign-in name
    Column("login_sealed", LargeBinary, nullable=False),
    Column("name_sealed", LargeBinary, nullable=False),
    Column("password_hash", String(200)),  # argon2id; null until enrolled
    Column("totp_sealed", LargeBinary),  # null until enrolled
    Column("totp_last_step", BigInteger),  # the last step used; replay is refused
    Column("recovery_hashes", JSON, nullable=False),  # SHA-256 hex of unused recovery codes
    Column("disabled", Boolean, nullable=False, default=False),
    _time("created_at", required=True),
)

invitations = Table(  # set-up links: first admin, new user, reset
    "invitations",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),
    Column("user_id", ID, ForeignKey("users.id")),  # null: whoever opens it becomes the first admin
    Column("purpose", String(16), nullable=False),  # first_admin | enrol | reset
    _time("created_at", required=True),
    _time("expires_at", required=True),
    _time("used_at"),
)

sessions = Table(  # staff; the cookie holds the token, we its hash
    "sessions",
    metadata,
    Column("id", ID, primary_key=True),
    Column("token_hash", LargeBinary(32), nullable=False, unique=True),
    Column("user_id", ID, ForeignKey("users.id"), nullable=False),
    _time("created_at", required=True),
    _time("seen_at", required=True),
    _time("expires_at", required=True),  # absolute
    _time("ended_at"),
    _time("mfa_at", required=True),  # when the person last proved two factors here
    Column("factor", String(16), nullable=False),  # totp | recovery_code | passkey | demo
    Column("passkey_id", ID),  # what the session was begun with
    Column("device_sealed", LargeBinary),  # the browser's own description
    Column("public_key", JSON(none_as_null=True)),  # JWK of the browser's ECDSA P-256 key; null: none was given
    Index(None, "user_id"),
)

passkeys = Table(  # WebAuthn credentials of staff
    "passkeys",
    metadata,
    Column("id", ID, primary_key=True),
    Column("user_id", ID, ForeignKey("users.id"), nullable=False),
    Column("credential_id", LargeBinary(1023), nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),  # COSE
    Column("sign_count", BigInteger, nullable=False),
    Column("transports", JSON, nullable=False),
    Column("backed_up", Boolean, nullable=False),  # kept by a password manager, not by one device alone
    Column("label", String(80), nullable=False),
    _time("created_at", required=True),
    _time("used_at"),
    _time("suspended_at"),  # lost, or its counter went back
    Index(None, "user_id"),
)

resets = Table(  # an admin's factors are made void by two other admins: one asks, one approves
    "resets",
    metadata,
    Column("id", ID, primary_key=True),
    Column("user_id", ID, ForeignKey("users.id"), nullable=False),
    Column("asked_by", ID, nullable=False),
    _time("asked_at", required=True),
    _time("expires_at", required=True),
    Column("decided_by", ID),
    _time("decided_at"),
    Index(None, "user_id"),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", ID, primary_key=True),
    Column("token_hash", LargeBinary(32), nullable=False, unique=True),
    Column("user_id", ID, ForeignKey("users.id"), nullable=False),
    Column("label", String(80), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("networks", JSON, nullable=False),  # in CIDR notation; empty: from anywhere
    Column("successor", ID),  # the token that replaces it
    _time("created_at", required=True),
    _time("expires_at", required=True),
    _time("used_at"),
    _time("revoked_at"),
)

visits = Table(
    "visits",
    metadata,
    Column("id", ID, primary_key=True),
    Column("clinician_id", ID, ForeignKey("users.id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("patient_name_sealed", LargeBinary, nullable=False),
    Column("patient_contact_sealed", LargeBinary),
    Column("patient_birth_sealed", LargeBinary),
    Column("patient_lookup", LargeBinary(32), nullable=False),  # keyed hash of the name: find and pseudonym
    Column("scheduled_at", UtcTime, nullable=False),
    Column("minutes", Integer, nullable=False),
    Column("assurance", String(16), nullable=False),  # standard | high
    Column("recording_planned", Boolean, nullable=False),
    Column("screen_share_forbidden", Boolean, nullable=False, default=False),
    Column("revision", Integer, nullable=False, default=0),
    _time("created_at", required=True),
    _time("ended_at"),
    Index(None, "clinician_id", "scheduled_at"),
    Index(None, "patient_lookup"),
)

links = Table(
    "links",
    metadata,
    Column("id", ID, primary_key=True),
    Column("visit_id", ID, ForeignKey("visits.id"), nullable=False),
    Column("role", String(16), nullable=False),  # patient
    Column("channel", String(16), nullable=False),  # passcode | sms | email | spoken
    Column("token_hash", LargeBinary(32), nullable=False, unique=True),
    Column("passcode_hash", String(200)),  # argon2id
    Column("tries", Integer, nullable=False, default=0),  # failed ones in the present budget, whatever code they met
    Column("hotp_sealed", LargeBinary),
    Column("hotp_counter", BigInteger, nullable=False, default=0),
    _time("code_expires_at"),
    _time("code_used_at"),
    _time("not_before", required=True),
    _time("expires_at", required=True),
    _time("created_at", required=True),
    _time("revoked_at"),
    Index(None, "visit_id"),
)

participants = Table(
    "participants",
    metadata,
    Column("id", ID, primary_key=True),
    Column("visit_id", ID, ForeignKey("visits.id"), nullable=False),
    Column("link_id", ID, ForeignKey("links.id")),  # patients
    Column("user_id", ID, ForeignKey("users.id")),  # clinicians
    Column("role", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("presession_hash", LargeBinary(32)),  # cookie after the link, before the code
    Column("session_hash", LargeBinary(32)),  # cookie after the code
    Column("public_key", JSON),  # JWK of the browser's ECDSA P-256 key
    Column("location_sealed", LargeBinary),  # where the patient says they are
    Column("callback_sealed", LargeBinary),  # number to call when the line drops
    _time("arrived_at"),
    _time("waiting_since"),
    _time("admitted_at"),
    _time("left_at"),
    UniqueConstraint("visit_id", "link_id"),
    UniqueConstraint("visit_id", "user_id"),
    Index(None, "session_hash"),
    Index(None, "presession_hash"),
)

consents = Table(  # one row per answer or withdrawal
    "consents",
    metadata,
    Column("id", ID, primary_key=True),
    Column("visit_id", ID, ForeignKey("visits.id"), nullable=False),
    Column("request_id", ID, nullable=False),
    Column("participant_id", ID, ForeignKey("participants.id"), nullable=False),
    Column("answer", String(16), nullable=False),  # yes | no | withdrawn
    Column("text_version", String(16), nullable=False),
    Column("text_sha256", String(64), nullable=False),
    Column("language", String(8), nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("receipt", JSON),
    Column("signature", LargeBinary),
    _time("at", required=True),
    Index(None, "visit_id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", ID, primary_key=True),
    Column("channel", String(8), nullable=False),  # sms | email
    Column("kind", String(8), nullable=False),  # link | code
    Column("visit_id", ID, ForeignKey("visits.id")),
    Column("link_id", ID, ForeignKey("links.id")),
    Column("to_sealed", LargeBinary, nullable=False),  # empty once sent or given up
    Column("body_sealed", LargeBinary, nullable=False),  # JSON: subject, text, calendar; empty once sent or given up
    Column("attempts", Integer, nullable=False, default=0),
    Column("failure", String(32)),  # code of the last failure
    _time("created_at", required=True),
    _time("next_at", required=True),
    _time("expires_at", required=True),
    _time("sent_at"),
    _time("given_up_at"),
    Index(None, "next_at"),
)

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
    _time("started_at", required=True),
    _time("stopped_at"),
    _time("sealed_at"),
    Column("milliseconds", BigInteger, nullable=False, default=0),
    Column("bytes", BigInteger, nullable=False, default=0),
    Column("held_by", ID),
    Column("hold_reason_sealed", LargeBinary),
    _time("held_at"),
    Column("delete_reason", String(32)),
    Column("delete_note_sealed", LargeBinary),
    Column("delete_asked_by", ID),
    _time("deleted_at"),
    _time("effective_after"),
    Column("certificate", LargeBinary),  # canonical JSON, signed
    Column("facts", JSON, nullable=False, default=dict),  # parties, purpose, consents, pauses: what a recovery needs
    Column("delete_rule", JSON),  # the retention rule in force when it was asked for
    Column("delete_entry", BigInteger),  # index of the intent in the audit log
    Column("deleted_entry", BigInteger),  # index of the last entry of a deletion; null until it is durable
    Column("destruction", JSON),  # the key store's evidence, kept until the certificate is written
    _time("destroyed_at"),
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
    Column("kind", String(16), nullable=False),  # capture | track | manifest
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
    _time("created_at", required=True),
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
    _time("created_at", required=True),
    _time("expires_at", required=True),
    _time("closed_at"),
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
    _time("changed_at", required=True),
)

# One row per subject that is counted (account, address, visit and day): budgets that survive a restart.
attempts = Table(
    "attempts",
    metadata,
    Column("subject", LargeBinary(32), primary_key=True),  # keyed hash
    Column("failures", Integer, nullable=False),
    _time("until"),
    _time("changed_at", required=True),
)
