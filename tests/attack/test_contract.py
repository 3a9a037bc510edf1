"""Every operation, as every role, with what the contract allows and what it does not: only documented answers."""

import os
import random
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from telehealth.web.openapi import document
from telehealth.web.route import ROLES, Who
from telehealth.web.table import ROUTES
from tests.attack.cast import Clinic

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
CALLERS = ("stranger", "auditor", "front_desk", "patient", "clinician", "token", "admin")
# What would sign the caller themselves out, in the middle of the rest; `tests/telehealth/web` tries these.
OWN_END = {"sign_out", "sso_sign_out", "end_sessions", "end_session", "give_up", "change_password", "lose_device"}
STILL_IN = dict.fromkeys(CALLERS, "/api/v1/session") | {
    "stranger": "/api/v1/about",
    "patient": "/api/v1/join",
    "token": "/api/v1/visits",
}
SCHEMA = schemathesis.openapi.from_dict(document(ROUTES, "1"))
WHO = {route.name: route.who for route in ROUTES}
EXAMPLES = int(os.environ.get("N", "") or 1)  # of each kind, for each operation and caller
BY_ID = {
    operation.definition.raw["operationId"]: operation
    for operation in (found.ok() for found in SCHEMA.get_all_operations())
}


def modes(caller: str, name: str) -> list[GenerationMode]:
    """Who is turned away at the door asks once: what they would have said is not read."""
    who = WHO[name]
    met = {Who.ANYONE: True, Who.METRICS: True, Who.PATIENT: caller == "patient"}
    role = "admin" if caller == "token" else caller
    return list(GenerationMode) if met.get(who, role in ROLES.get(who, ())) else [GenerationMode.POSITIVE]


def tried(clinic: Clinic, name: str, mode: GenerationMode, chance: random.Random) -> list[str]:
    """Every caller asks for the same, half of it about what exists; what was answered wrongly."""
    wrong: list[str] = []
    callers = [clinic.people[caller] for caller in CALLERS if mode in modes(caller, name)]

    @seed(7)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=BY_ID[name].as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        for part in case.path_parameters or {}:
            if part in clinic.ids and chance.random() < 0.5:
                case.path_parameters[part] = chance.choice(clinic.ids[part])
        for somebody in callers:
            answer = case.call(base_url=somebody.url, session=somebody.session, timeout=30, allow_redirects=False)
            try:
                case.validate_response(answer, checks=CHECKS)
            except FailureGroup as group:
                wrong.extend(f"{name} by {somebody.role}: {failure}" for failure in group.exceptions)

    with suppress(Unsatisfiable):  # nothing here can be negated
        one()
    return wrong


@pytest.mark.parametrize("tag", sorted({route.tag for route in ROUTES}))
def test_no_request_gets_a_server_error_or_an_undocumented_answer(clinic: Clinic, tag: str) -> None:
    chance, wrong = random.Random(7), list[str]()
    for route in ROUTES:
        if route.tag == tag and route.name not in OWN_END:
            for mode in GenerationMode:
                wrong += tried(clinic, route.name, mode, chance)
            out = [who for who, path in STILL_IN.items() if clinic.people[who].ask("GET", path).status_code != 200]
            assert out == [], f"signed out by {route.name}"
    assert not wrong, "\n\n".join(wrong)
