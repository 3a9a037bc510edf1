"""The contract is valid, whole, and what the server parses."""

import re

from jsonschema import Draft202012Validator

from telehealth.web.openapi import document
from telehealth.web.route import Who
from telehealth.web.table import ROUTES

from .conftest import Desk

DOCUMENT = document(ROUTES, "1")


def test_every_route_is_in_the_document_and_nothing_else() -> None:
    written = {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item}
    assert written == {(route.method, route.path) for route in ROUTES}
    assert DOCUMENT["openapi"] == "3.1.0"


def test_every_schema_is_draft_2020_12() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert re.fullmatch(r"[A-Za-z0-9._-]+", name), name
        Draft202012Validator.check_schema(schema)
    for item in DOCUMENT["paths"].values():
        for operation in item.values():
            for parameter in operation["parameters"]:
                Draft202012Validator.check_schema(parameter["schema"])


def test_every_reference_leads_somewhere() -> None:
    def references(part: object) -> set[str]:
        if isinstance(part, dict):
            own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
            return own.union(*(references(value) for value in part.values()))
        return set().union(*(references(value) for value in part)) if isinstance(part, list) else set()

    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert references(DOCUMENT) <= known


def test_every_operation_has_an_id_a_summary_an_answer_and_its_parameters() -> None:
    ids = [operation["operationId"] for item in DOCUMENT["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))
    schemes = set(DOCUMENT["components"]["securitySchemes"])
    for path, item in DOCUMENT["paths"].items():
        for operation in item.values():
            assert operation["summary"].endswith("."), operation["operationId"]
            assert any(status.startswith("2") for status in operation["responses"])
            named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))
            assert operation["x-who"] in set(Who)
            assert {name for choice in operation["security"] for name in choice} <= schemes


def test_secrets_are_marked_as_shown_once() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for name, field in (("NewLink", "url"), ("NewLink", "passcode"), ("Invited", "enrolment_url")):
        assert schemas[name]["properties"][field]["description"] == "Shown once."


async def test_it_is_served(desk: Desk) -> None:
    async with desk.client() as client:
        served = await (await client.get("/api/v1/openapi.json")).json()
        assert served["paths"].keys() == DOCUMENT["paths"].keys()


async def test_answers_fit_their_schemas(desk: Desk) -> None:
    client, _ = await desk.enrolled("admin", "root")
    schemas = {"components": DOCUMENT["components"]}
    async with client:
        await client.post("/api/v1/visits", json={"patient": {"name": "Zora"}})
        for route in ROUTES:
            if route.method != "GET" or "{" in route.path or route.answer is None or route.who is Who.PATIENT:
                continue
            needed = {"patient": "0" * 64} if route.name == "patient_report" else {}
            answer = await client.get(route.path, params=needed)
            assert answer.status == 200, f"{route.path}: {await answer.text()}"
            content = DOCUMENT["paths"][route.path]["get"]["responses"]["200"]["content"]
            Draft202012Validator({**schemas, **content["application/json"]["schema"]}).validate(await answer.json())
