"""How long recordings are kept: one rule for each retention class, changed by admins and entered in the log."""

from collections.abc import Callable, Sequence

from recordings.catalogue import Catalogue
from recordings.retention import Rule, Subject
from recordings.rows import RecordingRow, RetentionRule
from recordings.states import State
from telehealth.access import Action as Act
from telehealth.access import Caller, require
from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.errors import Malformed

DEFAULT_CLASS = "visit"


class Rules:
    """The rules in force. `default` holds for classes without a rule of their own."""

    def __init__(self, catalogue: Catalogue, log: AuditLog, clock: Clock, default: Rule) -> None:
        self._catalogue = catalogue
        self._log = log
        self._clock = clock
        self._default = default

    async def all(self) -> list[RetentionRule]:
        """Every rule; that of the class `visit` is always among them."""
        rules = await self._catalogue.rules()
        if all(rule.retention_class != DEFAULT_CLASS for rule in rules):
            rules.append(RetentionRule(DEFAULT_CLASS, self._default.days, self._default.minimum_days))
        return rules

    async def of(self, row: RecordingRow) -> Rule:
        """The rule a recording stands under now."""
        return (await self.in_force())(row)

    async def in_force(self) -> Callable[[RecordingRow], Rule]:
        """The rules of this moment, for looking at many recordings."""
        rules = {rule.retention_class: Rule(rule.days, rule.minimum_days) for rule in await self._catalogue.rules()}
        return lambda row: rules.get(row.retention_class, self._default)

    async def change(self, caller: Caller, rules: Sequence[RetentionRule]) -> list[RetentionRule]:
        """Put these rules in force, entered first. Raises Forbidden, Malformed (a term below its minimum)."""
        require(caller, Act.RETENTION_WRITE)
        for rule in rules:
            if not (rule.retention_class and rule.days >= 1 and 0 <= rule.minimum_days <= rule.days):
                raise Malformed("rules")
        for rule in rules:
            await self._log.enter(_entry(caller.actor(), Outcome.INTENT, rule))
        await self._catalogue.set_rules(rules, caller.id, self._clock.now())
        for rule in rules:
            await self._log.enter_closing(_entry(caller.actor(), Outcome.DONE, rule))
        return await self.all()


def _entry(actor: Actor, outcome: Outcome, rule: RetentionRule) -> Entry:
    detail = {"days": rule.days, "minimum_days": rule.minimum_days}
    return Entry(Action.RETENTION_CHANGE, outcome, actor, subject=rule.retention_class, detail=detail)


def subject(row: RecordingRow) -> Subject:
    """A recording as the retention verdicts look at it."""
    return Subject(State(row.state), row.held_at is not None, row.started_at, row.stopped_at)
