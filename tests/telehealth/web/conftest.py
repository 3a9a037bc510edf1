"""A real house in a temporary folder behind a real aiohttp server on loopback."""

import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import pyotp
import pytest
import structlog
from aiohttp import ClientResponse, ClientSession, CookieJar
from aiohttp.test_utils import TestServer

from signaling.rtc import MediaPort
from signaling.turn import IceServers
from telehealth.access import command_line
from telehealth.app import ROOT, rooms_of
from telehealth.clock import SystemClock
from telehealth.config import Config
from telehealth.house import ENTROPY, House, open_house
from telehealth.identity.hashing import Cost
from telehealth.log import configure
from telehealth.reach.room import Reach
from telehealth.reach.trials import Trials
from telehealth.web.metrics import Metrics
from telehealth.web.server import RUNNER, make_app, site_of

OURS = {"Sec-Fetch-Site": "same-origin"}
PASSWORD = "a long pass phrase for tests"


def config_in(folder: Path, **server: Any) -> Config:
    """A server whose every place is inside `folder`."""
    return Config.model_validate(
        {
            "server": {"clinic_name": "Test Clinic", **server},
            "places": {
                "database": f"sqlite:///{folder / 'telehealth.db'}",
                "keys": folder / "keys",
                "root_key": folder / "keys" / "root.key",
                "audit": folder / "audit",
                "recordings": folder / "recordings",
            },
        }
    )


@dataclass
class Desk:
    """A running server and what a test asks of it."""

    house: House
    server: TestServer

    def client(self, **headers: str) -> ClientSession:
        """A browser of its own: cookies kept, requests same-origin."""
        jar = CookieJar(unsafe=True)  # cookies of an IP address
        return ClientSession(self.server.make_url("/"), cookie_jar=jar, headers={**OURS, **headers})

    async def enrolled(self, role: str, login: str) -> tuple[ClientSession, str]:
        """A signed-in browser and the user's id, enrolled over HTTP as people are."""
        invitation = await self.house.people.add(command_line(), login, f"{login.title()} Example", role)
        client = self.client()
        token = invitation.token.reveal()
        offer = await (await client.post("/api/v1/enrolment", json={"token": token})).json()
        code = pyotp.TOTP(offer["totp_secret"]).now()
        done = await client.post("/api/v1/enrolment/finish", json={"token": token, "password": PASSWORD, "code": code})
        assert done.status == 200, await done.text()
        return client, (await done.json())["user"]["id"]


@pytest.fixture(autouse=True)
def logs() -> Iterator[StringIO]:
    """What the server logs, as it would in production."""
    stream, before = StringIO(), logging.root.handlers[:]
    configure(stream)
    yield stream
    logging.root.handlers[:] = before
    structlog.reset_defaults()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_in(tmp_path)


@pytest.fixture
async def desk(config: Config) -> AsyncIterator[Desk]:
    async with open_house(config, SystemClock(), Cost(1, 64, 1)) as house:
        port = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=house.clock)
        reach = Reach(Trials(port, ENTROPY), IceServers(), (), house.clock)
        rooms = replace(rooms_of(house, Metrics(), {}, None), reach=reach)
        server = TestServer(make_app(rooms, site_of(house.config, ROOT)))
        await server.start_server(**RUNNER)
        try:
            yield Desk(house, server)
        finally:
            await server.close()
            await port.close()


async def refused(response: ClientResponse, status: int, code: str) -> dict[str, Any]:
    """The answer is a problem of this status and code."""
    text = await response.text()
    assert response.status == status, text
    assert response.content_type == "application/problem+json", text
    problem: dict[str, Any] = await response.json()
    assert problem["code"] == code, text
    assert problem["status"] == status
    assert problem["type"] == "about:blank"
    assert problem["title"]
    return problem
