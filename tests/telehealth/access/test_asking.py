"""How rooms ask: who is let pass, how a refusal is told, what the log is told of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from telehealth.access import (
    RULES,
    SCOPES,
    SYSTEM,
    Action,
    Caller,
    Context,
    Kind,
    Object,
    Policy,
    PurposeNeeded,
    Refused,
    Unseen,
    command_line,
    only_own,
    recently_proven,
    refused_entry,
    require,
)
from telehealth.access.bounds import Bounds, Then, parse_span
from telehealth.access.words import REASON_WORDS, RULE_WORDS
from telehealth.errors import Forbidden, NotFound, Refusal
from telehealth.web.problems import problem

NOW = datetime(2031, 5, 6, tzinfo=UTC)
ADMIN = Caller("user", "usr_a", "admin")
CLINICIAN = Caller("user", "usr_c", "clinician")
RECORDING = Object(Kind.RECORDING, "rec_1", "usr_other", visit="vis_1", patient="ab" * 32)


def refused(caller: Caller, action: Action, thing: Object | None = None, purpose: str | None = None) -> Refusal:
    with pytest.raises(Refusal) as caught:
        require(caller, action, thing, purpose=purpose)
    return caught.value


def test_every_scope_is_some_rules_and_every_rule_has_words() -> None:
    assert {rule.scope for rule in RULES.values()} - {None, ""} == SCOPES
    assert set(RULE_WORDS) == {"role", "token", "circle", "need_to_know", "window"} | {
        "hours",
        "network",
        "country",
        "device",
        "mfa",
        "hold",
    }
    assert all(REASON_WORDS.values())


def test_a_proof_of_both_factors_is_recent_for_a_while_and_never_in_the_future() -> None:
    while_ = timedelta(minutes=10)
    for ago, recent in ((0, True), (599, True), (600, False), (86_400, False), (-1, False), (-86_400, False)):
        who = Caller("user", "usr_a", "admin", mfa_at=NOW - timedelta(seconds=ago))
        assert recently_proven(who, NOW, while_) is recent
    assert not recently_proven(ADMIN, NOW, while_)
    assert recently_proven(command_line(), NOW, while_)
    assert recently_proven(SYSTEM, NOW, while_)


def test_the_log_names_the_token_not_its_owner() -> None:
    token = Caller("token", "usr_a", "admin", frozenset(), session="tok_1", address="192.0.2.7")
    actor = token.actor()
    assert (actor.kind, actor.id, actor.role, actor.address) == ("token", "tok_1", "admin", "192.0.2.7")


def test_lists_leave_out_what_is_not_ones_own() -> None:
    assert only_own(CLINICIAN, Action.VISITS_LIST)
    assert not only_own(ADMIN, Action.VISITS_LIST)


def test_what_is_not_ones_own_is_told_in_the_same_bytes_as_what_is_not_there() -> None:
    nothing = problem(NotFound())
    for who, action in (
        (CLINICIAN, Action.RECORDINGS_READ),
        (CLINICIAN, Action.RECORDINGS_PLAY),
        (Caller("user", "usr_r", "auditor"), Action.RECORDINGS_READ),
        (Caller("token", "usr_a", "admin", frozenset()), Action.RECORDINGS_READ),
    ):
        refusal = refused(who, action, RECORDING, "treatment")
        assert isinstance(refusal, Unseen)
        told = problem(refusal)
        assert (told.status, told.body, told.headers) == (nothing.status, nothing.body, nothing.headers)


def test_every_refusal_by_a_rule_reads_the_same_whatever_the_rule() -> None:
    shut = Policy({"admin": Bounds(hours=(parse_span("mon 00:00-00:01"),), unknown_device="refuse")})
    plain = problem(Forbidden())
    for refusal in (
        refused(CLINICIAN, Action.USERS_MANAGE),
        refused(Caller("token", "usr_a", "admin", frozenset()), Action.USERS_MANAGE),
        refused(replace(ADMIN, context=Context(now=NOW, hours=False, policy=shut)), Action.USERS_MANAGE),
        refused(replace(ADMIN, context=Context(now=NOW, hours=True, policy=shut)), Action.USERS_MANAGE),
    ):
        assert isinstance(refusal, Refused)
        assert (problem(refusal).status, problem(refusal).body) == (plain.status, plain.body)


def test_the_auditor_is_told_the_rule_the_reason_and_the_thing() -> None:
    refusal = refused(CLINICIAN, Action.RECORDINGS_PLAY, RECORDING, "treatment")
    entry = refused_entry(CLINICIAN, refusal, {"request": "grant_playback"})
    assert entry is not None
    assert entry.detail == {
        "request": "grant_playback",
        "action": "recordings.play",
        "rule": "circle",
        "reason": "outside_circle",
    }
    assert (entry.visit, entry.recording, entry.patient) == ("vis_1", "rec_1", "ab" * 32)
    assert refused_entry(CLINICIAN, NotFound(), {}) is None


def test_an_admin_plays_a_colleagues_recording_only_for_a_stated_purpose() -> None:
    assert isinstance(refused(ADMIN, Action.RECORDINGS_PLAY, RECORDING), PurposeNeeded)
    assert isinstance(refused(ADMIN, Action.RECORDINGS_PLAY, RECORDING, "curiosity"), PurposeNeeded)
    assert require(ADMIN, Action.RECORDINGS_PLAY, RECORDING, purpose="legal").reason == "every"
    assert require(Caller("user", "usr_other", "admin"), Action.RECORDINGS_PLAY, RECORDING)


@pytest.mark.parametrize(("then", "kind"), [("refuse", Refused), ("purpose", PurposeNeeded)])
def test_who_is_outside_is_asked_for_a_purpose_only_where_one_would_help(then: Then, kind: type[Refusal]) -> None:
    bounds = Bounds(hours=(parse_span("mon 00:00-00:01"),), outside=then)
    who = replace(ADMIN, context=Context(now=NOW, hours=False, policy=Policy({"admin": bounds})))
    assert isinstance(refused(who, Action.VISITS_READ, RECORDING), kind)
    if then == "purpose":
        assert require(who, Action.VISITS_READ, RECORDING, purpose="treatment")


def test_require_takes_an_owner_in_place_of_a_thing() -> None:
    require(SYSTEM, Action.RECORDINGS_MANAGE)
    require(command_line(), Action.USERS_MANAGE)
    require(CLINICIAN, Action.VISITS_READ, owner="usr_c")
    with pytest.raises(Forbidden):
        require(CLINICIAN, Action.VISITS_READ, owner="usr_other")
