"""Rules as data: what of the log or the machine's state is worth a person's attention. Reads one file, at import."""

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from telehealth.audit.actions import Action
from telehealth.audit.entry import ActorKind, Outcome

Severity = Literal["notice", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("notice", "warning", "critical")
Kind = Literal["each", "count", "distinct", "fresh", "rate", "hours", "foreign", "gauge", "alarm"]
By = Literal["actor", "subject", "address", "visit", "recording", "all"]
Of = Literal["recording", "visit", "patient", "country", "device", "network"]
Least = Annotated[int, Field(ge=1, le=100_000)]


class Change(BaseModel):
    """What a clinic may set otherwise; all else stays as shipped."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on: bool | None = None
    severity: Severity | None = None
    least: Least | None = None
    minutes: Annotated[int, Field(ge=1, le=44_640)] | None = None
    factor: Annotated[float, Field(ge=1.0, le=1000.0)] | None = None
    days: Annotated[int, Field(ge=1, le=3650)] | None = None


class Rule(BaseModel):
    """One row of the table.

    `each`: every fitting entry. `count`: `least` of them by one subject within `minutes`. `distinct`: so many
    different `of`. `fresh`: an `of` that this subject did not have in `days` (its first is learned). `rate`: more than
    `least` in an hour and `factor` times the most of its own past `days`. `hours`: outside the clinic's. `foreign`: of
    somebody else's recording or visit. `gauge`: bad for `minutes`.
    `alarm`: a code that the log's own watch rang.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,47}$")]
    title: str  # English, for messages; pages have words of their own
    kind: Kind
    severity: Severity
    on: bool = True
    actions: tuple[Action, ...] = ()  # none: any
    outcomes: tuple[Outcome, ...] = (Outcome.DONE,)
    actors: tuple[ActorKind, ...] = ()  # none: any
    by: By = "actor"
    of: Of | None = None
    detail: Mapping[str, str] = Field(default_factory=dict)  # of the entry, in clear
    learn: tuple[Action, ...] = ()  # of `fresh`: acts that only teach
    least: Least = 1
    minutes: int = 60
    factor: float = 1.0
    days: int = 90
    gauge: str = ""
    codes: tuple[str, ...] = ()  # of `alarm`
    case: bool = False  # every one is reviewed by somebody else

    @property
    def windowed(self) -> bool:
        """Whether past entries of its window decide, so that a restart reads them again."""
        return self.kind in ("count", "distinct")


def shipped() -> tuple[Rule, ...]:
    """The table that comes with the server. Blocks."""
    text = resources.files("telehealth.alerts").joinpath("rules.toml").read_text("utf-8")
    return tuple(Rule.model_validate(row) for row in tomllib.loads(text)["rule"])


SHIPPED = shipped()


def in_force(changes: Mapping[str, Change]) -> tuple[Rule, ...]:
    """The shipped rules with a clinic's changes, without those turned off. Raises ValueError for an unknown name."""
    known = {rule.name: rule for rule in SHIPPED}
    strangers = sorted(set(changes) - set(known))
    if strangers:
        raise ValueError(f"no such rule: {', '.join(strangers)}")
    for name, change in changes.items():
        known[name] = changed(known[name], change)
    return tuple(rule for rule in known.values() if rule.on)


def changed(rule: Rule, change: Change) -> Rule:
    """The rule with what the change sets. Raises ValueError."""
    try:
        return Rule.model_validate({**rule.model_dump(), **change.model_dump(exclude_none=True)})
    except ValidationError as error:
        raise ValueError(f"{rule.name}: {error.errors()[0]['msg']}") from error
