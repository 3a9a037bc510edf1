"""The running visits with their doors: media port, recordings, signalling."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

from aiohttp import web

from signaling.namespace import Doors
from signaling.presence import Sockets
from signaling.rtc.port import MediaPort
from signaling.server import SignallingServer
from signaling.topology import seats
from signaling.turn import IceServers
from telehealth.config import Config, read_secret
from telehealth.events import CircleLeft, SessionEnded
from telehealth.house import House
from telehealth.visits.live import LiveVisits
from telehealth.visits.neighbours import Neighbours, Settings
from telehealth.visits.store import VisitStore
from telehealth.web.arrivals import socket_turn
from telehealth.web.metrics import Metrics
from telehealth.web.origin import our_origins
from telehealth.web.proxies import Proxies
from telehealth.web.route import cookie_name

FIGURES = {
    "legs": "Legs on the media port",
    "packets": "Datagrams received",
    "octets": "Octets received",
    "sent": "Datagrams sent",
    "kernel_drops": "Datagrams the kernel dropped",
}


@dataclass(frozen=True, slots=True)
class Visiting:
    """What the app mounts and measures."""

    port: MediaPort
    sockets: Sockets
    signalling: SignallingServer

    def mount(self, app: web.Application) -> None:
        """Answer Socket.IO beside HTTP; sockets close before the HTTP server does."""
        app.add_routes(self.signalling.routes())
        app.on_shutdown.append(self._shut)

    async def _shut(self, _app: web.Application) -> None:
        await self.signalling.close()

    def measure(self, metrics: Metrics) -> None:
        """Figures of sockets and media port."""
        metrics.gauge("sockets", "Open signalling sockets", lambda: float(len(self.sockets)))
        for name, text in FIGURES.items():
            metrics.gauge(f"media_{name}", text, self._figure(name))

    def _figure(self, name: str) -> Callable[[], float]:
        return lambda: float(self.port.stats().get(name, 0))

    def checks(self) -> dict[str, Callable[[], Awaitable[bool]]]:
        """What readiness rests on here."""
        return {}


@asynccontextmanager
async def open_visiting(house: House) -> AsyncIterator[Visiting]:
    """Recover what a kill left, open the media port, take up the running visits; closed in the other order.

    Raises ConfigRefused for a secret's file, OSError for the port.
    """
    config = house.config
    async with AsyncExitStack() as stack:
        stack.push_async_callback(house.recordings.close)
        await house.recordings.start()
        port = await _open_port(house)
        stack.push_async_callback(port.close)
        sockets = Sockets()
        zone = await asyncio.to_thread(ZoneInfo, config.server.time_zone)
        live = LiveVisits(_neighbours(house, sockets, port), _settings(config, zone))
        live.listen(house.base.bus)
        _end_grants_with_sessions(house)
        stack.push_async_callback(live.close)
        await live.start()
        house.booking.end_through(live)
        ice = await asyncio.to_thread(_ice, config)
        signalling = SignallingServer(sockets, live, _doors(house), ice, house.clock, our_origins(config))
        yield Visiting(port, sockets, signalling)


async def _open_port(house: House) -> MediaPort:
    media = house.config.media
    addresses = media.public_addresses or (media.host,)
    return await MediaPort.open(media.host, media.port, public_addresses=addresses, clock=house.clock)


def _neighbours(house: House, sockets: Sockets, port: MediaPort) -> Neighbours:
    return Neighbours(
        store=VisitStore(house.base.store, house.base.fields),
        audit=house.log,
        people=house.people,
        publish=sockets,
        legs=port,
        recorder=house.recordings,
        seats=seats,
        retention_days=house.recordings.retention_days,
        touch_live=house.identity.sessions.touch_live,
        clock=house.clock,
    )


def _settings(config: Config, zone: ZoneInfo) -> Settings:
    return Settings(
        resume_seconds=config.visits.resume_seconds,
        starter_lost_seconds=config.recording.starter_lost_seconds,
        early_minutes=config.visits.early_minutes,
        late_minutes=config.visits.late_minutes,
        zone=zone,
    )


def _doors(house: House) -> Doors:
    https = house.config.https
    return Doors(
        staff=house.identity.sessions,
        patients=house.identity.joining,
        staff_cookie=cookie_name("staff", https=https),
        patient_cookie=cookie_name("visit", https=https),
        source=Proxies.of(house.config.server.trusted_proxies).source,
        prove=house.identity.possession.require,
        events=house.config.limits.rate("socket"),
        turn=partial(socket_turn, house.limiting.door, https=https),
    )


def _ice(config: Config) -> IceServers:
    """Reads the secret's file. Blocks. Raises ConfigRefused."""
    media = config.media
    return IceServers(
        stun_urls=media.stun_urls,
        turn_urls=media.turn_urls,
        secret=read_secret(media.turn_secret_file) if media.turn_secret_file else None,
        lifetime=timedelta(minutes=media.turn_minutes),
    )


def _end_grants_with_sessions(house: House) -> None:
    async def end(event: SessionEnded) -> None:
        await house.recordings.end_grants(event.user, event.session)

    async def narrow(event: CircleLeft) -> None:
        await house.recordings.end_grants(event.user, visit=event.visit)

    house.base.bus.subscribe(SessionEnded, end)
    house.base.bus.subscribe(CircleLeft, narrow)
