"""The clinic's registers: business associates, incidents, findings of security tests."""

import json
from collections.abc import Sequence
from datetime import date
from typing import Any, Literal

from aiohttp import web
from pydantic import Field

from telehealth.audit.faults import LogUnavailable
from telehealth.errors import NotFound
from telehealth.registers.faults import NoticesOwed, RegisterChanged, RegisterFull
from telehealth.registers.forms import Associate, Finding, Form, Incident
from telehealth.registers.room import Item
from telehealth.registers.table import as_csv, plain
from telehealth.web.models import Asked, Moment, Nothing, Told
from telehealth.web.route import Answer, Ask, Route, Who


class DeadlineTold(Told):
    what: Literal["review", "individuals", "secretary", "media", "fix"]
    by: date
    met_on: date | None


class ItemTold(Told):
    id: str
    state: str
    due_on: date | None = Field(description="The first thing that is not done.")
    deadlines: Sequence[DeadlineTold]
    revision: int
    created_at: Moment
    changed_at: Moment
    changed_by: str
    changed_by_name: str | None


class AssociateTold(ItemTold):
    item: Associate


class IncidentTold(ItemTold):
    item: Incident


class FindingTold(ItemTold):
    item: Finding


class AssociateList(Told):
    items: Sequence[AssociateTold]


class IncidentList(Told):
    items: Sequence[IncidentTold]


class FindingList(Told):
    items: Sequence[FindingTold]


class Revised(Asked):
    revision: int = Field(ge=0, description="As it was read; refused when somebody changed it since.")


class AssociateChange(Revised):
    item: Associate


class IncidentChange(Revised):
    item: Incident


class FindingChange(Revised):
    item: Finding


class FormatQuery(Asked):
    format: Literal["json", "csv"] = "json"


async def _told(ask: Ask[Any, Any], model: type[ItemTold], found: Sequence[Item]) -> list[Any]:
    names = await ask.rooms.names(one.changed_by for one in found)
    return [
        model.model_validate(
            {
                "id": one.id,
                "item": one.form,
                "state": one.standing.state,
                "due_on": one.standing.due_on,
                "deadlines": [DeadlineTold.model_validate(each) for each in one.standing.deadlines],
                "revision": one.revision,
                "created_at": one.created_at,
                "changed_at": one.changed_at,
                "changed_by": one.changed_by,
                "changed_by_name": names.get(one.changed_by),
            }
        )
        for one in found
    ]


async def _listed(ask: Ask[Any, Any], register: str, model: type[ItemTold]) -> list[Any]:
    return await _told(ask, model, await ask.rooms.registers.list(ask.caller, register))


async def _added(ask: Ask[Any, Any], register: str, model: type[ItemTold]) -> Answer:
    item = await ask.rooms.registers.add(ask.caller, register, ask.body)
    return Answer((await _told(ask, model, [item]))[0], status=201)


async def _changed(ask: Ask[Any, Any], register: str, model: type[ItemTold]) -> Answer:
    body = ask.body
    item = await ask.rooms.registers.change(ask.caller, register, ask.id("item"), body.revision, body.item)
    return Answer((await _told(ask, model, [item]))[0])


async def _exported(ask: Ask[Any, FormatQuery], register: str) -> web.Response:
    form = ask.query.format
    found = await ask.rooms.registers.export(ask.caller, register, form)
    items = [plain(one.id, one.form, one.standing) for one in found]
    text = as_csv(register, items) if form == "csv" else json.dumps(items, ensure_ascii=False, indent=2)
    headers = {"Content-Disposition": f'attachment; filename="{register}.{form}"', "Cache-Control": "no-store"}
    kind = "text/csv" if form == "csv" else "application/json"
    return web.Response(body=text.encode(), content_type=kind, charset="utf-8", headers=headers)


async def list_associates(ask: Ask[Nothing, Nothing]) -> Answer:
    """Business associates, the next review first."""
    return Answer(AssociateList(items=await _listed(ask, "associates", AssociateTold)))


async def list_incidents(ask: Ask[Nothing, Nothing]) -> Answer:
    """Incidents, the nearest deadline first."""
    return Answer(IncidentList(items=await _listed(ask, "incidents", IncidentTold)))


async def list_findings(ask: Ask[Nothing, Nothing]) -> Answer:
    """Findings, the nearest date first."""
    return Answer(FindingList(items=await _listed(ask, "findings", FindingTold)))


async def add_associate(ask: Ask[Associate, Nothing]) -> Answer:
    """A new business associate."""
    return await _added(ask, "associates", AssociateTold)


async def add_incident(ask: Ask[Incident, Nothing]) -> Answer:
    """A new incident; one of an alert that has one already is given back as it is."""
    return await _added(ask, "incidents", IncidentTold)


async def add_finding(ask: Ask[Finding, Nothing]) -> Answer:
    """A new finding."""
    return await _added(ask, "findings", FindingTold)


async def change_associate(ask: Ask[AssociateChange, Nothing]) -> Answer:
    """The business associate as it is from now on."""
    return await _changed(ask, "associates", AssociateTold)


async def change_incident(ask: Ask[IncidentChange, Nothing]) -> Answer:
    """The incident as it is from now on; closed only once nobody waits for a notice."""
    return await _changed(ask, "incidents", IncidentTold)


async def change_finding(ask: Ask[FindingChange, Nothing]) -> Answer:
    """The finding as it is from now on."""
    return await _changed(ask, "findings", FindingTold)


async def export_associates(ask: Ask[Nothing, FormatQuery]) -> web.Response:
    """The register, as a file."""
    return await _exported(ask, "associates")


async def export_incidents(ask: Ask[Nothing, FormatQuery]) -> web.Response:
    """The register, as a file."""
    return await _exported(ask, "incidents")


async def export_findings(ask: Ask[Nothing, FormatQuery]) -> web.Response:
    """The register, as a file."""
    return await _exported(ask, "findings")


def _routes(
    register: str,
    handlers: tuple[Any, Any, Any, Any],
    models: tuple[type[Told], type[Told]],
    forms: tuple[type[Form], type[Asked]],
) -> tuple[Route, ...]:
    """List, add, change and export of one register."""
    path, read = f"/api/v1/registers/{register}", {"who": Who.OVERSEER, "tag": "registers", "scope": "audit:read"}
    write: dict[str, Any] = {"who": Who.ADMIN, "tag": "registers"}
    listing, adding, changing, leaving = handlers
    all_of, one_of = models
    body, change = forms
    lost = (LogUnavailable,)
    return (
        Route("GET", path, listing, answer=all_of, codes=lost, **read),  # type: ignore[arg-type]  # of one kind each
        Route(
            "POST",
            path,
            adding,
            answer=one_of,
            body=body,
            status=201,
            codes=(RegisterFull, NoticesOwed, *lost),
            **write,
        ),
        Route(
            "PUT",
            f"{path}/{{item}}",
            changing,
            answer=one_of,
            body=change,
            codes=(NotFound, RegisterChanged, NoticesOwed, *lost),
            **write,
        ),
        Route(
            "GET",
            f"{path}/export",
            leaving,
            query=FormatQuery,
            codes=lost,
            stream=True,
            media_type="application/json",
            more_types=("text/csv",),
            **read,  # type: ignore[arg-type]
        ),
    )


ROUTES = (
    *_routes(
        "associates",
        (list_associates, add_associate, change_associate, export_associates),
        (AssociateList, AssociateTold),
        (Associate, AssociateChange),
    ),
    *_routes(
        "incidents",
        (list_incidents, add_incident, change_incident, export_incidents),
        (IncidentList, IncidentTold),
        (Incident, IncidentChange),
    ),
    *_routes(
        "findings",
        (list_findings, add_finding, change_finding, export_findings),
        (FindingList, FindingTold),
        (Finding, FindingChange),
    ),
)
