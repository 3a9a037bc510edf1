"""The patient's way in, beside their link: browsers that opened it, its further tokens, looks at a face."""

from sqlalchemy import JSON, Column, ForeignKey, Index, LargeBinary, String, Table

from telehealth.store.tables.columns import ID, metadata, time

presessions = Table(  # a browser that opened the link and has not passed its code: worth nothing else
    "presessions",
    metadata,
    Column("cookie_hash", LargeBinary(32), primary_key=True),
    Column("participant_id", ID, ForeignKey("participants.id", ondelete="CASCADE"), nullable=False),
    Column("token_hash", LargeBinary(32), nullable=False),  # of the link's tokens, the one it came by
    time("created_at", required=True),
    Index(None, "participant_id"),
)

link_spares = Table(  # sent for a lost link; whichever of a link's tokens passes the code first stays
    "link_spares",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),
    Column("link_id", ID, ForeignKey("links.id", ondelete="CASCADE"), nullable=False),
    time("created_at", required=True),
    Index(None, "link_id"),
)

sightings = Table(  # a clinician held the face in the picture to what they had; no number of any document
    "sightings",
    metadata,
    Column("id", ID, primary_key=True),
    Column("visit_id", ID, ForeignKey("visits.id"), nullable=False),
    Column("participant_id", ID, ForeignKey("participants.id"), nullable=False),
    Column("by", ID, nullable=False),
    Column("compared", JSON, nullable=False),  # codes: photo_document, birth_date …
    Column("document", String(24)),  # its kind alone
    Column("outcome", String(8), nullable=False),  # same | unsure
    time("at", required=True),
    Index(None, "visit_id"),
)
