"""Builds that open first and enter later: the walk must see each of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from telehealth.audit.entry import Entry, Outcome
from telehealth.audit.faults import LogUnavailable
from telehealth.audit.log import Act, AuditLog
from tests.order.events import EVENTS
from tests.order.place import Place
from tests.order.probe import Probe
from tests.order.routes import ROUTES
from tests.order.sorts import Opens, Way
from tests.order.walk import watched, without_log
from tests.order.words import COMMANDS

enter = AuditLog.enter


def way_of(several: tuple[Way, ...]) -> Opens:
    return next(way for way in several if isinstance(way, Opens))


# One of each kind: what reads, what writes, what gives out a key, what lets somebody in, what a command does.
SOME = {
    "show_visit": way_of(ROUTES["show_visit"]),
    "list_entries": way_of(ROUTES["list_entries"]),
    "create_token": way_of(ROUTES["create_token"]),
    "grant_playback": way_of(ROUTES["grant_playback"]),
    "admit": way_of(EVENTS["admit"]),
    "recording.ask": way_of(EVENTS["recording.ask"]),
    "visit create": way_of(COMMANDS["visit create"]),
    "audit tail": way_of(COMMANDS["audit tail"]),
}


def answers_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries are made, but nobody waits for them."""
    owed: set[asyncio.Task[int]] = set()

    async def entered(log: AuditLog, entry: Entry) -> int:
        task = asyncio.create_task(enter(log, entry))
        owed.add(task)
        task.add_done_callback(owed.discard)
        return 0

    monkeypatch.setattr(AuditLog, "enter", entered)


def acts_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The act's body runs, then its intent is entered."""

    @asynccontextmanager
    async def act(log: AuditLog, entry: Entry) -> AsyncIterator[Act]:
        yield Act(entry, 0)
        await enter(log, replace(entry, outcome=Outcome.INTENT))

    async def entered(log: AuditLog, entry: Entry) -> int:
        return 0

    monkeypatch.setattr(AuditLog, "act", act)
    monkeypatch.setattr(AuditLog, "enter", entered)


def enters_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def entered(log: AuditLog, entry: Entry) -> int:
        return 0

    @asynccontextmanager
    async def act(log: AuditLog, entry: Entry) -> AsyncIterator[Act]:
        yield Act(entry, 0)

    monkeypatch.setattr(AuditLog, "enter", entered)
    monkeypatch.setattr(AuditLog, "act", act)


CHEATS: tuple[Callable[[pytest.MonkeyPatch], None], ...] = (answers_first, acts_first, enters_nothing)


@pytest.mark.parametrize("cheat", CHEATS)
async def test_the_walk_sees_a_build_that_opens_before_its_entry(
    cheat: Callable[[pytest.MonkeyPatch], None], place: Place, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = {name: await way.prepare(place) for name, way in SOME.items()}
    more = [(name, await way.prepare(place)) for name, way in SOME.items()]
    cheat(monkeypatch)
    found = {name: bool(await watched(place, probe, way, asks[name])) for name, way in SOME.items()}
    wrong = await without_log(place, probe, "slow", more)
    assert {name for name, seen in found.items() if not seen and name not in wrong} == set()


async def test_the_walk_sees_a_build_that_goes_on_without_its_log(
    place: Place, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = {name: await way.prepare(place) for name, way in SOME.items()}

    async def entered(log: AuditLog, entry: Entry) -> int:
        try:
            return await enter(log, entry)
        except LogUnavailable:
            return 0

    monkeypatch.setattr(AuditLog, "enter", entered)
    wrong = await without_log(place, probe, "full", list(asks.items()))
    assert set(asks) <= set(wrong)
