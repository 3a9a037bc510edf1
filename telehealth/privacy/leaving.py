"""De-identified visits and statistics leave: entered first, with who asks and what for."""

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from telehealth.access import Action as May
from telehealth.access import Caller, require
from telehealth.audit.actions import Action
from telehealth.audit.entry import Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.errors import Reason, Refusal
from telehealth.ids import Entropy
from telehealth.keys.fields import FieldCipher
from telehealth.privacy.safe_harbor import Raw, Row, row
from telehealth.privacy.settings import Privacy, Purpose, What
from telehealth.privacy.statistics import Year, years
from telehealth.store import privacy as rows
from telehealth.store.engine import Store

STANDARD = "45 CFR 164.514(b)(2)"
MOST = 100_000
PAGE = 1000


class TooManyVisits(Refusal):
    """More than one export holds in memory."""

    code = "too_many_visits"
    reason = Reason.TOO_LARGE
    message = "There are more visits than one export holds."


@dataclass(frozen=True, slots=True)
class Leaving:
    """What leaves. One of the two is there: rows would tell the small counts that statistics leave out."""

    what: What
    standard: str
    geography: str
    visits: Sequence[Row] | None
    years: Sequence[Year] | None


class Leavings:
    """Makes de-identified exports."""

    def __init__(
        self,
        *,
        store: Store,
        audit: AuditLog,
        fields: FieldCipher,
        settings: Privacy,
        zone: ZoneInfo,
        entropy: Entropy,
    ) -> None:
        self._store = store
        self._audit = audit
        self._fields = fields
        self._settings = settings
        self._zone = zone
        self._entropy = entropy

    async def make(self, caller: Caller, what: What, purpose: Purpose) -> Leaving:
        """Raises Forbidden, LogUnavailable, TooManyVisits, FieldUnreadable."""
        require(caller, May.PRIVACY_EXPORT)
        detail = {"what": what, "standard": "safe_harbor"}
        entry = Entry(Action.PRIVACY_EXPORT, Outcome.INTENT, caller.actor(), purpose=purpose, detail=detail)
        async with self._audit.act(entry) as act:
            found = await self._rows()
            act.detail["visits"] = len(found)
        if what == "visits":
            return Leaving(what, STANDARD, "none", found, None)
        counted = await asyncio.to_thread(years, found, self._settings.smallest_cell)
        return Leaving(what, STANDARD, "none", None, counted)

    async def _rows(self) -> list[Row]:
        """All visits, in an order that says nothing about when they were."""
        found: list[Row] = []
        after = ""
        async with self._store.read() as c:
            while page := await rows.plain(c, after, PAGE):
                said = await rows.answers(c, [one.id for one in page])
                found += await asyncio.to_thread(lambda: [self._row(one, said.get(one.id, {})) for one in page])  # noqa: B023  # awaited before the next round
                after = page[-1].id
                if len(found) > MOST:
                    raise TooManyVisits
        return sorted(found, key=lambda one: one.id)

    def _row(self, one: rows.PlainVisit, said: dict[str, int]) -> Row:
        column = "patient_birth_sealed"
        born = None if one.birth is None else self._fields.open(one.birth, table="visits", column=column, row=one.id)
        raw = Raw(
            one.state,
            one.scheduled_at,
            one.minutes,
            one.assurance,
            born,
            one.participants,
            one.recordings,
            one.recorded_ms,
            said,
        )
        return row(raw, base64.b32encode(self._entropy(17)).decode("ascii")[:26].lower(), self._zone)
