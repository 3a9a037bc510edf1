"""Requests that read the log."""

from tests.order.cast import ada_of, root_of
from tests.order.place import NAME, Ask, Place
from tests.order.sorts import Prepare


async def _log(place: Place, path: str) -> Ask:
    return (await root_of(place)).ask("GET", f"/audit/{path}")


def reads_log(path: str) -> Prepare:
    async def prepare(place: Place) -> Ask:
        made = await place.booked(await ada_of(place))
        key = (await (await root_of(place)).ask("POST", "/audit/patients", name=NAME)()).said["items"][0]["patient"]
        return await _log(place, path.format(visit=made["visit"]["id"], patient=key))

    return prepare


async def read_tile(place: Place) -> Ask:
    width = min(place.house.log.head().size, 255)
    return await _log(place, f"tile/entries/000.p/{width}" if place.house.log.head().size < 256 else "tile/entries/000")


async def finds_patient(place: Place) -> Ask:
    await place.booked(await ada_of(place))
    return (await root_of(place)).ask("POST", "/audit/patients", name=NAME)
