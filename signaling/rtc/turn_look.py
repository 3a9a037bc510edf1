"""Whether a TURN server relays to addresses that are nobody's on the Internet (RFC 6890, RFC 8656 §21.2.1)."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aioice import stun
from aioice.turn import TurnClientProtocol, TurnClientTcpProtocol, TurnClientUdpProtocol

SPECIAL: Final = (  # IPv4, since what is relayed is asked for in IPv4
    "127.0.0.1",
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.168.0.1",
    "198.18.0.1",
    "224.0.0.1",
)
SECONDS: Final = 5.0
_CHANNEL: Final = 0x4000
_PORT: Final = 9  # discard


class RelayAway(Exception):
    """The TURN server does not answer, or refuses our credentials; the text is the kind of fault."""


@dataclass(frozen=True, slots=True)
class Relay:
    """One `turn:` or `turns:` URL (RFC 7065) and a credential for it."""

    host: str
    port: int
    transport: str
    tls: bool
    username: str
    credential: str

    @classmethod
    def of(cls, url: str, username: str, credential: str) -> "Relay":
        """Raises ValueError for what is no such URL."""
        scheme, _, rest = url.partition(":")
        place, _, query = rest.partition("?")
        host, colon, port = place.rpartition(":")
        if not colon or port.endswith("]"):
            host, port = place, "5349" if scheme == "turns" else "3478"
        if scheme not in ("turn", "turns") or not host:
            raise ValueError(url)
        transport = "udp" if query == "transport=udp" or (not query and scheme == "turn") else "tcp"
        return cls(host.strip("[]"), int(port), transport, scheme == "turns", username, credential)


async def relayed(relay: Relay, trusted: ssl.SSLContext, peers: Sequence[str] = SPECIAL) -> tuple[str, ...]:
    """Which of these peers it would send to. Binds channels, sends nothing through them. Raises RelayAway."""
    try:
        async with asyncio.timeout(SECONDS), _allocated(relay, trusted) as client:
            bound = [await _binds(client, number, peer) for number, peer in enumerate(peers)]
    except (OSError, TimeoutError, ValueError, stun.TransactionError) as error:
        raise RelayAway(type(error).__name__) from error
    return tuple(peer for peer, open_ in zip(peers, bound, strict=True) if open_)


async def _binds(client: TurnClientProtocol, number: int, peer: str) -> bool:
    try:
        await client.channel_bind(_CHANNEL + number, (peer, _PORT))
    except stun.TransactionFailed:
        return False
    return True


@asynccontextmanager
async def _allocated(relay: Relay, trusted: ssl.SSLContext) -> AsyncIterator[TurnClientProtocol]:
    loop = asyncio.get_running_loop()
    server, words = (relay.host, relay.port), (relay.username, relay.credential, 600, 500)
    client: TurnClientProtocol
    if relay.transport == "tcp":
        _, client = await loop.create_connection(
            lambda: TurnClientTcpProtocol(server, *words), relay.host, relay.port, ssl=trusted if relay.tls else None
        )
    else:
        _, client = await loop.create_datagram_endpoint(
            lambda: TurnClientUdpProtocol(server, *words), remote_addr=server
        )
    try:
        await client.connect()
        yield client
        await client.delete()
    finally:
        if client.refresh_task is not None:
            client.refresh_task.cancel()
        client.transport.abort()  # a close by TLS would wait for the answer
