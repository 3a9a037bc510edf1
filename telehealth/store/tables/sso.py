"""Whom the identity provider's people are here."""

from sqlalchemy import Column, ForeignKey, LargeBinary, Table

from telehealth.store.tables.columns import ID, metadata, time

sso_links = Table(
    "sso_links",
    metadata,
    Column("lookup", LargeBinary(32), primary_key=True),  # keyed hash of issuer and subject, told apart by every octet
    Column("user_id", ID, ForeignKey("users.id"), nullable=False, unique=True),
    time("created_at", required=True),
    time("used_at"),
)
