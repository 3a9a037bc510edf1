"""The running visits with their doors: media port, recordings, signalling."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

from aiohttp import web

from signaling.doors import Doors
from signaling.presence import Sockets
from signaling.rtc.port import MediaPort
from signaling.server import SignallingServer
from signaling.turn import IceServers
from signaling.workers import MediaPool
from telehealth.config import Config, read_secret
from telehealth.events import CircleLeft, SessionEnded
from telehealth.house import ENTROPY, House
from telehealth.noding import Noding, Work, open_noding
from telehealth.reach.figures import MediaFigures
from telehealth.reach.room import Reach
from telehealth.reach.trials import Trials
from telehealth.visits.live import LiveVisits
from telehealth.visits.media_seen import Onlooker
from telehealth.visits.neighbours import Neighbours, Settings
from telehealth.visits.ports import Alone
from telehealth.visits.store import VisitStore
from telehealth.web.arrivals import socket_turn
from telehealth.web.metrics import Metrics
from telehealth.web.origin import our_origins
from telehealth.web.proxies import Proxies
from telehealth.web.route import cookie_name

TEST_LIFE = timedelta(minutes=2)  # of TURN credentials for a connection test


@dataclass(frozen=True, slots=True)
class Visiting:
    """What the app mounts and measures."""

    port: MediaPort | MediaPool
    sockets: Sockets
    signalling: SignallingServer
    live: LiveVisits
    reach: Reach
    noding: Noding | None

    def mount(self, app: web.Application) -> None:
        """Answer Socket.IO beside HTTP; sockets close before the HTTP server does."""
        app.add_routes(self.signalling.routes())
        app.on_shutdown.append(self._shut)

    async def _shut(self, _app: web.Application) -> None:
        await self.signalling.close()
        if self.noding is not None:
            await self.noding.together.close()

    def measure(self, metrics: Metrics) -> MediaFigures:
        """Figures of sockets, media port and calls; whoever asked runs what it gives."""
        metrics.gauge("sockets", "Open signalling sockets", lambda: float(len(self.sockets)))
        if self.noding is not None:
            self.noding.measure(metrics.gauge)
        return MediaFigures(metrics.registry, self.port, self.live)

    def onlooker(self) -> Onlooker:
        """Who looks at the connections of running visits."""
        return Onlooker(self.live, self.port)

    def workers(self, houses: Sequence[Work]) -> Sequence[Work]:
        """Long-running tasks: of the house, as this server is to do them, and what goes on between servers."""
        noding = self.noding
        if noding is None:
            return houses
        return [*noding.workers(), *((name, noding.own_or_leading(name, work)) for name, work in houses)]

    def checks(self) -> dict[str, Callable[[], Awaitable[bool]]]:
        """What readiness rests on here."""
        return {"media": self._media}

    async def _media(self) -> bool:
        """Whether media can be carried: always in this process, elsewhere while a worker is up."""
        return self.port.stats().get("workers", 1) > 0


@asynccontextmanager
async def open_visiting(house: House) -> AsyncIterator[Visiting]:
    """Recover what a kill left, open the media port, take up the running visits; closed in the other order.

    Raises ConfigRefused for a secret's file, OSError for the port.
    """
    config = house.config
    async with AsyncExitStack() as stack:
        sockets = Sockets()
        noding = await stack.enter_async_context(open_noding(house.base, sockets, house.care.surroundings.policy))
        stack.push_async_callback(house.recordings.close)
        registry = noding.registry if noding else None
        await house.recordings.start(registry.id if registry else None, alone=not (registry and registry.others))
        port = await _open_port(house)
        stack.push_async_callback(port.close)
        zone = await asyncio.to_thread(ZoneInfo, config.server.time_zone)
        live = LiveVisits(_neighbours(house, sockets, port, noding), _settings(config, zone))
        live.listen(house.base.bus)
        _end_grants_with_sessions(house)
        stack.push_async_callback(live.close)
        await live.start()
        house.booking.end_through(noding.together if noding else live)
        ice = await asyncio.to_thread(_ice, config)
        together = noding.together if noding else None
        signalling = SignallingServer(sockets, live, _doors(house), ice, house.clock, our_origins(config), together)
        if noding:
            noding.serve(signalling.namespace.answer, live, house.recordings)
        reach = Reach(Trials(port, ENTROPY), replace(ice, lifetime=TEST_LIFE), ice.turn_urls, house.clock)
        yield Visiting(port, sockets, signalling, live, reach, noding)


async def _open_port(house: House) -> MediaPort | MediaPool:
    media = house.config.media
    addresses, clock, tcp, auto = media.reachable, house.clock, media.tcp, media.compiled == "auto"
    if not media.workers:
        return await MediaPort.open(
            media.host, media.port, public_addresses=addresses, clock=clock, tcp=tcp, compiled=auto
        )
    return await MediaPool.open(
        media.host,
        media.port,
        workers=media.workers,
        public_addresses=addresses,
        clock=clock,
        tcp=tcp,
        compiled=auto,
    )


def _neighbours(house: House, sockets: Sockets, port: MediaPort | MediaPool, noding: Noding | None) -> Neighbours:
    return Neighbours(
        store=VisitStore(house.base.store, house.base.fields, noding.registry.mine if noding else None),
        tenure=noding or Alone(),
        audit=house.log,
        people=house.people,
        publish=sockets,
        legs=port,
        recorder=house.recordings,
        retention_days=house.recordings.retention_days,
        touch_live=house.identity.sessions.touch_live,
        clock=house.clock,
        draining=house.base.draining,
    )


def _settings(config: Config, zone: ZoneInfo) -> Settings:
    return Settings(
        resume_seconds=config.visits.resume_seconds,
        starter_lost_seconds=config.recording.starter_lost_seconds,
        early_minutes=config.visits.early_minutes,
        late_minutes=config.visits.late_minutes,
        zone=zone,
        direct_allowed=config.media.direct == "allowed",
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
