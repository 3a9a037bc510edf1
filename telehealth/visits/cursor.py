"""The place in a list of visits where the next page begins, as an opaque text."""

import base64
import binascii
from datetime import datetime

from telehealth.errors import Malformed
from telehealth.ids import Kind, is_id
from telehealth.visits.rows import VisitRow


def cursor(row: VisitRow) -> str:
    """The place after this row."""
    return base64.urlsafe_b64encode(f"{row.scheduled_at.isoformat()} {row.id}".encode()).decode()


def place(text: str | None) -> tuple[datetime, str] | None:
    """Read what `cursor` wrote; None is the beginning. Raises Malformed."""
    if text is None:
        return None
    try:
        at, _, last = base64.urlsafe_b64decode(text).decode().partition(" ")
        moment = datetime.fromisoformat(at)
    except (binascii.Error, ValueError) as error:
        raise Malformed("after") from error
    if moment.tzinfo is None or not is_id(Kind.VISIT, last):
        raise Malformed("after")
    return moment, last
