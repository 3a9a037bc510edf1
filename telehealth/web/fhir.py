"""The audit log as FHIR R4 AuditEvents (IHE BALP): search, read, and what this server can. Each reading is entered."""

import json
import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any
from urllib.parse import urlencode, urlsplit

from aiohttp import web
from pydantic import Field

from telehealth.audit.actions import Action
from telehealth.audit.entry import Code, Entry, Outcome
from telehealth.audit.faults import LogUnavailable
from telehealth.audit.leaf import Stored
from telehealth.audit.report import opened
from telehealth.errors import NotFound
from telehealth.outward.fhir import Site, audit_event
from telehealth.outward.fhir_search import MOST, Search, parse
from telehealth.web.models import Asked, Nothing
from telehealth.web.outcomes import FHIR_JSON, outcome
from telehealth.web.rooms import Rooms
from telehealth.web.route import Ask, Route, Who

VERSION = version("telehealth")
ROUND = 1000  # candidates looked at in one go
ROUNDS = 10  # in one request; then the page ends early, with a link to the next
_EVENT = re.compile(r"[0-9]{1,15}")
Json = dict[str, Any]


class AuditEventQuery(Asked):
    """Each may be repeated (all must hold); commas separate choices. FHIR R4 §3.1.1."""

    id_: str | None = Field(default=None, alias="_id")
    last_updated: str | None = Field(default=None, alias="_lastUpdated", description="As `date`.")
    date: str | None = Field(default=None, description="With eq, gt, lt, ge, le, sa, eb.")
    patient: str | None = Field(default=None, description="Pseudonym, or `urn:telehealth:patient-key|…`.")
    agent: str | None = Field(default=None, description="Id of a person, token or participant.")
    entity: str | None = Field(default=None, description="Id of a visit, recording, or other subject.")
    action: str | None = Field(default=None, description="C, R, U, D, E.")
    type: str | None = None
    subtype: str | None = Field(default=None, description="Also our own acts: `urn:telehealth:action|recording.read`.")
    outcome: str | None = Field(default=None, description="0 done, 4 refused, 8 failed.")
    count: str | None = Field(default=None, alias="_count", description=f"At most {MOST} are given.")
    sort: str | None = Field(default=None, alias="_sort", description="`-date` (default) or `date`.")
    after: str | None = Field(default=None, alias="_after", description="From a `next` link.")
    format_: str | None = Field(default=None, alias="_format", description="json.")


async def fhir_search(ask: Ask[Nothing, AuditEventQuery]) -> web.Response:
    """A searchset Bundle, newest first; a page may be short where much was looked through: follow `next`."""
    strict = "handling=strict" in ask.http.headers.get("Prefer", "").replace(" ", "").lower()
    asked = parse(ask.http.query.items(), strict=strict)
    await _enter(ask, {"criteria": _named(asked), "limit": min(asked.count, MOST)}, asked)
    search = asked.resolved(ask.rooms.log.patient_pseudonym)
    found, after = await _find(ask.rooms, search)
    return _answer(await _bundle(ask.rooms, search, found, after))


async def fhir_read(ask: Ask[Nothing, Nothing]) -> web.Response:
    """One AuditEvent; its id is the entry's index."""
    index = ask.id("event")
    if not _EVENT.fullmatch(index):
        raise NotFound
    await _enter(ask, {"criteria": "fhir.id", "index": int(index)})
    found = await ask.rooms.log.entries(after=int(index) - 1, limit=1)
    if not found or found[0].index != int(index):
        raise NotFound
    return _answer((await _resources(ask.rooms, found))[0])


async def fhir_metadata(ask: Ask[Nothing, Nothing]) -> web.Response:
    """The CapabilityStatement."""
    names = [field.alias or name for name, field in AuditEventQuery.model_fields.items()]
    kinds = {"patient": "reference", "agent": "reference", "entity": "reference", "date": "date"}
    searched = [
        {"name": name, "type": "date" if name == "_lastUpdated" else kinds.get(name, "token")}
        for name in names
        if name not in ("_count", "_sort", "_after", "_format")
    ]
    return _answer(
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": "2026-11-22",
            "kind": "instance",
            "software": {"name": "telehealth", "version": VERSION},
            "implementation": {"description": "Audit log of a telemedicine server", "url": _base(ask.rooms)},
            "fhirVersion": "4.0.1",
            "format": [FHIR_JSON],
            "rest": [
                {
                    "mode": "server",
                    "security": {"description": "Bearer token with the scope audit:read, or a signed-in overseer."},
                    "resource": [
                        {
                            "type": "AuditEvent",
                            "interaction": [{"code": "read"}, {"code": "search-type"}],
                            "searchParam": searched,
                        }
                    ],
                }
            ],
        }
    )


async def _enter(ask: Ask[Any, Any], detail: dict[str, Code], search: Search | None = None) -> None:
    """Before anything is shown; under the patient, where the search names one by their key."""
    agents = search.agents if search and search.agents and len(search.agents) == 1 else ()
    keys = search.keys if search and len(search.keys) == 1 else ()
    subject, patient = next(iter(agents), None), next(iter(keys), None)
    await ask.rooms.log.enter(
        Entry(Action.AUDIT_READ, Outcome.DONE, ask.caller.actor(), patient=patient, subject=subject, detail=detail)
    )


def _named(search: Search) -> str:
    """Names of what was asked for; never a value."""
    names = sorted({name.partition(":")[0].lstrip("_") for name, _ in search.asked})
    return ".".join(["fhir", *names])


async def _find(rooms: Rooms, search: Search) -> tuple[list[Stored], int | None]:
    """What fits, and the cursor of the next page; None at the end."""
    found: list[Stored] = []
    count, after, only = min(search.count, MOST), search.after, search.filter()
    if frozenset() in (search.patients, search.agents, *search.entities, search.outcomes, search.actions):
        return found, None
    if search.indexes is not None:
        return await _by_index(rooms, search, search.indexes), None
    for _ in range(ROUNDS):
        seen = await rooms.log.entries(after=after, limit=ROUND, newest_first=search.newest_first, only=only)
        for stored in seen:
            after = stored.index
            if search.fits(stored):
                found.append(stored)
            if len(found) == count:
                return found, after
        if len(seen) < ROUND:
            return found, None
    return found, after


async def _by_index(rooms: Rooms, search: Search, indexes: frozenset[str]) -> list[Stored]:
    """Those of them that are there and fit; nothing else is looked through."""
    found: list[Stored] = []
    wanted = sorted((int(one) for one in indexes if _EVENT.fullmatch(one)), reverse=search.newest_first)
    for index in wanted[: min(search.count, MOST)]:
        seen = await rooms.log.entries(after=index - 1, limit=1)
        found += [stored for stored in seen if stored.index == index and search.fits(stored)]
    return found


async def _bundle(rooms: Rooms, search: Search, found: Sequence[Stored], after: int | None) -> Json:
    base = f"{_base(rooms)}/AuditEvent"
    asked = [*search.asked, ("_count", str(min(search.count, MOST)))]
    links = [{"relation": "self", "url": f"{base}?{urlencode(asked)}"}]
    if after is not None:
        links.append({"relation": "next", "url": f"{base}?{urlencode([*asked, ('_after', str(after))])}"})
    entries: list[Json] = [
        {"fullUrl": f"{base}/{resource['id']}", "resource": resource, "search": {"mode": "match"}}
        for resource in await _resources(rooms, found)
    ]
    notes = [f"{name} is not known here and was left out" for name in search.ignored]
    if search.count > MOST:
        notes.append(f"_count was lowered to {MOST}")
    if notes:
        told = outcome("warning", "not-supported", "parameter_ignored", "; ".join(notes))
        entries.append({"resource": told, "search": {"mode": "outcome"}})
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "link": links}
    return {**bundle, "entry": entries} if entries else bundle


async def _resources(rooms: Rooms, found: Sequence[Stored]) -> list[Json]:
    """Addresses only where the configuration lets details leave."""
    private = await opened(rooms.log, found) if rooms.config.outward.details else {}
    site = Site(rooms.log.head().origin, urlsplit(rooms.config.public_url).hostname or "telehealth")
    return [audit_event(stored, site, private.get(stored.index, {})) for stored in found]


def _base(rooms: Rooms) -> str:
    return f"{rooms.config.public_url}/fhir"


def _answer(resource: Json) -> web.Response:
    return web.Response(body=json.dumps(resource, ensure_ascii=True).encode(), content_type=FHIR_JSON)


ROUTES = (
    Route("GET", "/fhir/metadata", fhir_metadata, Who.ANYONE, "fhir", stream=True, media_type=FHIR_JSON),
    Route(
        "GET",
        "/fhir/AuditEvent",
        fhir_search,
        Who.OVERSEER,
        "fhir",
        query=AuditEventQuery,
        raw_query=True,
        scope="audit:read",
        stream=True,
        media_type=FHIR_JSON,
        codes=(LogUnavailable,),
    ),
    Route(
        "GET",
        "/fhir/AuditEvent/{event}",
        fhir_read,
        Who.OVERSEER,
        "fhir",
        scope="audit:read",
        stream=True,
        media_type=FHIR_JSON,
        codes=(LogUnavailable,),
    ),
)
