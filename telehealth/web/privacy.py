"""Whose identity is forgotten next, and exports without identifiers."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from telehealth.audit.faults import LogUnavailable
from telehealth.privacy.leaving import TooManyVisits
from telehealth.privacy.settings import Purpose, What
from telehealth.web.models import Asked, Moment, Nothing, Told
from telehealth.web.route import Answer, Ask, Route, Who


class DueTold(Told):
    visit: str
    over_at: Moment
    whole: bool = Field(description="False: a recording that is still here keeps who it is of.")
    kept: int = Field(description="Recordings of the visit that are still here.")


class DueList(Told):
    identity_days: int
    items: Sequence[DueTold]


class ExportBody(Asked):
    what: What
    purpose: Purpose


class VisitTold(Told):
    id: str = Field(description="Fresh and random in every export.")
    year: int
    state: str
    planned_minutes: int
    age: str | None = Field(description='At the visit: "0" to "89", or "90+".')
    assurance: str
    participants: int
    recordings: int
    recorded_minutes: int
    yes: int
    no: int
    withdrawn: int


class YearTold(Told):
    """null: a number too small to be told, or one that would tell it."""

    year: int
    visits: int | None
    by_state: Mapping[str, int | None]
    by_age: Mapping[str, int | None]
    by_recorded: Mapping[str, int | None]
    answers: Mapping[str, int | None]


class LeavingTold(Told):
    what: What
    standard: str
    geography: str
    visits: Sequence[VisitTold] | None
    years: Sequence[YearTold] | None


async def show_privacy_due(ask: Ask[Nothing, Nothing]) -> Answer:
    """Visits whose patients the next sweep forgets."""
    found = await ask.rooms.purge.due(ask.caller)
    days = ask.rooms.config.privacy.identity_days
    return Answer(DueList(identity_days=days, items=[DueTold.model_validate(one) for one in found]))


async def export_deidentified(ask: Ask[ExportBody, Nothing]) -> Answer:
    """Visits or statistics without the identifiers of 45 CFR 164.514(b)(2); entered first."""
    made = await ask.rooms.leavings.make(ask.caller, ask.body.what, ask.body.purpose)
    return Answer(LeavingTold.model_validate(made))


_ADMIN: dict[str, Any] = {"who": Who.ADMIN, "tag": "privacy"}
ROUTES = (
    Route("GET", "/api/v1/privacy/due", show_privacy_due, answer=DueList, **_ADMIN),
    Route(
        "POST",
        "/api/v1/privacy/exports",
        export_deidentified,
        answer=LeavingTold,
        body=ExportBody,
        step_up=True,
        codes=(LogUnavailable, TooManyVisits),
        **_ADMIN,
    ),
)
