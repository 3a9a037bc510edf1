"""The whole server: rooms wired, doors opened in order, closed in the other order."""

import asyncio
import gc
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aiohttp import web

from telehealth.access import SYSTEM
from telehealth.audit.actions import Action
from telehealth.audit.entry import Code, Entry, Outcome
from telehealth.clock import Clock, SystemClock
from telehealth.commands.control import Control
from telehealth.commands.run import in_house
from telehealth.config import Config
from telehealth.demo import Demo
from telehealth.house import House, open_house
from telehealth.identity.hashing import Cost
from telehealth.keys.process import harden_process
from telehealth.log import get_logger
from telehealth.memory import hoard_nothing
from telehealth.nodes.logs import ServerLogs
from telehealth.sections import Server
from telehealth.stopping import Stop
from telehealth.visiting import open_visiting
from telehealth.visits.namesakes import Namesakes
from telehealth.visits.texts import languages
from telehealth.web.dispatch import ROOMS
from telehealth.web.headers import security_headers
from telehealth.web.lately import Lately
from telehealth.web.metrics import Metrics
from telehealth.web.openapi import encoded
from telehealth.web.origin import our_origins
from telehealth.web.proxies import Proxies
from telehealth.web.pulse import Pulse
from telehealth.web.rooms import Check, Rooms
from telehealth.web.server import RUNNER, bind, make_app, site_of, tls_context
from telehealth.web.table import ROUTES
from telehealth.web.unreadable import connections
from telehealth.workers import Workers

ROOT = Path(__file__).resolve().parents[1]
VERSION = version("telehealth")
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Greeting:
    """What is printed when the server takes visitors; `data` for programs."""

    data: dict[str, Any]
    lines: tuple[str, ...]


async def run(config: Config, greet: Callable[[Greeting], None], clock: Clock | None = None) -> None:
    """Start, greet, serve until SIGTERM or SIGINT, stop in order.

    Raises WorkerDied when a part ended by itself, a Refusal or OSError when it cannot start.
    """
    harden_process()
    hoard_nothing()
    stop = Stop()
    with stop.listening():
        async with open_server(config, clock or SystemClock()) as server:
            greet(await server.greeting())
            log.info("server.ready", host=server.config.server.host, port=server.config.server.port)
            server.drains(stop)
            gc.collect()
            gc.freeze()  # what lives as long as the server is not looked through again: 40 ms less, now and then
            await server.workers.watch(stop.asked)
            log.info("server.stopping")


@dataclass(frozen=True, slots=True)
class RunningServer:
    """What runs; `demo` is there in a demo alone."""

    config: Config
    house: House
    workers: Workers
    media_port: int
    demo: Demo | None
    under_way: Callable[[], int]

    def drains(self, stop: Stop) -> None:
        """Let SIGTERM wait for running visits, where the configuration gives them time."""
        seconds, draining = self.config.server.drain_seconds, self.house.base.draining
        if seconds:
            stop.drains(draining)
            self.workers.start("drain", stop.when_drained(draining, self.under_way, seconds))

    async def greeting(self) -> Greeting:
        """The address, and the set-up link while there is no admin; in a demo, ready links."""
        url = self.config.public_url
        data: dict[str, Any] = {"url": url, "media_port": self.media_port}
        lines = [f"Telehealth is at {url}"]
        if self.demo is not None:
            shown = await self.demo.greeting()
            return Greeting({**data, **shown.data}, (*lines, *shown.lines))
        invitation = await self.house.people.first_admin_invitation()
        if invitation is not None:
            link = f"{url}/setup#{invitation.token.reveal()}"
            data["setup_url"] = link
            lines += ["There is no admin yet. Open this link, which is good once, for 24 hours:", f"  {link}"]
        lines.append("Stop with Ctrl-C. Something wrong? telehealth doctor")
        return Greeting(data, tuple(lines))


@asynccontextmanager
async def open_server(config: Config, clock: Clock, cost: Cost | None = None) -> AsyncIterator[RunningServer]:
    """Everything, taking visitors; on the way out recordings are sealed before the log closes.

    `cost`: of a password hash, as in `open_house`.
    """
    async with AsyncExitStack() as stack:
        listening = bind(config)
        stack.callback(listening.close)
        config = _with_port(config, listening)
        tls = await asyncio.to_thread(tls_context, config)
        house = await stack.enter_async_context(open_house(config, clock, cost))
        await house.log.enter(_entry(Action.SERVER_START, config))
        stack.push_async_callback(house.log.enter_closing, _entry(Action.SERVER_STOP, config))
        workers = Workers()
        visiting = await stack.enter_async_context(open_visiting(house))
        stack.push_async_callback(workers.close)
        demo = Demo(house) if config.demo else None
        metrics = Metrics()
        figures = visiting.measure(metrics)
        house.storing.measure(metrics)
        for name, text, read in house.recordings.scrub.gauges():
            metrics.gauge(name, text, read)
        house.turnover.measure(metrics.gauge)
        house.limiting.measure(metrics.gauge)
        house.alerting.measure(metrics)
        house.base.outward.measure(metrics.gauge)
        for name, text, read in house.backups.gauges():
            metrics.gauge(name, text, read)
        rooms = rooms_of(house, metrics, visiting.checks(), demo)
        rooms = replace(rooms, reach=visiting.reach, media=visiting.onlooker())
        app = make_app(rooms, site_of(config, ROOT))
        visiting.mount(app)
        for name, work in visiting.workers(house.workers()):
            workers.start(name, work)
        workers.start("media figures", figures.run())
        workers.start("pulse", Pulse(clock, metrics.registry).run())
        await _listen(stack, app, listening, tls, metrics)
        control = Control(config.places.audit, lambda argv: in_house(house, argv, visiting.reach))
        await control.start()
        stack.push_async_callback(control.close)
        yield RunningServer(config, house, workers, visiting.port.port, demo, visiting.live.under_way)


def _with_port(config: Config, listening: socket.socket) -> Config:
    """The configuration with the port we really have, so that every link is right."""
    server: Server = config.server.model_copy(update={"port": listening.getsockname()[1]})
    return config.model_copy(update={"server": server})


def _entry(action: Action, config: Config) -> Entry:
    detail: dict[str, Code] = {"version": VERSION, "demo": config.demo}
    return Entry(action, Outcome.DONE, SYSTEM.actor(), detail=detail)


async def _listen(
    stack: AsyncExitStack,
    app: web.Application,
    listening: socket.socket,
    tls: ssl.SSLContext | None,
    metrics: Metrics,
) -> None:
    runner = web.AppRunner(app, handle_signals=False, **RUNNER)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    if runner.server is None:
        raise RuntimeError("the runner is not set up")
    made = connections(runner.server, security_headers(app[ROOMS].config), metrics)
    server = await asyncio.get_running_loop().create_server(made, sock=listening, ssl=tls, backlog=512)
    stack.callback(server.close)


def rooms_of(house: House, metrics: Metrics, checks: Mapping[str, Check], demo: Demo | None) -> Rooms:
    """What the HTTP handlers may call."""
    config, identity = house.config, house.identity
    return Rooms(
        config=config,
        clock=house.clock,
        proxies=Proxies.of(config.server.trusted_proxies),
        origins=our_origins(config),
        metrics=metrics,
        log=house.log,
        namesakes=Namesakes(house.base.store, house.base.fields, house.log),
        people=identity.people,
        enrolment=identity.enrolment,
        sign_in=identity.sign_in,
        sessions=identity.sessions,
        passkeys=identity.passkeys,
        passkey_sign_in=identity.passkey_sign_in,
        sso=identity.sso.sign_in,
        sso_out=identity.sso.sign_out,
        own_password=identity.own_password,
        resets=identity.resets,
        possession=identity.possession,
        care=house.care,
        lately=Lately(house.clock),
        door=house.limiting.door,
        tokens=identity.tokens,
        joining=identity.joining,
        lost=identity.lost,
        sightings=identity.sightings,
        booking=house.booking,
        guests=house.guests,
        alerts=house.alerting.room,
        registers=house.stewardship.registers,
        purge=house.stewardship.purge,
        leavings=house.stewardship.leavings,
        recordings=house.recordings,
        exports=house.recordings.exports,
        copies=house.copying.copies,
        copy_door=house.copying.door,
        checks={**house.checks(), **checks},
        contract=encoded(ROUTES, VERSION),
        demo=demo,
        languages=languages(),
        server_logs=ServerLogs(house.base.store, config.redis.node),
    )
