"""Nothing can be asked that the table does not know: every route, socket event and command states what it asks for."""

import argparse
from collections.abc import Iterator

import pytest

from signaling.namespace import VisitNamespace
from telehealth.access import RULES, STRANGER, Action, Kind, Object, may
from telehealth.access.asks import COMMANDS, EVENTS, ROUTES, Ask
from telehealth.commands import parser
from telehealth.web.route import ROLES, Route, Who
from telehealth.web.table import ROUTES as TABLE


def commands(at: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[str]:
    below = [action for action in at._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield " ".join(words)
    for sub in below:
        for name, one in sub.choices.items():
            yield from commands(one, (*words, name))


def events() -> set[str]:
    """The names the namespace answers, as it was made."""
    made = VisitNamespace(*([None] * 5))  # type: ignore[arg-type]  # it keeps its neighbours, and asks none
    return set(made._events)


def test_every_route_states_its_action_and_kind() -> None:
    assert {route.name for route in TABLE} - set(ROUTES) == set()


def test_every_socket_event_states_its_action_and_kind() -> None:
    assert events() == set(EVENTS)


def test_every_command_states_its_action_and_kind() -> None:
    assert set(commands(parser.build())) - set(COMMANDS) == set()


@pytest.mark.parametrize("table", [ROUTES, EVENTS, COMMANDS])
def test_what_is_stated_is_in_the_matrix(table: dict[str, Ask]) -> None:
    for name, ask in table.items():
        assert ask.action in RULES, name
        assert isinstance(ask.kind, Kind), name


@pytest.mark.parametrize("route", TABLE, ids=lambda route: route.name)
def test_a_route_says_the_same_as_the_table(route: Route) -> None:
    """Its roles, its scope, and whether it wants two factors again."""
    rule = RULES[ROUTES[route.name].action]
    assert route.step_up is rule.fresh
    assert route.scope == (rule.scope or None)
    if route.who in ROLES:
        assert (rule.all_of | rule.own) - {"system", "patient", "guest", "stranger"} <= ROLES[route.who]
    if route.who is Who.ANYONE:
        assert may(STRANGER, ROUTES[route.name].action)
    else:
        assert not may(STRANGER, ROUTES[route.name].action, Object(any=True))


def test_a_patient_may_send_what_a_patient_sends_and_nothing_of_the_clinicians() -> None:
    assert {ask.action for ask in EVENTS.values()} == {Action.VISITS_JOIN, Action.VISITS_CALL}
    assert EVENTS["consent.withdraw"].action is Action.VISITS_JOIN
    assert {name for name, ask in EVENTS.items() if ask.action is Action.VISITS_CALL} == {
        "admit",
        "remove",
        "end",
        "screen_policy",
        "recording.ask",
        "recording.stop",
        "recording.pause",
        "recording.resume",
    }
