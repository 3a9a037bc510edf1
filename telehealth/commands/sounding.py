"""Test legs by every way that browsers are told, to a running server or to a port opened for the time of the look."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from secrets import token_hex
from typing import Final

from signaling.rtc.paths import TRANSPORTS, Transport
from signaling.rtc.port import MediaPort
from signaling.rtc.probe import Destination, Probe, Probed, destinations
from telehealth.clock import SystemClock
from telehealth.commands import control
from telehealth.commands.said import OK, CommandRefused
from telehealth.config import Config
from telehealth.house import ENTROPY
from telehealth.reach.trials import Trials

PLAY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Tried:
    """One way. `told`: browsers are told this address; else it is one of this machine alone."""

    probed: Probed
    told: bool


@dataclass(frozen=True, slots=True)
class Sounding:
    """Every way tried, in order; transports that the server does not offer; the media port's counts."""

    tried: Sequence[Tried]
    missing: Sequence[Transport]
    stats: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Answered:
    sdp: str
    stats: Mapping[str, int]


_Exchange = Callable[[str, Transport], Awaitable[_Answered]]


async def sound(config: Config, *, running: bool) -> Sounding:
    """Try everything. Raises OSError where the port cannot be opened, Refusal or CommandRefused from the server."""
    tried: dict[Destination, Tried] = {}
    missing: list[Transport] = []
    at_once = max(1, config.media.workers) if running else 1  # each worker has a port of its own
    async with _exchange(config, running=running) as exchange:
        for transport in TRANSPORTS if config.media.tcp else TRANSPORTS[:1]:
            answered = await exchange((await asyncio.to_thread(Probe)).offer, transport)
            told = [one.address for one in destinations(answered.sdp) if one.transport == transport]
            if not told:
                missing.append(transport)
            for address in _here(config, told) + told:
                for probe, answer in [await _offered(exchange, transport) for _ in range(at_once)]:
                    to = Destination(transport, address, destinations(answer.sdp)[0].port)
                    if to not in tried:
                        tried[to] = Tried(await probe.run(answer.sdp, to, seconds=PLAY_SECONDS), address in told)
        return Sounding(tuple(tried.values()), missing, answered.stats)


async def _offered(exchange: "_Exchange", transport: Transport) -> tuple[Probe, _Answered]:
    """An offer of its own for each way, as every browser has; those open together lie on different workers."""
    probe = await asyncio.to_thread(Probe)
    return probe, await exchange(probe.offer, transport)


def _here(config: Config, told: Sequence[str]) -> list[str]:
    """Addresses under which this machine itself reaches what is bound, where they are not told anyway."""
    loopback = {4: "127.0.0.1", 6: "::1"}
    own = [
        loopback[ip_address(host).version] if ip_address(host).is_unspecified else host for host in config.media.host
    ]
    return [one for one in own if told and one not in told]


@asynccontextmanager
async def _exchange(config: Config, *, running: bool) -> AsyncIterator[_Exchange]:
    if running:
        yield lambda offer, transport: asyncio.to_thread(_ask, config.places.audit, offer, transport)
        return
    media = config.media
    port = await MediaPort.open(
        media.host, media.port, public_addresses=media.reachable, clock=SystemClock(), tcp=media.tcp
    )
    trials = Trials(port, ENTROPY)

    async def own(offer: str, transport: Transport) -> _Answered:
        begun = await trials.begin(f"doctor {token_hex(4)}", offer, (transport,))
        return _Answered(begun.sdp, trials.port_stats())

    try:
        yield own
    finally:
        await port.close()


def _ask(folder: Path, offer: str, transport: Transport) -> _Answered:
    said = control.ask(folder, ["doctor", "media", "--offer", offer, "--transport", transport])
    if said is None:
        raise CommandRefused("server_silent", "The running server went away meanwhile.")
    if said.exit != OK:
        raise CommandRefused(str(said.data.get("error", "refused")), str(said.data.get("message", "")))
    return _Answered(str(said.data["sdp"]), said.data["stats"])
