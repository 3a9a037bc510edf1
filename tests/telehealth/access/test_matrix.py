"""Role × action × object × context, generated, against a table that people wrote: no mismatch."""

import itertools
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from telehealth.access import RULE_IDS, RULES, Action, Caller, Context, Kind, Object, Policy, judged, may
from telehealth.access.bounds import Bounds, parse_span
from tests.telehealth.access.oracle import GOOD_PURPOSES, LINES, STEP_UP, Case, expected

NOW = datetime(2031, 5, 6, 12, tzinfo=UTC)
SCOPES = ("visits:read", "visits:write", "recordings:read", "recordings:manage", "retention:write")
SCOPES += ("audit:read", "users:manage", "metrics")
STAFF = ("admin", "clinician", "auditor", "front_desk")
ACTORS: list[dict[str, Any]] = [
    *({"kind": "user", "role": role} for role in STAFF),
    *({"kind": "token", "role": role, "scopes": scopes} for role in STAFF for scopes in ((), SCOPES, SCOPES[:3])),
    {"kind": "participant", "role": "patient"},
    {"kind": "participant", "role": "guest"},
    {"kind": "cli", "role": "admin"},
    {"kind": "system", "role": "system"},
    {"kind": "stranger", "role": "stranger"},
]
SOME = [
    actor for actor in ACTORS if actor["role"] not in ("auditor", "front_desk") and len(actor.get("scopes", "")) != 3
]
TRUTH = (False, True)
PLACES = ("unset", "inside", "outside", "unknown")
THEN = ("refuse", "purpose", "alert", "allow")
AXES: dict[str, tuple[Any, ...]] = {
    "mine": TRUTH,
    "on_team": TRUTH,
    "glass": TRUTH,
    "any": TRUTH,
    "held": TRUTH,
    "running": TRUTH,
    "window": ("none", "inside", "outside", "unknown"),
    "hours": PLACES,
    "network": PLACES,
    "country": PLACES,
    "outside": THEN,
    "device": ("known", "unknown", "untold"),
    "unknown_device": THEN,
    "purpose": (None, "treatment", "legal", "curiosity", ""),
    "proved": ("lately", "long_ago", "never", "in_the_future"),
}
OBJECT_AXES = ("mine", "on_team", "glass", "any", "running", "window")
HOURS, NETWORK = (parse_span("mon-fri 07:00-19:00"),), (ip_network("10.0.0.0/8"),)
AGES = {"lately": timedelta(minutes=2), "long_ago": STEP_UP, "never": None, "in_the_future": timedelta(seconds=-1)}
SAID = {"unset": None, "inside": True, "outside": False, "unknown": None}


def asked(case: Case) -> tuple[Caller, Action, Object, Context]:
    """The case as the rooms would ask it."""
    patient = case.kind == "participant"
    who = Caller(case.kind, "me", case.role, scopes=frozenset(case.scopes), visit="vis_1" if patient else None)  # type: ignore[arg-type]
    hour = timedelta(hours=1)
    window = {"none": None, "outside": (NOW + hour, NOW + 2 * hour)}.get(case.window, (NOW - hour, NOW + hour))
    thing = Object(
        kind=Kind.VISIT,
        id="vis_1" if case.mine or not patient else "vis_2",
        owner="me" if case.mine and not patient else "other",
        team=frozenset({"me", "third"} if case.on_team else {"third"}),
        opened=frozenset({"me"} if case.glass else ()),
        window=window,
        state="in_call" if case.running else "booked",
        held=case.held,
        any=case.any,
    )
    bounds = Bounds(
        hours=() if case.hours == "unset" else HOURS,
        networks=() if case.network == "unset" else NETWORK,
        countries=frozenset() if case.country == "unset" else frozenset({"DE", "AT"}),
        outside=case.outside,  # type: ignore[arg-type]
        unknown_device=case.unknown_device,  # type: ignore[arg-type]
    )
    context = Context(
        now=None if case.window == "unknown" else NOW,
        country={"inside": "AT", "outside": "FR"}.get(case.country),
        network=SAID[case.network],
        hours=SAID[case.hours],
        device_known={"known": True, "unknown": False}.get(case.device),
        mfa_age=AGES[case.proved],
        purpose=case.purpose,
        policy=Policy({case.role: bounds}, STEP_UP),
    )
    return who, Action(case.action), thing, context


def decided(case: Case) -> str:
    verdict = may(*asked(case))
    return "allowed" if verdict.allowed else verdict.rule


def mismatches(cases: Iterator[Case]) -> tuple[int, list[tuple[Case, str, str]]]:
    count, wrong = 0, []
    for case in cases:
        count += 1
        is_, should = decided(case), expected(case)
        if is_ != should:
            wrong.append((case, is_, should))
    return count, wrong[:5]


def objects() -> Iterator[Case]:
    """Every role, action and object, in the plainest context and with a purpose stated."""
    for actor, action, *values in itertools.product(ACTORS, LINES, *(AXES[name] for name in OBJECT_AXES)):
        yield Case(action=action, **actor, **dict(zip(OBJECT_AXES, values, strict=True)))


def contexts(names: tuple[str, ...]) -> Iterator[Case]:
    """Every role and action with every combination of these facts, for an object of their own."""
    for actor, action, *values in itertools.product(SOME, LINES, *(AXES[name] for name in names)):
        yield Case(action=action, mine=True, **actor, **dict(zip(names, values, strict=True)))


def sampled(count: int, seed: int) -> Iterator[Case]:
    """Everything at once, by chance."""
    chance = random.Random(seed)
    actions = tuple(LINES)
    for _ in range(count):
        facts = {name: chance.choice(values) for name, values in AXES.items()}
        yield Case(action=chance.choice(actions), **chance.choice(ACTORS), **facts)


def test_the_table_of_people_names_every_action_and_no_other() -> None:
    assert set(LINES) == {action.value for action in Action} == {action.value for action in RULES}


def test_every_role_action_and_object_is_decided_as_written() -> None:
    count, wrong = mismatches(objects())
    assert (count, wrong) == (len(ACTORS) * len(Action) * 2**5 * 4, [])


@pytest.mark.parametrize(
    "names",
    [
        ("hours", "outside", "purpose"),
        ("network", "outside", "purpose"),
        ("country", "outside", "purpose"),
        ("device", "unknown_device", "purpose"),
        ("proved", "purpose"),
    ],
)
def test_every_bound_is_decided_as_written(names: tuple[str, ...]) -> None:
    assert mismatches(contexts(names))[1] == []


def test_whatever_comes_together_is_decided_as_written() -> None:
    seed = int(os.environ.get("SEED", "") or random.randrange(2**32))
    assert mismatches(sampled(int(os.environ.get("N", "") or 20_000), seed))[1] == [], f"seed {seed}"


@pytest.mark.parametrize("actor", ACTORS, ids=lambda actor: f"{actor['kind']}-{actor['role']}")
def test_a_legal_hold_wins_over_everybody(actor: dict[str, Any]) -> None:
    held = Case("recordings.delete", **actor, mine=True, held=True)
    assert decided(held) == expected(held) != "allowed"


@pytest.mark.slow
def test_two_million_cases_are_decided_as_written() -> None:
    seed = int(os.environ.get("SEED", "") or 7)
    assert mismatches(sampled(2_000_000, seed))[1] == []


def test_a_wrong_table_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: another rule, another verdict."""
    for action, rule in RULES.items():
        changed = replace(rule, all_of=rule.all_of ^ {"front_desk"})
        monkeypatch.setattr("telehealth.access.rules.RULES", {**RULES, action: changed})
        assert mismatches(Case(action=action.value, **actor) for actor in ACTORS)[1], action


def test_a_verdict_names_a_rule_that_exists_and_the_one_that_was_asked_last() -> None:
    for case in itertools.islice(sampled(3_000, 11), 3_000):
        found, verdict = judged(*asked(case)), may(*asked(case))
        assert {one.rule for one in found} <= set(RULE_IDS)
        assert (found[-1].says == "refuse") is (not verdict.allowed)
        if not verdict:
            assert (found[-1].rule, found[-1].reason) == (verdict.rule, verdict.reason)


def test_what_only_alerts_lets_pass_and_is_told() -> None:
    case = Case("visits.read", "user", "clinician", mine=True, hours="outside", network="outside", outside="alert")
    verdict = may(*asked(case))
    assert verdict.allowed
    assert verdict.alerts == ("outside_hours", "outside_network")


def test_a_purpose_that_nobody_listed_counts_for_nothing() -> None:
    for purpose in ("curiosity", "", "TREATMENT", None):
        assert decided(Case("recordings.play", "user", "admin", purpose=purpose)) == "need_to_know"
    for purpose in GOOD_PURPOSES:
        assert decided(Case("recordings.play", "user", "admin", purpose=purpose)) == "allowed"


def test_an_action_that_the_table_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telehealth.access.rules.RULES", {})
    assert not any(may(*asked(replace(case, any=True))) for case in sampled(500, 5))
