"""What the three registers hold, as people fill it in: parsed at the edges, whole every time."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

RegisterName = Literal["associates", "incidents", "findings"]


def _plain(text: str) -> str:
    if any((ord(letter) < 32 and letter not in "\n\t") or ord(letter) == 127 for letter in text):
        raise ValueError("control characters are not allowed")
    return text


Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_plain)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000), AfterValidator(_plain)]
Day = Annotated[date, Field(ge=date(1970, 1, 1), le=date(2199, 12, 31))]


class Form(BaseModel):
    """One item. `WORDS` are sealed, and their content stays out of the log; all else are dates, codes and numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    WORDS: ClassVar[frozenset[str]] = frozenset()
    DAYS: ClassVar[tuple[str, ...]] = ()  # that cannot lie ahead: they have happened

    def facts(self) -> dict[str, Any]:
        """What is kept in clear, as JSON."""
        return self.model_dump(mode="json", exclude=set(self.WORDS))

    def words(self) -> dict[str, Any]:
        """What is sealed, as JSON."""
        return self.model_dump(mode="json", include=set(self.WORDS))


class Associate(Form):
    """A business associate (45 CFR 160.103): who works with the clinic's data for it, and under which agreement."""

    WORDS = frozenset({"name", "service", "contact", "note"})
    DAYS = ("agreed_on", "ended_on")

    name: Line
    service: Line = Field(description="What they do for the clinic.")
    contact: Line | None = None
    agreed_on: Day | None = Field(default=None, description="Date of the agreement; null: there is none yet.")
    review_on: Day = Field(description="When the agreement is looked at next.")
    ended_on: Day | None = None
    note: Text | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.ended_on is not None and self.agreed_on is not None and self.ended_on < self.agreed_on:
            raise ValueError("ended before it was agreed")
        return self


class Notice(BaseModel):
    """One notice that was sent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    to: Literal["individuals", "secretary", "media", "authority", "associate", "other"]
    on: Day
    how: Literal["letter", "email", "phone", "website", "form", "press", "other"] = "letter"


class Incident(Form):
    """A security incident, and what 45 CFR 164.404–408 ask once it is a breach."""

    WORDS = frozenset({"title", "description", "measures"})
    DAYS = ("occurred_on", "discovered_on", "closed_on")

    title: Line
    description: Text | None = Field(
        default=None, description="What happened; without patients' names where it can be."
    )
    measures: Text | None = Field(default=None, description="What was done about it.")
    occurred_on: Day | None = None
    discovered_on: Day = Field(description="The clock of 164.404(b) starts here.")
    people: Annotated[int, Field(ge=0, le=2**31)] | None = Field(default=None, description="How many it concerns.")
    people_in_one_state: Annotated[int, Field(ge=0, le=2**31)] | None = Field(
        default=None, description="The most of them who live in one State (164.406); null: all of them are assumed to."
    )
    assessment: Literal["open", "breach", "no_breach"] = Field(
        default="open", description="After the four factors of 164.402(2); open counts as a breach."
    )
    notices: tuple[Notice, ...] = Field(default=(), max_length=50)
    closed_on: Day | None = None
    alert: Annotated[str, StringConstraints(pattern=r"^alr_[a-z2-7]{26}$")] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.occurred_on is not None and self.occurred_on > self.discovered_on:
            raise ValueError("discovered before it happened")
        if any(sent.on < self.discovered_on for sent in self.notices):
            raise ValueError("a notice before the discovery")
        if self.closed_on is not None and self.closed_on < self.discovered_on:
            raise ValueError("closed before the discovery")
        return self


class Finding(Form):
    """A finding of a security test or audit."""

    WORDS = frozenset({"title", "source", "owner", "note"})
    DAYS = ("found_on", "closed_on")

    title: Line
    source: Line | None = Field(default=None, description="The test that found it.")
    severity: Literal["critical", "high", "medium", "low", "info"]
    found_on: Day
    owner: Line = Field(description="Who sees to it.")
    due_on: Day
    closed_on: Day | None = None
    outcome: Literal["fixed", "accepted", "false_alarm"] | None = None
    note: Text | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if (self.closed_on is None) != (self.outcome is None):
            raise ValueError("closed_on and outcome go together")
        if self.closed_on is not None and self.closed_on < self.found_on:
            raise ValueError("closed before it was found")
        return self


FORMS: Mapping[str, type[Form]] = {"associates": Associate, "incidents": Incident, "findings": Finding}
