"""How the connections of one running visit do."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from telehealth.errors import NotFound, Unavailable
from telehealth.web.models import Nothing, Told
from telehealth.web.route import Answer, Ask, Route, Who


class Flow(Told):
    bitrate: int = Field(description="bit/s over the last second.")
    packets: int
    octets: int
    loss: float = Field(description="Share of packets lost, 0 to 1.")
    jitter: float | None = Field(description="Seconds; null while nothing came.")
    asked_again: int = Field(description="Packets asked for again (NACK) by whoever receives.")
    key_frames_asked: int = Field(description="Key frames asked for (PLI, FIR) by whoever receives.")


class Leg(Told):
    path: str = Field(description="udp4, udp6, tcp4 or tcp6; empty while unknown.")
    round_trip: float | None = Field(description="Seconds between server and browser.")
    up: Flow = Field(description="From the browser to the server.")
    down: Flow = Field(description="From the server to the browser.")


class Reported(Told):
    """What a page last said of its own call."""

    level: int = Field(description="0 (lost) to 4 (good).")
    rtt_ms: float
    loss: float
    jitter_ms: float
    freezes: int
    frozen_ms: float
    path: str | None


class PersonMedia(Told):
    participant: str
    role: str
    online: bool
    reported: Reported | None
    leg: Leg | None = Field(description="Null while media goes from browser to browser.")


class VisitMedia(Told):
    visit: str
    topology: Literal["alone", "direct", "relay"]
    turn: int = Field(description="How often the way of the media changed.")
    settled: bool
    people: Sequence[PersonMedia] = Field(description="Everybody admitted; nobody while the visit does not run.")


async def show_visit_media(ask: Ask[Nothing, Nothing]) -> Answer:
    """Bit rates, loss, round trips and paths of everybody's connection, now; ids, no names."""
    room = ask.rooms.media
    if room is None:
        raise Unavailable
    return Answer(VisitMedia.model_validate(await room.of(ask.caller, ask.id("visit"))))


ROUTES = (
    Route(
        "GET",
        "/api/v1/visits/{visit}/media",
        show_visit_media,
        Who.CLINICIAN,
        "visits",
        VisitMedia,
        scope="visits:read",
        codes=(NotFound, Unavailable),
    ),
)
