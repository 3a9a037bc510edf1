"""The connection test: a leg of its own for some seconds, by one way at a time. Nothing of it is kept."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from telehealth.errors import Unavailable
from telehealth.limits.subjects import network_of
from telehealth.reach.trials import TrialsFull
from telehealth.web.models import Asked, Nothing, Told
from telehealth.web.rooms import ReachRoom
from telehealth.web.route import Answer, Ask, Route, Who

Sdp = Annotated[str, StringConstraints(min_length=1, max_length=48 * 1024, pattern=r"^[\x09\x0a\x0d\x20-\x7e]*$")]


class TestBody(Asked):
    sdp: Sdp = Field(description="An offer of audio; credentials and fingerprint of this connection alone.")
    transports: Annotated[list[Literal["udp", "tcp"]], Field(min_length=1, max_length=2)] = Field(
        description="By which the answer lists candidates."
    )


class TestBegun(Told):
    sdp: str = Field(description="The answer.")
    seconds: float = Field(description="The connection ends by itself after so long.")


class TestPaths(Told):
    turn: bool = Field(description="Whether there are TURN servers by UDP or TCP.")
    turns: bool = Field(description="Whether there are TURN servers by TLS.")


class IceServer(Told):
    urls: Sequence[str]
    username: str
    credential: str


class TestServers(Told):
    ice_servers: Sequence[IceServer] = Field(description="Good for two minutes.")


def _room(ask: Ask[Nothing, Nothing] | Ask[TestBody, Nothing]) -> ReachRoom:
    room = ask.rooms.reach
    if room is None:
        raise Unavailable
    return room


async def list_connection_paths(ask: Ask[Nothing, Nothing]) -> Answer:
    """Which ways there are beside UDP and TCP to the server itself."""
    return Answer(TestPaths.model_validate(_room(ask).ways()))


async def begin_connection_test(ask: Ask[TestBody, Nothing]) -> Answer:
    """Answer a test offer; the leg belongs to no visit, reaches nobody, and ends by itself."""
    source = ask.source
    if not source.loopback:
        await ask.rooms.door.check(source.address)
    begun = await _room(ask).begin(network_of(source.address), ask.body.sdp, ask.body.transports)
    return Answer(TestBegun.model_validate(begun), status=201)


async def staff_test_servers(ask: Ask[Nothing, Nothing]) -> Answer:
    """TURN servers for a test of somebody signed in."""
    return _servers(_room(ask))


async def patient_test_servers(ask: Ask[Nothing, Nothing]) -> Answer:
    """TURN servers for a test of a browser that opened a link which still opens."""
    await ask.rooms.joining.step(ask.cookie.reveal(), address=ask.source.address, device=ask.source.device)
    return _servers(_room(ask))


def _servers(room: ReachRoom) -> Answer:
    return Answer(TestServers(ice_servers=[IceServer.model_validate(one) for one in room.servers()]))


_PATH = "/api/v1/connection-test"
ROUTES = (
    Route("GET", _PATH, list_connection_paths, Who.ANYONE, "connection", TestPaths),
    Route(
        "POST",
        _PATH,
        begin_connection_test,
        Who.ANYONE,
        "connection",
        TestBegun,
        body=TestBody,
        status=201,
        codes=(TrialsFull, Unavailable),
    ),
    Route("GET", f"{_PATH}/servers", staff_test_servers, Who.STAFF, "connection", TestServers),
    Route("GET", "/api/v1/join/test-servers", patient_test_servers, Who.PATIENT, "connection", TestServers),
)
