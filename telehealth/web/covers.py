"""Which servers' logs an answer was made from, and which it was not: each of several servers has a log of its own."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from telehealth.web.models import Told
from telehealth.web.route import Ask


class LogTold(Told):
    """A server that keeps an audit log of its own; `address`: machine and port of its last start."""

    name: str
    address: str


class Covers(Told):
    """What is told was done through `server` alone."""

    server: str = Field(description="Empty for the only server.")
    missing: Sequence[LogTold] = Field(description="The servers whose logs were not looked into.")


async def covered(ask: Ask[Any, Any]) -> Covers:
    """This server's log, and the others there are."""
    logs = ask.rooms.server_logs
    others = await logs.others() if logs else ()
    missing = [LogTold(name=other.name, address=other.address) for other in others]
    return Covers(server=logs.name if logs else "", missing=missing)
