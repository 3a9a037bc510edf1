"""What belongs to somebody else reads byte for byte like what never was, on every route that takes an id."""

import random
import re
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.generation.modes import GenerationMode

from telehealth.ids import new_id
from telehealth.web.models import Nothing
from telehealth.web.route import PATH_KINDS, Route
from telehealth.web.table import ROUTES
from tests.attack.cast import Clinic, Somebody, enrolled
from tests.attack.test_contract import BY_ID

# Whoever breaks the glass says so first, and is entered: that one visit is another's is the point of it.
MEANT = {"break_visit", "break_recording"}
NAMES = re.compile(r"\{(\w+)\}")
WITH_IDS = [route for route in ROUTES if NAMES.search(route.path) and route.name not in MEANT]


@dataclass
class Bystander:
    """A colleague with a visit of their own, and no part in anybody else's."""

    who: Somebody
    own: dict[str, str]


@pytest.fixture(scope="module")
def bystander(clinic: Clinic) -> Bystander:
    added = clinic.people["admin"].post("/users", login="bystander", name="By Stander", role="clinician")
    who = enrolled(clinic.house, "clinician", added["enrolment_url"].split("#")[1])
    visit = who.post("/visits", patient={"name": "Xaver Quill"}, channel="passcode")
    return Bystander(who, {"visit": visit["visit"]["id"], "link": visit["link"]["id"]})


def foreign(clinic: Clinic) -> dict[str, str]:
    """Ids of the clinician's things, by the names they have in paths."""
    clinician = clinic.people["clinician"]
    sessions = clinician.ask("GET", "/api/v1/sessions").json()["items"]
    return {name: found[0] for name, found in clinic.ids.items()} | {"session": sessions[0]["id"]}


def body_of(route: Route) -> Any:
    """A body that the route's model takes, where it wants one."""
    kept: list[Any] = []
    if route.body is Nothing:
        return None

    @seed(7)
    @settings(
        max_examples=1, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(case=BY_ID[route.name].as_strategy(generation_mode=GenerationMode.POSITIVE))
    def one(case: Any) -> None:
        kept.append(case.body)

    one()
    return kept[0]


def filled(path: str, ids: dict[str, str]) -> str:
    return NAMES.sub(
        lambda name: ids.get(name[1]) or (new_id(PATH_KINDS[name[1]]) if name[1] in PATH_KINDS else "0"), path
    )


@pytest.mark.parametrize("route", WITH_IDS, ids=lambda route: route.name)
def test_foreign_things_read_like_nothing(clinic: Clinic, bystander: Bystander, route: Route) -> None:
    random.seed(7)
    theirs, body = foreign(clinic), body_of(route)
    names = NAMES.findall(route.path)
    tries = [dict.fromkeys(names, ""), {name: theirs.get(name, "") for name in names}]
    if names[1:] not in ([], ["user"]) and names[0] in bystander.own:  # somebody else's thing under one's own
        tries += [
            {names[0]: bystander.own[names[0]]},
            {names[0]: bystander.own[names[0]]} | {name: theirs.get(name, "") for name in names[1:]},
        ]
    answers = []
    for ids in tries:
        answer = bystander.who.ask(route.method, filled(route.path, ids), json=body)
        assert answer.status_code >= 400, f"{route.method} {filled(route.path, ids)} did {answer.text}"
        answers.append((answer.status_code, answer.content))
    assert answers[0::2] == answers[1::2], f"{route.method} {route.path} tells foreign from unknown"
