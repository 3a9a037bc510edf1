"""What the connection test asks of the server: which ways there are, a leg to try one, TURN servers for a moment."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from telehealth.clock import Clock
from telehealth.reach.trials import Begun, Transport, Trials


class Servers(Protocol):
    """`signaling.turn.IceServers`, whose credentials last minutes."""

    def credentials(self, participant: str, now: datetime) -> Sequence[Mapping[str, Any]]:
        """RTCIceServer dictionaries."""
        ...


@dataclass(frozen=True, slots=True)
class Ways:
    """By which ways a browser can be told to try; `turn`, `turns`: whether the clinic has such servers."""

    turn: bool
    turns: bool


class Reach:
    """One for each process."""

    def __init__(self, trials: Trials, servers: Servers, urls: Sequence[str], clock: Clock) -> None:
        self._trials = trials
        self._servers = servers
        self._urls = tuple(urls)
        self._clock = clock
        self.port_stats: Callable[[], Mapping[str, int]] = trials.port_stats

    def ways(self) -> Ways:
        """UDP and TCP to the server there are always."""
        secure = [url for url in self._urls if url.startswith("turns:")]
        return Ways(turn=len(secure) < len(self._urls), turns=bool(secure))

    async def begin(self, network: str, sdp: str, transports: Sequence[Transport]) -> Begun:
        """As `Trials.begin`."""
        return await self._trials.begin(network, sdp, transports)

    def servers(self) -> Sequence[Mapping[str, Any]]:
        """TURN servers for one test, for people that are known: a relay open to strangers would be anybody's."""
        return [one for one in self._servers.credentials("test", self._clock.now()) if "credential" in one]
