"""The Socket.IO server: WebSocket only, small messages, no compression, our own pages only, nothing left running."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import socketio
from aiohttp import web
from engineio import AsyncServer as Engine
from socketio.packet import BINARY_ACK, BINARY_EVENT, Packet

from signaling.doors import Doors
from signaling.namespace import NAME, VisitNamespace
from signaling.ports import Elsewhere, Live
from signaling.presence import Sockets
from signaling.turn import IceServers
from signaling.wire import LARGEST_MESSAGE, PING_EVERY, PING_PATIENCE, Outgoing, PlainWebSocket
from telehealth.clock import Clock
from telehealth.log import get_logger

log = get_logger(__name__)

PATH: Final = "/socket.io/"
MOST_SOCKETS: Final = 6_000  # two thousand visits, and everybody who watches a day
FRAMES: Final = (2.0, 2.5)  # times the limit for events, a second and at once: whatever else a client may send

_QUIET: Final = logging.getLogger("signaling.library")
_QUIET.setLevel(logging.CRITICAL + 1)  # the libraries log what strangers send; we answer and count instead


class TextPacket(Packet):  # type: ignore[misc]  # the library ships no types
    """Our events are JSON alone: a binary packet would keep attachments in memory while it waits for more."""

    def decode(self, encoded_packet: str) -> Any:
        attachments = super().decode(encoded_packet)
        if self.packet_type in (BINARY_EVENT, BINARY_ACK):
            raise ValueError("no binary packets here")
        return attachments


class OwnedEngine(Engine):  # type: ignore[misc]  # the library ships no types
    """An engine whose background tasks have an owner."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._owned: set[asyncio.Task[Any]] = set()
        drivers: dict[str, Any] = vars(self)["_async"]
        self._async = drivers | {"websocket": PlainWebSocket, "translate_request": _environ}

    def create_queue(self, *_args: Any, **_named: Any) -> Outgoing:
        return Outgoing()

    def start_background_task(
        self, target: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **named: Any
    ) -> asyncio.Task[Any]:
        task = asyncio.create_task(target(*args, **named))
        self._owned.add(task)
        task.add_done_callback(self._owned.discard)
        return task

    async def finish(self) -> None:
        """Cancel whatever still runs, and wait for it."""
        for task in self._owned:
            task.cancel()
        await asyncio.gather(*self._owned, return_exceptions=True)


def _environ(request: web.Request) -> dict[str, Any]:
    """What the engine and the namespace ask of a handshake; it is kept as long as the socket lives."""
    return {
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.query_string,
        "HTTP_CONNECTION": request.headers.get("Connection", ""),
        "HTTP_UPGRADE": request.headers.get("Upgrade", ""),
        "aiohttp.request": request,
    }


class _Server(socketio.AsyncServer):  # type: ignore[misc]  # the library ships no types
    def _engineio_server_class(self) -> type[Engine]:
        return OwnedEngine


HANDSHAKE: Final = {"EIO": "4", "transport": "websocket"}  # a new socket; sessions of the library are not resumed


class SignallingServer:
    """Mounts the namespace on an aiohttp application. Make it after the running visits; `close` it before them."""

    def __init__(
        self,
        sockets: Sockets,
        live: Live,
        doors: Doors,
        ice: IceServers,
        clock: Clock,
        origins: frozenset[str],
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._sockets = sockets
        self._origins = origins
        self._turn = doors.turn
        self._server = _Server(
            async_mode="aiohttp",
            serializer=TextPacket,
            transports=["websocket"],
            allow_upgrades=False,
            max_http_buffer_size=LARGEST_MESSAGE,
            http_compression=False,
            ping_interval=PING_EVERY,
            ping_timeout=PING_PATIENCE,
            monitor_clients=False,  # every socket's own reading notices a lost peer
            cors_allowed_origins=[],  # the check is ours, see `handle`
            cors_credentials=False,
            cookie=None,
            logger=_QUIET,
            engineio_logger=_QUIET,
            namespaces=[NAME],
        )
        self._server.eio.clock = clock
        self._server.eio.frames = doors.events.times(*FRAMES)
        self.namespace = VisitNamespace(sockets, live, doors, ice, clock, elsewhere)
        self._server.register_namespace(self.namespace)
        sockets.carried_by(self)

    def routes(self) -> list[web.RouteDef]:
        """For the application's router."""
        return [web.get(PATH, self.handle)]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """A WebSocket handshake of one of our own pages, or a refusal: 403, 426, 429, 503."""
        if request.headers.getall("Origin", []) not in [[origin] for origin in self._origins]:
            return _refused(403, "foreign_origin")
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return _refused(426, "websocket_only")
        if "sid" in request.query or any(request.query.get(name) != value for name, value in HANDSHAKE.items()):
            return _refused(400, "malformed")
        wait = 0.0 if self._turn is None else await self._turn(request)
        if wait > 0:
            return _refused(429, "slow_down", {"Retry-After": str(max(1, round(wait)))})
        if len(self._server.eio.sockets) >= MOST_SOCKETS:
            log.error("alarm.too_many_sockets", count=len(self._server.eio.sockets))
            return _refused(503, "unavailable")
        answer: web.StreamResponse = await self._server.eio.handle_request(request)
        return answer

    async def carry(self, sid: str, event: str, payload: Mapping[str, Any]) -> None:
        """Send one event and come back when the wire has taken it, so that nothing piles up in the library."""
        await self._server.emit(event, dict(payload), to=sid, namespace=NAME)
        eio_sid = self._server.manager.eio_sid_from_sid(sid, NAME)
        await self._drained(eio_sid)

    async def hang_up(self, sid: str, *, for_good: bool) -> None:
        """Close; what was sent before goes out first. A goodbye keeps the page from connecting again by itself."""
        eio_sid = self._server.manager.eio_sid_from_sid(sid, NAME)
        plain = self._plain(eio_sid)
        if for_good:
            await self._server.disconnect(sid, namespace=NAME)
        await self._drained(eio_sid)
        if plain is not None:
            await plain.close()

    async def _drained(self, eio_sid: str | None) -> None:
        plain = self._plain(eio_sid)
        if plain is not None and eio_sid in self._server.eio.sockets:
            await plain.drained()

    def _plain(self, eio_sid: str | None) -> PlainWebSocket | None:
        plain: PlainWebSocket | None = self._server.environ.get(eio_sid, {}).get("telehealth.wire")
        return plain

    async def close(self) -> None:
        """Close every socket, then whatever the libraries still run."""
        await self._sockets.close()
        for wire in tuple(self._server.eio.sockets.values()):
            await wire.close(wait=False)
        await self._server.eio.finish()


def _refused(status: int, code: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"code": code, "status": status}, status=status, headers=headers)
