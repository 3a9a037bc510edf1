"""The OpenAPI 3.1 document, made from the same rows and models that parse and answer."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from telehealth.errors import Forbidden, Malformed, NotFound, Refusal, Unavailable
from telehealth.identity.faults import SlowDown, StepUpNeeded, Unauthenticated
from telehealth.web.models import Nothing
from telehealth.web.outcomes import FHIR_JSON
from telehealth.web.problems import (
    BodyTooLarge,
    ForeignOrigin,
    Internal,
    MediaTypeRefused,
    Problem,
    ScopeMissing,
    status_of,
)
from telehealth.web.route import PATH_KINDS, PATH_TAILS, Route, Who

_REF = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"\{(\w+)\}")
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The whole contract."""
    schemas, pointers = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas, pointers)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": DIALECT,
        "info": {
            "title": "Telehealth",
            "version": version,
            "description": "Visits by link, consented recordings, certified deletion. Times are RFC 3339 in UTC.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "staff": {"type": "apiKey", "in": "cookie", "name": "__Host-staff", "description": "`staff` on http"},
                "visit": {"type": "apiKey", "in": "cookie", "name": "__Host-visit", "description": "`visit` on http"},
                "token": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def encoded(routes: Sequence[Route], version: str) -> bytes:
    """The document as it is served."""
    return json.dumps(document(routes, version), ensure_ascii=False, separators=(",", ":")).encode()


Pointers = dict[tuple[Any, str], dict[str, Any]]


def _schemas(routes: Iterable[Route]) -> tuple[dict[str, Any], Pointers]:
    wanted: dict[tuple[type[BaseModel], Any], None] = {(Problem, "serialization"): None}
    for route in routes:
        if route.body is not Nothing:
            wanted[(route.body, "validation")] = None
        if route.query is not Nothing:
            wanted[(route.query, "validation")] = None
        if route.answer is not None:
            wanted[(route.answer, "serialization")] = None
    pointers, definitions = models_json_schema(list(wanted), by_alias=True, ref_template=_REF)
    return definitions.get("$defs", {}), {(model, mode): pointer for (model, mode), pointer in pointers.items()}


def _operation(route: Route, schemas: dict[str, Any], pointers: Pointers) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": (route.handler.__doc__ or route.name).strip().splitlines()[0],
        "x-who": str(route.who),
        "security": _security(route),
        "parameters": _path_parameters(route) + _query_parameters(route, schemas, pointers),
        "responses": {**_success(route, pointers), **_refusals(route, pointers)},
    }
    if route.scope is not None:
        operation["x-scope"] = route.scope
    if route.step_up:
        operation["x-step-up"] = True
    if route.body is not Nothing:
        schema = pointers[(route.body, "validation")]
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.who is Who.ANYONE:
        return []
    if route.who is Who.PATIENT:
        return [{"visit": []}]
    if route.who is Who.METRICS:
        return [{}, {"token": []}]
    staff: list[dict[str, list[str]]] = [{"staff": []}]
    return [*staff, {"token": []}] if route.scope else staff


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": f"^{_shape(name)}$"},
        }
        for name in _PARAMETER.findall(route.path)
    ]


def _shape(name: str) -> str:
    return PATH_TAILS[name] if name in PATH_TAILS else f"{PATH_KINDS[name]}_[a-z2-7]{{26}}"


def _query_parameters(route: Route, schemas: dict[str, Any], pointers: Pointers) -> list[dict[str, Any]]:
    """Each field of the query's model is one parameter."""
    if route.query is Nothing:
        return []
    schema = schemas[pointers[(route.query, "validation")]["$ref"].rpartition("/")[2]]
    required = set(schema.get("required", ()))
    return [
        {"name": name, "in": "query", "required": name in required, "schema": part}
        for name, part in schema.get("properties", {}).items()
    ]


def _success(route: Route, pointers: Pointers) -> dict[str, Any]:
    if route.answer is not None:
        content = {"application/json": {"schema": pointers[(route.answer, "serialization")]}}
        return {str(route.status): {"description": "Done.", "content": content}}
    if route.stream:
        return {
            str(status): {
                "description": "Content.",
                "content": {kind: {} for kind in (route.media_type, *route.more_types)},
            }
            for status in (route.status, *route.more_statuses)
        }
    return {"204": {"description": "Done."}}


def _refusals(route: Route, pointers: Pointers) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for refusal in (*_everywhere(route), *route.codes):
        codes = by_status.setdefault(int(status_of(refusal)), [])
        if refusal.code not in codes:
            codes.append(refusal.code)
    content: dict[str, Any] = {"application/problem+json": {"schema": pointers[(Problem, "serialization")]}}
    if route.path.startswith("/fhir/"):
        content = {FHIR_JSON: {}}  # an OperationOutcome
    return {
        str(status): {"description": "Codes: " + ", ".join(f"`{code}`" for code in codes), "content": content}
        for status, codes in sorted(by_status.items())
    }


def _everywhere(route: Route) -> list[type[Refusal]]:
    """What any route of this kind can say."""
    found: list[type[Refusal]] = [Internal, SlowDown, Unavailable]
    if route.body is not Nothing:
        found += [Malformed, MediaTypeRefused, BodyTooLarge]
    elif route.query is not Nothing:
        found.append(Malformed)
    if route.method != "GET" and not route.foreign:
        found.append(ForeignOrigin)
    if route.who is not Who.ANYONE:
        found.append(Unauthenticated)
    if route.who not in (Who.ANYONE, Who.PATIENT, Who.METRICS):
        found.append(Forbidden)
    if route.scope is not None:
        found.append(ScopeMissing)
    if route.step_up:
        found.append(StepUpNeeded)
    if "{" in route.path:
        found.append(NotFound)
    return found
