"""How long recordings are kept: one rule for each retention class, changed by admins and entered in the log."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

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
SHORTER_AFTER = timedelta(days=7)  # nobody makes recordings due, or asks them away, by one change of a rule


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
        now = self._clock.now()
        rules = {rule.retention_class: in_force(rule, now) for rule in await self._catalogue.rules()}
        return lambda row: rules.get(row.retention_class, self._default)

    async def change(self, caller: Caller, rules: Sequence[RetentionRule]) -> list[RetentionRule]:
        """Put these rules in force, entered first; what they shorten holds for a week more.

        Raises Forbidden, Malformed (a term below its minimum).
        """
        require(caller, Act.RETENTION_WRITE)
        for rule in rules:
            if not (rule.retention_class and rule.days >= 1 and 0 <= rule.minimum_days <= rule.days):
                raise Malformed("rules")
        for rule in rules:
            await self._log.enter(_entry(caller.actor(), Outcome.INTENT, rule))
        now = self._clock.now()
        before = {rule.retention_class: in_force(rule, now) for rule in await self._catalogue.rules()}
        known = [(rule, before.get(rule.retention_class, self._default)) for rule in rules]
        kept = [replace(rule, before_days=old.days, before_minimum_days=old.minimum_days) for rule, old in known]
        await self._catalogue.set_rules(kept, caller.id, now)
        for rule in rules:
            await self._log.enter_closing(_entry(caller.actor(), Outcome.DONE, rule))
        return await self.all()


def in_force(rule: RetentionRule, now: datetime) -> Rule:
    """The rule as it counts now: for a while after a change, the longer of old and new. Pure."""
    is_fresh = rule.changed_at is not None and now < rule.changed_at + SHORTER_AFTER
    if not is_fresh or rule.before_days is None or rule.before_minimum_days is None:
        return Rule(rule.days, rule.minimum_days)
    return Rule(max(rule.days, rule.before_days), max(rule.minimum_days, rule.before_minimum_days))


def _entry(actor: Actor, outcome: Outcome, rule: RetentionRule) -> Entry:
    detail = {"days": rule.days, "minimum_days": rule.minimum_days}
    return Entry(Action.RETENTION_CHANGE, outcome, actor, subject=rule.retention_class, detail=detail)


def subject(row: RecordingRow) -> Subject:
    """A recording as the retention verdicts look at it."""
    return Subject(State(row.state), row.held_at is not None, row.started_at, row.stopped_at)
