"""Doing acts under watch: does the entry come first, and what happens to them while the log is down."""

import asyncio

from tests.order.place import Ask, Place, Reply, http
from tests.order.probe import Fault, Probe, Watch
from tests.order.sorts import Closes, Opens, Ways


def each(ways: Ways, sort: type[Opens] | type[Closes]) -> list[tuple[str, Opens | Closes]]:
    """Names and ways of one sort."""
    return [
        (f"{name}[{at}]", way)
        for name, several in ways.items()
        for at, way in enumerate(several)
        if isinstance(way, sort) and isinstance(way, Opens | Closes)
    ]


async def watched(place: Place, probe: Probe, way: Opens, ask: Ask) -> list[str]:
    """What was wrong with the order of one act; nothing is good."""
    actions = frozenset(str(action) for action in way.actions)
    watch = Watch(actions, place.state, await place.still(), place.turn)
    probe.watch = watch
    try:
        reply = await ask()
        watch.answered.set()
    finally:
        probe.watch = None
    faults = [] if reply.done else [f"refused: {reply.code}"]
    if not watch.entered:
        faults.append("no entry")
    if watch.early:
        faults.append("answered before its entry was durable")
    return faults + [f"changed before its entry: {name}" for name in watch.changed if name not in way.reserves]


async def at_once(asks: list[tuple[str, Ask]]) -> dict[str, Reply]:
    """All of them together, as an attacker or a busy morning would."""
    replies = await asyncio.gather(*(ask() for _, ask in asks))
    return dict(zip([name for name, _ in asks], replies, strict=True))


async def without_log(place: Place, probe: Probe, fault: Fault, asks: list[tuple[str, Ask]]) -> dict[str, str | None]:
    """What was not refused as it must be while the log has this fault: names with how they ended, or what changed."""
    before = await place.still()
    with probe.down(fault, place.config.places.audit):
        await noticed(place)
        replies = await at_once(asks)
        after = await place.still()
    wrong = {name: reply.code for name, reply in replies.items() if reply.code != "log_unavailable"}
    return wrong | {f"changed: {name}": None for name in after if after[name] != before[name]}


async def noticed(place: Place) -> None:
    """Until the log knows that it is down; a slow one never does."""
    reply = await http(place.client(), "POST", "/session", {"login": "x", "password": "y", "code": "1"})()
    assert reply.code == "sign_in_refused"
