"""The log is slow, full or gone: nothing opens, nothing that closes waits, and care goes on."""

from collections import Counter
from io import StringIO

import pytest

from telehealth.audit.leaf import Stored
from tests.order import events, recordings
from tests.order.events import EVENTS
from tests.order.place import Ask, Place, soon
from tests.order.probe import Fault, Probe
from tests.order.routes import ROUTES
from tests.order.sorts import Closes, Opens, Under
from tests.order.walk import at_once, each, noticed, without_log
from tests.order.words import COMMANDS

FAULTS: tuple[Fault, ...] = ("slow", "full", "gone")
LONG = pytest.mark.slow
OPENING = ["slow", pytest.param("full", marks=LONG), pytest.param("gone", marks=LONG)]
CLOSING = [pytest.param("slow", marks=LONG), pytest.param("full", marks=LONG), "gone"]
ALL = {"routes": ROUTES, "events": EVENTS, "commands": COMMANDS}


async def back(place: Place) -> list[Stored]:
    """All entries, once the log has taken everything that waited."""
    log = place.house.log
    await soon(lambda: log.healthy and not log.waiting)
    found: list[Stored] = []
    while page := await log.entries(after=found[-1].index if found else -1, limit=1000):
        found += page
    return found


@pytest.mark.parametrize("fault", OPENING)
@pytest.mark.parametrize("which", ALL)
async def test_nothing_opens_while_the_log_is_down(which: str, fault: Fault, place: Place, probe: Probe) -> None:
    asks: list[tuple[str, Ask]] = []
    reserved: set[str] = set()
    for name, way in each(ALL[which], Opens):
        assert isinstance(way, Opens)
        asks.append((name, await way.prepare(place)))
        reserved |= way.reserves
    wrong = await without_log(place, probe, fault, asks)
    await back(place)
    assert {name: how for name, how in wrong.items() if name.removeprefix("changed: ") not in reserved} == {}


@pytest.mark.parametrize("fault", CLOSING)
@pytest.mark.parametrize("which", ALL)
async def test_what_closes_happens_at_once_and_is_entered_later(
    which: str, fault: Fault, place: Place, probe: Probe
) -> None:
    ways = [(name, way) for name, way in each(ALL[which], Closes) if isinstance(way, Closes)]
    asks = [(name, await way.prepare(place)) for name, way in ways]
    await place.still()
    since = place.house.log.head().size
    with probe.down(fault, place.config.places.audit):
        await noticed(place)
        replies = dict(zip([name for name, _ in asks], [await ask() for _, ask in asks], strict=True))
        assert {name: replies[name].code for name, way in ways if replies[name].code != way.code} == {}
    entered = Counter(stored.action for stored in await back(place) if stored.index >= since)
    wanted = Counter(str(action) for _, way in ways for action in way.actions)
    assert {action for action in wanted if entered[action] < wanted[action]} == set()
    assert "audit.lost" not in entered


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_hundred_of_a_hundred_reads_of_recordings_are_refused(fault: Fault, place: Place, probe: Probe) -> None:
    grant, show = await recordings.grant_playback(place), await recordings.show_recording(place)
    assert (await grant()).done
    assert (await show()).done
    going_on = [
        (name, await way.prepare(place))
        for name, several in ROUTES.items()
        for way in several
        if isinstance(way, Under) and way.prepare is not None
    ]
    given = place.keys_given
    with probe.down(fault, place.config.places.audit):
        await noticed(place)
        replies = await at_once([(str(at), (grant, show)[at % 2]) for at in range(100)])
        assert Counter(reply.code for reply in replies.values()) == {"log_unavailable": 100}
        assert place.keys_given == given
        if fault != "slow":  # a log that is only slow has the grant's entry
            assert {name: reply.code for name, reply in (await at_once(going_on)).items()} == dict.fromkeys(
                dict(going_on), "log_unavailable"
            )
    await back(place)
    assert (await grant()).done


@pytest.mark.parametrize("fault", FAULTS)
async def test_calls_go_on_and_somebody_in_need_is_let_in(
    fault: Fault, place: Place, probe: Probe, said: StringIO
) -> None:
    doctor, patient = await events.call(place)
    waiter, guest = await events.waiting(place)
    with probe.down(fault, place.config.places.audit):
        await noticed(place)
        description = {"type": "offer", "sdp": "v=0"}
        assert (await doctor.send("signal", {"to": patient.participant, "description": description}))["ok"]
        assert (await patient.event("signal"))["description"] == description
        assert (await patient.send("media", {"audio": False, "video": True, "screen": False}))["ok"]
        await doctor.sees(lambda view: any(not one["audio"] for one in view["participants"]))
        refused = await waiter.send("admit", {"participant": guest.participant})
        assert refused["error"] == "log_unavailable"
        let_in = await waiter.send("admit", {"participant": guest.participant, "break_glass": True})
        assert let_in["ok"]
        await guest.sees(lambda view: view["self"]["state"] == "admitted")
        assert "alarm.break_glass" in said.getvalue()
    found = [stored for stored in await back(place) if stored.action == "break_glass.admit"]
    assert [stored.detail["log_down"] for stored in found] == [True]
