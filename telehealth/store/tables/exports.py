"""Exports of recordings, and the copies that patients ask for."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from telehealth.store.tables.columns import ID, metadata, time

exports = Table(
    "exports",
    metadata,
    Column("id", ID, primary_key=True),
    Column("recording_id", ID, ForeignKey("recordings.id"), nullable=False),
    Column("asked_by", ID, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("reason_sealed", LargeBinary),  # free text; why it leaves unencrypted
    Column("format", String(8), nullable=False),  # webm | mp4
    Column("protection", String(16), nullable=False),  # recipient | passphrase | plain
    Column("recipient", String(128)),  # age1…, no secret
    Column("language", String(8), nullable=False),
    Column("copy_id", ID),  # the patient's request that it serves
    Column("state", String(16), nullable=False),
    Column("failure", String(32)),  # code
    Column("file_id", ID),
    Column("aside_id", ID),  # laid aside while it is made; gone afterwards
    Column("bytes", BigInteger, nullable=False, default=0),  # of what is downloaded
    Column("milliseconds", BigInteger, nullable=False, default=0),
    Column("downloads", Integer, nullable=False, default=0),
    time("created_at", required=True),
    time("ended_at"),
    time("expires_at"),
    Index(None, "recording_id"),
    Index(None, "state"),
)

copies = Table(
    "copies",
    metadata,
    Column("id", ID, primary_key=True),
    Column("visit_id", ID, ForeignKey("visits.id"), nullable=False),
    Column("recording_id", ID, ForeignKey("recordings.id"), nullable=False),
    Column("patient_lookup", LargeBinary(32), nullable=False),
    Column("asked_by", ID, nullable=False),
    Column("asked_role", String(16), nullable=False),  # patient | front_desk | clinician | admin
    Column("language", String(8), nullable=False),
    Column("state", String(16), nullable=False),
    Column("decided_by", ID),
    Column("decline_reason", String(32)),  # code
    Column("channel", String(8)),  # sms | email | told: read out by the clinic
    Column("export_id", ID),
    Column("token_hash", LargeBinary(32), unique=True),
    Column("code_sealed", LargeBinary),  # the present one-time code
    Column("tries", Integer, nullable=False, default=0),  # failed ones, whatever code they met
    Column("codes", Integer, nullable=False, default=0),  # minted
    Column("session_hash", LargeBinary(32)),  # the page's, after the code
    time("code_expires_at"),
    time("created_at", required=True),
    time("decided_at"),
    time("expires_at"),  # of the link
    time("fetched_at"),
    Index(None, "recording_id"),
    Index(None, "state"),
)
