"""Registers and de-identified exports, as they are asked for."""

from tests.order.cast import root_of
from tests.order.place import Ask, Place
from tests.order.sorts import Prepare

REGISTERS = ("associates", "incidents", "findings")
ITEMS = {
    "associate": {"name": "Host", "service": "hosting", "review_on": "2030-01-31"},
    "incident": {"title": "A lost laptop", "discovered_on": "2026-01-31"},
    "finding": {"title": "A", "severity": "low", "found_on": "2026-01-31", "owner": "Ada", "due_on": "2030-01-31"},
}


def register(path: str) -> Prepare:
    async def prepare(place: Place) -> Ask:
        return (await root_of(place)).ask("GET", f"/registers/{path}")

    return prepare


def add(kind: str) -> Prepare:
    async def prepare(place: Place) -> Ask:
        return (await root_of(place)).ask("POST", f"/registers/{kind}s", **ITEMS[kind])

    return prepare


async def added(place: Place, kind: str) -> str:
    """The id of a new item."""
    reply = await (await add(kind)(place))()
    assert reply.done, reply
    return str(reply.said["id"])


def change(kind: str) -> Prepare:
    async def prepare(place: Place) -> Ask:
        item = await added(place, kind)
        body = {"revision": 0, "item": ITEMS[kind]}
        return (await root_of(place)).ask("PUT", f"/registers/{kind}s/{item}", **body)

    return prepare


async def export_deidentified(place: Place) -> Ask:
    return (await root_of(place)).ask("POST", "/privacy/exports", what="visits", purpose="quality")
