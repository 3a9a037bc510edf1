"""The signalling server with booked visits, as a process: the tests' own house, real but for media and recorder."""

import asyncio
import resource
import secrets
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.pipe import serve
from telehealth import log
from tests.partners.databases import SqliteDatabases
from tests.signaling.socket_house import SocketHouse, open_socket_house
from tests.telehealth.visits.visit_house import LONG

_EACH = 20  # visits of one clinician


async def _book(house: SocketHouse, visits: int) -> list[dict[str, Any]]:
    """Visits whose patients have passed their codes, and what the pages of both need."""
    found: list[dict[str, Any]] = []
    for number in range(visits):
        if number % _EACH == 0:
            staff = await house.place.staff(f"clinician-{secrets.token_hex(4)}")
        visit, guest = await house.place.booked(staff)
        pages = [{"cookie": f"staff={staff.cookie}", "auth": {"visit": visit.id}, "key": staff.key.jwk}]
        pages += [{"cookie": f"visit={guest.cookie}", "auth": {"join": True}, "key": guest.key.jwk}]
        found.append({"pages": pages, "patient": guest.participant})
    return found


async def main(folder: Path) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    log.configure(sys.stderr, "ERROR")
    schema = folder / "schema"
    schema.mkdir()
    databases = await asyncio.to_thread(SqliteDatabases, schema)
    async with AsyncExitStack() as stack:
        house = await open_socket_house(folder, databases, LONG, stack)

        async def answer(words: dict[str, Any]) -> dict[str, Any]:
            return {"url": house.url, "visits": await _book(house, words["visits"])}

        await serve(answer)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
