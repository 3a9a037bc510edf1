"""Who may what: the whole table, walked."""

from datetime import UTC, datetime, timedelta

import pytest

from telehealth.access import (
    RULES,
    SCOPES,
    SYSTEM,
    Action,
    Caller,
    command_line,
    may,
    only_own,
    recently_proven,
    require,
)
from telehealth.errors import Forbidden

ADMIN = Caller("user", "usr_a", "admin")
CLINICIAN = Caller("user", "usr_c", "clinician")
AUDITOR = Caller("user", "usr_r", "auditor")
DESK = Caller("user", "usr_d", "front_desk")
PATIENT = Caller("participant", "par_p", "patient", visit="vis_1", participant="par_p")

OWN = {
    Action.VISITS_READ,
    Action.VISITS_WRITE,
    Action.VISITS_END,
    Action.VISITS_CALL,
    Action.RECORDINGS_READ,
    Action.RECORDINGS_PLAY,
}
LISTS = {Action.VISITS_LIST, Action.RECORDINGS_LIST}


def test_every_action_has_its_rule_and_every_scope_exists() -> None:
    assert set(RULES) == set(Action)
    assert {rule.scope for rule in RULES.values()} - {None} == SCOPES


def test_an_admin_may_all_but_step_into_another_ones_call() -> None:
    assert {action for action in Action if not may(ADMIN, action, owner="usr_c")} == {Action.VISITS_CALL}
    assert may(ADMIN, Action.VISITS_CALL, owner="usr_a")


def test_a_clinician_may_what_is_their_own() -> None:
    assert {action for action in Action if may(CLINICIAN, action, owner="usr_c")} == OWN | LISTS | {
        Action.VISITS_CREATE
    }
    assert {action for action in Action if may(CLINICIAN, action, owner="usr_other")} == LISTS | {Action.VISITS_CREATE}
    assert {action for action in Action if may(CLINICIAN, action)} == LISTS | {Action.VISITS_CREATE}


def test_an_auditor_reads_the_log_and_nothing_else() -> None:
    assert {action for action in Action if may(AUDITOR, action, owner="usr_r")} == {Action.AUDIT_READ}


def test_the_front_desk_books_for_everybody_and_sees_no_recording() -> None:
    books = {Action.VISITS_CREATE, Action.VISITS_LIST, Action.VISITS_READ, Action.VISITS_WRITE}
    for owner in (None, "usr_c", "usr_d"):
        assert {action for action in Action if may(DESK, action, owner=owner)} == books
    assert not only_own(DESK, Action.VISITS_LIST)


def test_a_proof_of_both_factors_is_recent_for_a_while_and_never_in_the_future() -> None:
    now, while_ = datetime(2031, 5, 6, tzinfo=UTC), timedelta(minutes=10)
    for ago, recent in ((0, True), (599, True), (600, False), (86_400, False), (-1, False), (-86_400, False)):
        who = Caller("user", "usr_a", "admin", mfa_at=now - timedelta(seconds=ago))
        assert recently_proven(who, now, while_) is recent
    assert not recently_proven(ADMIN, now, while_)
    assert not recently_proven(PATIENT, now, while_)
    assert recently_proven(command_line(), now, while_)
    assert recently_proven(SYSTEM, now, while_)


def test_a_patient_may_nothing_of_the_staffs() -> None:
    assert not any(may(PATIENT, action, owner=owner) for action in Action for owner in (None, "par_p", "vis_1"))


@pytest.mark.parametrize("scope", sorted(SCOPES))
def test_a_token_may_what_its_scope_says_and_its_role_allows(scope: str) -> None:
    token = Caller("token", "usr_a", "admin", frozenset({scope}), session="tok_1")
    assert {action for action in Action if may(token, action, owner="usr_a")} == {
        action for action, rule in RULES.items() if rule.scope == scope
    }
    weak = Caller("token", "usr_r", "auditor", frozenset({scope}), session="tok_1")
    assert may(weak, Action.AUDIT_READ) is (scope == "audit:read")
    assert not may(weak, Action.USERS_MANAGE)


def test_a_token_without_scopes_may_nothing() -> None:
    assert not any(may(Caller("token", "usr_a", "admin"), action, owner="usr_a") for action in Action)


def test_lists_leave_out_what_is_not_ones_own() -> None:
    assert only_own(CLINICIAN, Action.VISITS_LIST)
    assert not only_own(ADMIN, Action.VISITS_LIST)


def test_require_refuses() -> None:
    require(SYSTEM, Action.RECORDINGS_MANAGE)
    require(command_line(), Action.USERS_MANAGE)
    with pytest.raises(Forbidden):
        require(CLINICIAN, Action.RECORDINGS_MANAGE, owner="usr_c")


def test_the_log_names_the_token_not_its_owner() -> None:
    token = Caller("token", "usr_a", "admin", frozenset(), session="tok_1", address="192.0.2.7")
    actor = token.actor()
    assert (actor.kind, actor.id, actor.role, actor.address) == ("token", "tok_1", "admin", "192.0.2.7")
    assert CLINICIAN.actor().id == "usr_c"
