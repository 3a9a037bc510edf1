"""Every route, socket event and command says how it stands to the log, and does as it says."""

import argparse
import importlib
import inspect
import operator
import re
from collections.abc import Iterator

import pytest

from signaling.namespace import VisitNamespace
from telehealth.commands.parser import build
from telehealth.web.table import ROUTES as TABLE
from tests.order.events import EVENTS
from tests.order.place import Place
from tests.order.probe import Probe
from tests.order.routes import ROUTES
from tests.order.sorts import Closes, Opens, Read, Ways
from tests.order.walk import each, watched
from tests.order.words import COMMANDS

ALL = {"routes": ROUTES, "events": EVENTS, "commands": COMMANDS}


def commands(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[str]:
    """The words of every command that does something."""
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not inner:
        yield " ".join(words)
    for name, deeper in inner[0].choices.items() if inner else ():
        yield from commands(deeper, (*words, name))


def test_every_route_says_how_it_stands_to_the_log() -> None:
    assert {route.name for route in TABLE} == set(ROUTES)


def test_every_command_says_how_it_stands_to_the_log() -> None:
    assert set(commands(build())) == set(COMMANDS)


async def test_every_event_says_how_it_stands_to_the_log() -> None:
    namespace = VisitNamespace(*[None] * 5)  # only its table is looked at
    assert set(namespace._events) == set(EVENTS)


@pytest.mark.parametrize("ways", ALL.values(), ids=ALL)
def test_ways_and_the_table_of_actions_agree(ways: Ways) -> None:
    for name, way in [*each(ways, Opens), *each(ways, Closes)]:
        assert {action.opens for action in way.actions} == {isinstance(way, Opens)}, name


@pytest.mark.parametrize("ways", ALL.values(), ids=ALL)
async def test_what_opens_waits_for_its_entry(ways: Ways, place: Place, probe: Probe) -> None:
    faults = {}
    for name, way in each(ways, Opens):
        assert isinstance(way, Opens)
        if found := await watched(place, probe, way, await way.prepare(place)):
            faults[name] = found
    assert not faults, "\n".join(f"{name}: {found}" for name, found in faults.items())


@pytest.mark.parametrize("ways", ALL.values(), ids=ALL)
def test_what_is_read_instead_enters_before_it_opens(ways: Ways) -> None:
    faults = {}
    for name, several in ways.items():
        for way in several:
            if isinstance(way, Read) and (found := misread(way)):
                faults[name] = found
    assert not faults


def misread(way: Read) -> str:
    """What is wrong with a source; nothing is good."""
    module, _, path = way.source.partition(":")
    found = operator.attrgetter(path)(importlib.import_module(module))
    source = inspect.getsource(found)
    if not any(f"Action.{action.name}" in inspect.getsource(importlib.import_module(module)) for action in way.actions):
        return "does not name its action"
    entered = re.search(r"\.(act|enter)\(", source)
    opened = re.search(r"\.begin\(|open_file\(|\byield\b|_sessions\.start|\.open\(", source)
    if entered is None:
        return "no entry"
    return "opens before its entry" if opened and opened.start() < entered.start() else ""
