"""The regular round: what is due goes, what began is finished."""

from dataclasses import asdict, dataclass
from datetime import datetime

from recordings import retention
from recordings.catalogue import Catalogue
from recordings.deletion import MOST_AT_ONCE, Deletion
from recordings.holds import Holds
from recordings.maturing import Maturing
from recordings.parts import Parts
from recordings.retention import Rule
from recordings.rows import RecordingRow
from recordings.rules import Rules, subject
from recordings.states import State
from recordings.wishes import Wish
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Code, Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.errors import Refusal
from telehealth.log import get_logger

_log = get_logger(__name__)
_LIVING = tuple(state for state in State if state not in (State.DELETING, State.DELETED))


@dataclass(slots=True)
class Report:
    """What one sweep did. `deleted` recordings, `held_back` by a hold, `left` for the next round after a refusal.

    `final`: pending certificates whose time had come.
    """

    deleted: int = 0
    final: int = 0
    held_back: int = 0
    left: int = 0


class Sweeper:
    """One sweep at a time; its owner calls it."""

    def __init__(
        self,
        catalogue: Catalogue,
        deletion: Deletion,
        holds: Holds,
        parts: Parts,
        maturing: Maturing,
        rules: Rules,
        log: AuditLog,
    ) -> None:
        self._catalogue = catalogue
        self._deletion = deletion
        self._holds = holds
        self._parts = parts
        self._maturing = maturing
        self._rules = rules
        self._log = log

    async def sweep(self, now: datetime) -> Report:
        """Destroy what is due at `now`, in every state; held ones stay. Raises what the database refuses with."""
        report = Report()
        await self._holds.follow_all()
        await self._parts.finish()
        report.deleted += await self._deletion.finish()
        report.final = await self._maturing.mature()
        rule_of = await self._rules.in_force()
        begun: list[str] = []
        after = ""
        while page := await self._catalogue.in_states(_LIVING, after):
            after = page[-1].id
            for row in page:
                if await self._begun(row, rule_of(row), now, report):
                    begun.append(row.id)
                if len(begun) == MOST_AT_ONCE:
                    report.deleted += await self._deletion.finish()
                    begun.clear()
        if begun:
            report.deleted += await self._deletion.finish()
        await self._enter(report)
        return report

    async def _begun(self, row: RecordingRow, rule: Rule, now: datetime, report: Report) -> bool:
        match retention.verdict(subject(row), rule, now):
            case retention.Due():
                pass
            case retention.HeldBack():
                report.held_back += 1
                return False
            case _:
                return False
        try:
            await self._deletion.begin(row, Wish(SYSTEM, "retention"))
        except Refusal as refusal:
            report.left += 1
            _log.warning("sweep.left", recording=row.id, code=refusal.code)
            return False
        return True

    async def _enter(self, report: Report) -> None:
        counts: dict[str, Code] = asdict(report)
        if any(counts.values()):
            outcome = Outcome.FAILED if report.left else Outcome.DONE
            await self._log.enter_closing(Entry(Action.RETENTION_SWEEP, outcome, SYSTEM, detail=counts))
