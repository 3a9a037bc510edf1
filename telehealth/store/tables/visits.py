"""Visits, those who take part, and what was sent to them."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
)

from telehealth.store.tables.columns import ID, UtcTime, metadata, time

visits = Table(
    "visits",
    metadata,
    Column("id", ID, primary_key=True),
    Column("clinician_id", ID, ForeignKey("users.id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("patient_name_sealed", LargeBinary, nullable=False),
    Column("patient_contact_sealed", LargeBinary),
    Column("patient_birth_sealed", LargeBinary),
    Column("patient_record_sealed", LargeBinary),  # their number in the clinic's own records
    Column("patient_lookup", LargeBinary(32), nullable=False),  # keyed hash of who it is: pseudonym
    Column("name_lookup", LargeBinary(32)),  # keyed hash of the name: all who are called so
    Column("contact_lookup", LargeBinary(32)),  # keyed hash of the contact: a lost link is found by it
    Column("confirm", String(16)),  # what the patient confirms: none | initials | birth_year | question; null: the rule
    Column("confirm_question_sealed", LargeBinary),
    Column("confirm_answer_sealed", LargeBinary),
    Column("scheduled_at", UtcTime, nullable=False),
    Column("minutes", Integer, nullable=False),
    Column("assurance", String(16), nullable=False),  # standard | high
    Column("recording_planned", Boolean, nullable=False),
    Column("screen_share_forbidden", Boolean, nullable=False, default=False),
    Column("revision", Integer, nullable=False, default=0),
    time("created_at", required=True),
    time("ended_at"),
    time("trimmed_at"),  # contact, places and secrets are gone; a recording keeps who it is of
    time("purged_at"),  # nothing here says any more who the patient was
    Column("node", ID),  # the life of the server that runs it; null: none does
    Column("purge_entry", BigInteger),  # index of the last purge's entry; null until it is durable
    Index(None, "clinician_id", "scheduled_at"),
    Index(None, "patient_lookup"),
    Index(None, "name_lookup"),
    Index(None, "contact_lookup"),
)

links = Table(
    "links",
    metadata,
    Column("id", ID, primary_key=True),
    Column("visit_id", ID, ForeignKey("visits.id"), nullable=False),
    Column("role", String(16), nullable=False),  # patient | interpreter | relative | colleague
    Column("guest_id", ID, ForeignKey("guests.id")),  # whose it is; null: the patient's
    Column("channel", String(16), nullable=False),  # passcode | sms | email | spoken
    Column("token_hash", LargeBinary(32), nullable=False, unique=True),
    Column("passcode_hash", String(200)),  # argon2id
    Column("tries", Integer, nullable=False, default=0),  # failed ones in the present budget, whatever code they met
    Column("hotp_sealed", LargeBinary),
    Column("hotp_counter", BigInteger, nullable=False, default=0),
    time("code_expires_at"),
    time("code_used_at"),
    time("not_before", required=True),
    time("expires_at", required=True),
    time("created_at", required=True),
    time("revoked_at"),
    Index(None, "visit_id"),
)

participants = Table(
    "participants",
    metadata,
    Column("id", ID, primary_key=True),
    Column("visit_id", ID, ForeignKey("visits.id"), nullable=False),
    Column("link_id", ID, ForeignKey("links.id")),  # patients, guests
    Column("user_id", ID, ForeignKey("users.id")),  # clinicians
    Column("role", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("session_hash", LargeBinary(32)),  # cookie after the code
    Column("public_key", JSON),  # JWK of the browser's ECDSA P-256 key
    Column("location_sealed", LargeBinary),  # where the patient says they are
    Column("callback_sealed", LargeBinary),  # number to call when the line drops
    Column("language", String(8)),  # of the page in which the link was last opened
    Column("sighted", String(8)),  # what the clinician's last look at the face said: same | unsure; null: none yet
    time("arrived_at"),
    time("waiting_since"),
    time("admitted_at"),
    time("left_at"),
    UniqueConstraint("visit_id", "link_id"),
    UniqueConstraint("visit_id", "user_id"),
    Index(None, "session_hash"),
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
    time("at", required=True),
    Index(None, "visit_id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", ID, primary_key=True),
    Column("channel", String(8), nullable=False),  # sms | email
    Column("kind", String(8), nullable=False),  # link | code | alert
    Column("visit_id", ID, ForeignKey("visits.id")),
    Column("link_id", ID, ForeignKey("links.id")),
    Column("to_sealed", LargeBinary, nullable=False),  # empty once sent or given up
    Column("body_sealed", LargeBinary, nullable=False),  # JSON: subject, text, calendar; empty once sent or given up
    Column("attempts", Integer, nullable=False, default=0),
    Column("failure", String(32)),  # code of the last failure
    time("created_at", required=True),
    time("next_at", required=True),
    time("expires_at", required=True),
    time("sent_at"),
    time("given_up_at"),
    Index(None, "next_at"),
)
