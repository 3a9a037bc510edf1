"""Refusals under `/fhir` become OperationOutcomes, with the same codes as everywhere."""

import json
from typing import Any

from aiohttp import web

from telehealth.outward.fhir import OURS

FHIR_JSON = "application/fhir+json"
# HTTP status → FHIR's issue-type; what is not here is a plain processing failure.
_ISSUES = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    409: "conflict",
    410: "deleted",
    413: "too-long",
    429: "throttled",
    503: "transient",
}


def outcome(severity: str, issue: str, code: str, text: str, where: str | None = None) -> dict[str, Any]:
    """One issue; `where`: name of the parameter."""
    found: dict[str, Any] = {
        "severity": severity,
        "code": issue,
        "details": {"coding": [{"system": f"{OURS}error", "code": code}], "text": text},
    }
    if where:
        found["expression"] = [f"http.{where}"]
    return {"resourceType": "OperationOutcome", "issue": [found]}


def in_fhir(path: str, response: web.StreamResponse) -> web.StreamResponse:
    """The same answer, told as FHIR tells it; anything but a problem document under `/fhir` as it is."""
    if not path.startswith("/fhir/") or response.content_type != "application/problem+json":
        return response
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return response
    problem = json.loads(response.body)
    issue = _ISSUES.get(response.status, "processing")
    told = outcome("error", issue, problem["code"], problem["title"], problem.get("where"))
    response.body = json.dumps(told).encode()
    response.content_type = FHIR_JSON
    return response
