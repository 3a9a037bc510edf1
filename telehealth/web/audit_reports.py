"""What the log tells people: a visit's story, a patient's report, disclosures, exports. Each reading is entered."""

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal

from aiohttp import web
from pydantic import Field

from telehealth.audit.actions import Action
from telehealth.audit.bundle import evidence, written
from telehealth.audit.faults import IndexOutOfRange, LogUnavailable, TileBroken, TooManyEntries
from telehealth.audit.leaf import Stored
from telehealth.audit.report import Told as ActTold
from telehealth.audit.report import access_report, disclosures, each, gathered, story
from telehealth.clock import rfc3339
from telehealth.errors import Refusal
from telehealth.log import get_logger
from telehealth.web.audit import (
    ActorTold,
    Criteria,
    Head,
    PatientKey,
    actor_told,
    head_of,
    reading,
    told,
)
from telehealth.web.covers import Covers, covered
from telehealth.web.models import Asked, GivenMoment, Moment, Nothing, Told
from telehealth.web.route import Answer, Ask, Route, Who

SIX_YEARS = timedelta(days=2192)  # 45 CFR 164.528(a)(1)
_CHUNK = 500
_COLUMNS = (
    *("index", "at", "action", "outcome", "actor_kind", "actor_role", "actor", "name"),
    *("visit", "recording", "subject", "purpose", "detail"),
)
log = get_logger(__name__)


class Act(Told):
    """One act, whole: its entries are `indexes`. `name`, `address`, `device`: as far as known and not forgotten."""

    indexes: Sequence[int]
    at: Moment
    action: str
    outcome: str
    meaning: str
    actor: ActorTold
    visit: str | None
    recording: str | None
    purpose: str | None
    detail: Mapping[str, Any]
    private: Mapping[str, str] | None = Field(description="Address, device, recipient, free text.")
    forgotten: bool = Field(description="There was such detail; its key is destroyed.")


class Story(Told):
    visit: str
    acts: Sequence[Act]
    head: Head
    covers: Covers


class Report(Told):
    since: Moment | None
    until: Moment | None
    made_at: Moment
    acts: Sequence[Act]
    head: Head
    covers: Covers


class ReportQuery(Asked):
    patient: PatientKey
    since: GivenMoment | None = None
    until: GivenMoment | None = None

    def criteria(self) -> Criteria:
        return Criteria(patient=self.patient, since=self.since, until=self.until)


class DisclosureQuery(Asked):
    patient: PatientKey | None = None
    since: GivenMoment | None = Field(default=None, description="Without it, six years back.")
    until: GivenMoment | None = None


class ExportQuery(Criteria):
    format: Literal["jsonl", "csv", "bundle"] = "jsonl"


async def visit_story(ask: Ask[Nothing, Nothing]) -> Answer:
    """A visit in order, each act once: link, code, admission, consents, recording, playback, deletion."""
    visit, rooms = ask.id("visit"), ask.rooms
    await rooms.log.enter(reading(ask.caller, Action.AUDIT_READ, Criteria(visit=visit), {"view": "story"}))
    acts = await story(rooms.log, rooms.names, visit)
    return Answer(
        Story(visit=visit, acts=[act_told(one) for one in acts], head=head_of(rooms.log), covers=await covered(ask))
    )


async def patient_report(ask: Ask[Nothing, ReportQuery]) -> Answer:
    """Who saw what of a patient's, when, why and from where; tries that were refused included."""
    query, rooms = ask.query, ask.rooms
    await rooms.log.enter(reading(ask.caller, Action.AUDIT_READ, query.criteria(), {"view": "report"}))
    acts = await access_report(rooms.log, rooms.names, query.patient, query.since, query.until)
    return Answer(await _report(ask, acts, query.criteria()))


async def patient_evidence(ask: Ask[Nothing, ReportQuery]) -> web.StreamResponse:
    """The report's entries with their proofs, for the offline verifier."""
    query, rooms = ask.query, ask.rooms
    await rooms.log.enter(reading(ask.caller, Action.AUDIT_EXPORT, query.criteria(), {"view": "report.bundle"}))
    acts = await access_report(rooms.log, rooms.names, query.patient, query.since, query.until)
    return await _bundle(ask, [index for one in acts for index in one.line.indexes], "access-report")


async def list_disclosures(ask: Ask[Nothing, DisclosureQuery]) -> Answer:
    """What left the house, of one patient or of all (45 CFR 164.528): exports, copies, bundles, programs outside."""
    query, rooms = ask.query, ask.rooms
    since = query.since or rooms.now() - SIX_YEARS
    criteria = Criteria(patient=query.patient, since=since, until=query.until)
    await rooms.log.enter(reading(ask.caller, Action.AUDIT_READ, criteria, {"view": "disclosures"}))
    acts = await disclosures(rooms.log, rooms.names, query.patient, since, query.until)
    return Answer(await _report(ask, acts, criteria))


async def export_entries(ask: Ask[Nothing, ExportQuery]) -> web.StreamResponse:
    """All entries that fit, oldest first: JSON lines or CSV as they are read, or a bundle with proofs."""
    query, rooms = ask.query, ask.rooms
    await rooms.log.enter(reading(ask.caller, Action.AUDIT_EXPORT, query, {"format": query.format}))
    if query.format == "bundle":
        return await _bundle(ask, [stored.index for stored in await gathered(rooms.log, [query.wanted()])], "audit")
    stream = web.StreamResponse(headers=_attached(ask, "audit", query.format))
    stream.content_type = "text/csv" if query.format == "csv" else "application/jsonl"
    stream.charset = "utf-8"
    lines = _csv(ask) if query.format == "csv" else _jsonl(ask)
    first = await anext(lines, "")  # what refuses at once, refuses before the status line
    await stream.prepare(ask.http)
    try:
        await stream.write(first.encode())
        async for text in lines:
            await stream.write(text.encode())
        await stream.write_eof()
    except (OSError, ValueError, Refusal) as error:
        log.warning("audit.export_broken_off", code=type(error).__name__)
        if ask.http.transport is not None:
            ask.http.transport.abort()  # a broken answer, never a short file that looks whole
    return stream


def act_told(one: ActTold) -> Act:
    stored = one.stored
    return Act(
        indexes=one.line.indexes,
        at=stored.at,
        action=stored.action,
        outcome=stored.outcome,
        meaning=one.meaning,
        actor=actor_told(stored, one.name),
        visit=stored.visit,
        recording=stored.recording,
        purpose=stored.purpose,
        detail=dict(stored.detail),
        private=one.private,
        forgotten=one.forgotten,
    )


async def _report(ask: Ask[Any, Any], acts: Sequence[ActTold], criteria: Criteria) -> Report:
    return Report(
        since=criteria.since,
        until=criteria.until,
        made_at=ask.rooms.now(),
        acts=[act_told(one) for one in acts],
        head=head_of(ask.rooms.log),
        covers=await covered(ask),
    )


async def _bundle(ask: Ask[Any, Any], indexes: Sequence[int], name: str) -> web.Response:
    text = written(await evidence(ask.rooms.log, indexes))
    return web.Response(text=text, content_type="application/json", headers=_attached(ask, name, "json"))


def _attached(ask: Ask[Any, Any], name: str, kind: str) -> dict[str, str]:
    """A file name with nothing in it but the time."""
    moment = f"{ask.rooms.now():%Y%m%dT%H%M%SZ}"
    return {
        "Content-Disposition": f'attachment; filename="{name}-{moment}.{kind}"',
        "Cache-Control": "no-store",
    }


async def _chunks(ask: Ask[Nothing, ExportQuery]) -> AsyncIterator[tuple[list[Stored], Mapping[str, str]]]:
    chunk: list[Stored] = []
    async for stored in each(ask.rooms.log, ask.query.wanted()):
        chunk.append(stored)
        if len(chunk) == _CHUNK:
            yield chunk, await ask.rooms.names({one.actor for one in chunk})
            chunk = []
    yield chunk, await ask.rooms.names({one.actor for one in chunk})


async def _jsonl(ask: Ask[Nothing, ExportQuery]) -> AsyncIterator[str]:
    """One entry a line; the last line says how many there were and under which head, so that a cut is seen."""
    head, count = head_of(ask.rooms.log), 0
    async for chunk, names in _chunks(ask):
        count += len(chunk)
        yield "".join(f"{told(stored, names).model_dump_json()}\n" for stored in chunk)
    yield json.dumps({"end": count, "head": head.model_dump()}) + "\n"


async def _csv(ask: Ask[Nothing, ExportQuery]) -> AsyncIterator[str]:
    yield _csv_line(_COLUMNS)
    async for chunk, names in _chunks(ask):
        yield "".join(_csv_line(_cells(stored, names)) for stored in chunk)


def _cells(stored: Stored, names: Mapping[str, str]) -> list[object]:
    return [
        *(stored.index, rfc3339(stored.at), stored.action, stored.outcome),
        *(stored.actor_kind, stored.actor_role, stored.actor, names.get(stored.actor)),
        *(stored.visit, stored.recording, stored.subject, stored.purpose),
        json.dumps(dict(stored.detail), sort_keys=True),
    ]


def _csv_line(cells: Sequence[object]) -> str:
    """RFC 4180; a cell that a spreadsheet would take for a formula gets an apostrophe."""
    line = io.StringIO(newline="")
    texts = ["" if cell is None else str(cell) for cell in cells]
    csv.writer(line).writerow([f"'{text}" if text[:1] in "=+-@\t\r" and text else text for text in texts])
    return line.getvalue()


_CODES = (LogUnavailable, TooManyEntries)
_READ: dict[str, Any] = {"tag": "audit", "scope": "audit:read", "codes": _CODES}
_OUT: dict[str, Any] = {"tag": "audit", "stream": True, "codes": (*_CODES, IndexOutOfRange, TileBroken)}

ROUTES = (
    Route("GET", "/api/v1/audit/visits/{visit}/story", visit_story, Who.OVERSEER, answer=Story, **_READ),
    Route(
        "GET",
        "/api/v1/audit/disclosures",
        list_disclosures,
        Who.ADMIN,
        "audit",
        Report,
        query=DisclosureQuery,
        codes=_CODES,
    ),
    Route("GET", "/api/v1/audit/report", patient_report, Who.ADMIN, "audit", Report, query=ReportQuery, codes=_CODES),
    Route("GET", "/api/v1/audit/report/evidence", patient_evidence, Who.ADMIN, query=ReportQuery, **_OUT),
    Route(
        "GET",
        "/api/v1/audit/export",
        export_entries,
        Who.OVERSEER,
        query=ExportQuery,
        scope="audit:read",
        more_types=("application/jsonl", "text/csv"),
        **_OUT,
    ),
)
