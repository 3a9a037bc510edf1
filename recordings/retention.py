"""When a recording must be kept and when it must go: pure verdicts; the sweeper acts on them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from recordings.states import State

DEFAULT_DAYS = 7 * 365 + 2  # seven years, two of them leap


@dataclass(frozen=True, slots=True)
class Rule:
    """One retention class: destroy after `days`; nobody may destroy before `minimum_days`. Whole days."""

    days: int = DEFAULT_DAYS
    minimum_days: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.minimum_days <= self.days:
            raise ValueError("the minimum lies between nought and the term")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a verdict looks at. The term runs from `ended_at`, or from `started_at` where no end is known."""

    state: State
    held: bool
    started_at: datetime
    ended_at: datetime | None

    @property
    def since(self) -> datetime:
        return self.ended_at or self.started_at


@dataclass(frozen=True, slots=True)
class Keep:
    """Not yet due."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """To be destroyed now; it was due at `since`."""

    since: datetime


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Due since then, or asked for, but under a legal hold."""

    since: datetime


@dataclass(frozen=True, slots=True)
class TooEarly:
    """Asked for before the minimum has passed."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Allowed:
    """Asked for, and nothing stands against it."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A destruction was begun; go on with it."""


@dataclass(frozen=True, slots=True)
class Gone:
    """Already destroyed."""


Verdict = Keep | Due | HeldBack | Unfinished | Gone
Answer = Allowed | TooEarly | HeldBack | Unfinished | Gone


def verdict(recording: Subject, rule: Rule, now: datetime) -> Verdict:
    """What the sweeper has to do with a recording, in whatever state it is."""
    if recording.state is State.DELETED:
        return Gone()
    if recording.state is State.DELETING:
        return Unfinished()
    due = recording.since + timedelta(days=rule.days)
    if now < due:
        return Keep(due)
    return HeldBack(due) if recording.held else Due(due)


def may_delete(recording: Subject, rule: Rule, now: datetime) -> Answer:
    """Whether somebody's wish to delete a recording before its term may be followed."""
    if recording.state is State.DELETED:
        return Gone()
    if recording.state is State.DELETING:
        return Unfinished()
    if recording.held:
        return HeldBack(now)
    earliest = recording.since + timedelta(days=rule.minimum_days)
    return TooEarly(earliest) if now < earliest else Allowed()
