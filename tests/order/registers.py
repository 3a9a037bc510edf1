"""Registers and de-identified exports, as they are asked for."""

from tests.order.cast import root_of
from tests.order.place import Ask, Place
from tests.order.sorts import Prepare

REGISTERS = ("associates", "incidents", "findings")
OTHERS = ("incident", "finding")
ASSOCIATE = {"name": "Host", "service": "hosting", "review_on": "2030-01-31"}


def register(path: str) -> Prepare:
    async def prepare(place: Place) -> Ask:
        return (await root_of(place)).ask("GET", f"/registers/{path}")

    return prepare


async def add_associate(place: Place) -> Ask:
    return (await root_of(place)).ask("POST", "/registers/associates", **ASSOCIATE)


async def export_deidentified(place: Place) -> Ask:
    return (await root_of(place)).ask("POST", "/privacy/exports", what="visits", purpose="quality")
