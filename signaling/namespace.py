"""The namespace `/visit`: every event is parsed, handed on, and answered. Nothing is decided here."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

import socketio
from aiohttp import web
from pydantic import BaseModel
from socketio.exceptions import ConnectionRefusedError as Refused

from signaling import messages
from signaling.doors import Doors, SignedOut, SlowDown, UnknownEvent
from signaling.ports import Elsewhere, Live
from signaling.presence import Socket, Sockets
from signaling.turn import IceServers
from telehealth.access import Caller
from telehealth.clock import Clock, rfc3339
from telehealth.errors import Malformed, Refusal
from telehealth.limits.bucket import TokenBucket
from telehealth.log import get_logger
from telehealth.store.away import is_away
from telehealth.visits.faults import NotEntered
from telehealth.visits.media_flow import told
from telehealth.visits.receipts import signing_key
from telehealth.visits.roster import Arrival, Quality

log = get_logger(__name__)

NAME: Final = "/visit"
_ALWAYS: Final = frozenset({"consent.withdraw", "leave"})  # heard even from a socket that says too much
_Answer = Mapping[str, Any] | None


class VisitNamespace(socketio.AsyncNamespace):  # type: ignore[misc]  # the library ships no types
    """One method for each event; `trigger_event` is the single door in."""

    def __init__(
        self,
        sockets: Sockets,
        live: Live,
        doors: Doors,
        ice: IceServers,
        clock: Clock,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        super().__init__(NAME)
        self._elsewhere = elsewhere
        self._sockets = sockets
        self._live = live
        self._doors = doors
        self._ice = ice
        self._clock = clock
        self._events: dict[str, tuple[type[BaseModel], Callable[[Socket, Any], Awaitable[_Answer]]]] = {
            "enter": (messages.Enter, self._enter),
            "admit": (messages.Admit, self._admit),
            "remove": (messages.Remove, self._remove),
            "end": (messages.Empty, self._end),
            "leave": (messages.Empty, self._leave),
            "signal": (messages.Signal, self._signal),
            "media": (messages.Media, self._media),
            "screen_policy": (messages.ScreenPolicy, self._screen_policy),
            "quality": (messages.QualityReport, self._quality),
            "recording.ask": (messages.Ask, self._ask),
            "consent.answer": (messages.ConsentAnswer, self._consent_answer),
            "consent.withdraw": (messages.Empty, self._withdraw),
            "leg.offer": (messages.LegOffer, self._leg_offer),
            "chat": (messages.Chat, self._chat),
            "leg.ready": (messages.LegReady, self._leg_ready),
            "recording.stop": (messages.Empty, self._stop),
            "recording.pause": (messages.Empty, self._pause),
            "recording.resume": (messages.Empty, self._resume),
            "ping": (messages.Empty, self._ping),
        }

    async def trigger_event(self, event: Any, *args: Any) -> Any:
        """Every call of the library comes here; clients may name their events as they like, `connect` included."""
        sid = args[0]
        if event == "connect" and len(args) >= 2 and _handshake(args[1]):
            await self._connect(sid, args[1], args[2] if len(args) > 2 else None)
            return None
        if event == "disconnect" and not self.server.manager.is_connected(sid, NAME):
            here = self._sockets.remove(sid)
            if here is not None:
                self._live.dropped(here)
            return None
        return await self._answered(sid, event, args[1:])

    async def _connect(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        """Let the socket in, or refuse by a code; nothing else ever leaves here (a TypeError would be tried again)."""
        try:
            await self._let_in(sid, environ, auth)
        except Refusal as refusal:
            raise Refused("refused", {"error": refusal.code}) from None
        except Exception:
            log.error("socket.connect_failed", exc_info=True)
            raise Refused("refused", {"error": "unavailable"}) from None

    async def _let_in(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        asked = messages.parse_auth(auth)
        request: web.Request = environ["aiohttp.request"]
        caller = await self._caller(request, patient=isinstance(asked, messages.JoinAuth))
        if not isinstance(asked, messages.JoinAuth):
            await self._doors.prove(caller, asked.proof)
            caller = replace(caller, context=replace(caller.context, purpose=asked.purpose))
        today: Mapping[str, Any] | None = None
        visit: str | None = None
        if isinstance(asked, messages.WatchAuth):
            today = await self._live.today_for(caller)
        else:
            visit = asked.visit if isinstance(asked, messages.CallAuth) else caller.visit
            if visit is None:
                raise SignedOut
            await self._live.approach(caller, visit)
        bucket = TokenBucket(self._doors.events, self._clock.steady())
        socket = Socket(sid, caller, visit, bucket, lambda: _abort(request))
        socket.still = partial(self._caller, request, patient=caller.kind == "participant")
        self._sockets.add(socket)
        try:  # a session that ended before this socket was listed closed every socket but this one
            await socket.still()
        except Exception:
            self._sockets.remove(sid)
            raise
        environ["telehealth.joined"] = True
        if today is not None:
            socket.push("today", today)

    async def _caller(self, request: web.Request, *, patient: bool) -> Caller:
        doors = self._doors
        holder, name = (doors.patients, doors.patient_cookie) if patient else (doors.staff, doors.staff_cookie)
        cookie = request.cookies.get(name)
        if not cookie:
            raise SignedOut
        source = doors.source(request)
        return await holder.resolve(cookie, address=source.address, device=source.device)

    async def answer(self, sid: str, event: str, payload: Any) -> dict[str, Any]:
        """The answer to an event of a socket that another node holds."""
        return await self._answered(sid, event, (payload,))

    async def _answered(self, sid: str, event: Any, payloads: tuple[Any, ...]) -> dict[str, Any]:
        socket = self._sockets.get(sid)
        try:
            if socket is None or socket.closing:
                raise NotEntered
            self._throttled(socket, event)
            model, handler = self._events.get(event, (None, None)) if isinstance(event, str) else (None, None)
            if model is None or handler is None:
                raise UnknownEvent
            if len(payloads) > 1:
                raise Malformed
            message = messages.parse(model, payloads[0] if payloads else None)
            with socket.event():
                if self._elsewhere:
                    said = message.model_dump(by_alias=True)
                    far = await self._elsewhere.carried(socket, event, said)
                    if far is not None:
                        return far
                answer = await handler(socket, message)
        except Malformed as refusal:
            return {"ok": False, "error": refusal.code, "where": refusal.where}
        except Refusal as refusal:
            return {"ok": False, "error": refusal.code}
        except Exception as error:
            log.error("socket.event_failed", action=str(event)[:32], exc_info=True)
            return {"ok": False, "error": "unavailable" if is_away(error) else "failed"}
        return {"ok": True, **(answer or {})}

    def _throttled(self, socket: Socket, event: Any) -> None:
        if not socket.bucket.take(self._clock.steady()):
            self._sockets.slow_down(socket)
            log.warning("socket.flood", participant=socket.participant, user=socket.caller.id)
            if event not in _ALWAYS:
                raise SlowDown

    def _here(self, socket: Socket) -> Any:
        if not self._sockets.seated(socket):
            raise NotEntered
        return socket.here

    # One method for each event.

    async def _enter(self, socket: Socket, message: messages.Enter) -> _Answer:
        if socket.visit is None:
            raise NotEntered
        arrival = Arrival(
            key=signing_key(message.public_key.model_dump()),
            language=message.language,
            audio=message.audio,
            video=message.video,
            page=message.page,
            break_glass=message.break_glass,
            words=message.words,
        )
        here, view = await self._live.enter(
            socket.caller, socket.visit, arrival, lambda here: self._sockets.seat(socket, here)
        )
        if self._sockets.get(socket.sid) is None:
            self._live.dropped(here)  # the connection went while the entry was made
        return {"view": view, "ice_servers": self._ice.credentials(here.participant, self._clock.now())}

    async def _admit(self, socket: Socket, message: messages.Admit) -> _Answer:
        here, words = self._here(socket), message.words
        await self._live.admit(here, message.participant, break_glass=message.break_glass, words=words)
        return None

    async def _remove(self, socket: Socket, message: messages.Remove) -> _Answer:
        await self._live.remove(self._here(socket), message.participant)
        return None

    async def _end(self, socket: Socket, _message: messages.Empty) -> _Answer:
        await self._live.end(self._here(socket))
        return None

    async def _leave(self, socket: Socket, _message: messages.Empty) -> _Answer:
        await self._live.leave(self._here(socket))
        return None

    async def _signal(self, socket: Socket, message: messages.Signal) -> _Answer:
        here = self._here(socket)
        page = self._live.may_signal(here, message.to)
        if not message.empty:
            self._sockets.to_participant(message.to, "signal", message.relayed(here.participant, page))
        return None

    async def _media(self, socket: Socket, message: messages.Media) -> _Answer:
        self._live.media(self._here(socket), audio=message.audio, video=message.video, screen=message.screen)
        return None

    async def _screen_policy(self, socket: Socket, message: messages.ScreenPolicy) -> _Answer:
        await self._live.screen_policy(self._here(socket), forbidden=message.forbidden)
        return None

    async def _quality(self, socket: Socket, message: messages.QualityReport) -> _Answer:
        self._live.quality(self._here(socket), Quality(**message.model_dump()))
        return None

    async def _ask(self, socket: Socket, message: messages.Ask) -> _Answer:
        return {"request": await self._live.recording_ask(self._here(socket), message.purpose)}

    async def _consent_answer(self, socket: Socket, message: messages.ConsentAnswer) -> _Answer:
        here = self._here(socket)
        await self._live.consent_answer(here, message.request, message.answer, message.receipt, message.signature)
        return None

    async def _withdraw(self, socket: Socket, _message: messages.Empty) -> _Answer:
        await self._live.consent_withdraw(socket.here if socket.closing else self._here(socket))
        return None

    async def _leg_offer(self, socket: Socket, message: messages.LegOffer) -> _Answer:
        sdp, slots = await self._live.leg_offer(self._here(socket), message.sdp)
        return {"sdp": sdp, "slots": told(slots)}

    async def _chat(self, socket: Socket, message: messages.Chat) -> _Answer:
        self._live.chat(self._here(socket), message.text)
        return None

    async def _leg_ready(self, socket: Socket, message: messages.LegReady) -> _Answer:
        self._live.leg_ready(self._here(socket), message.turn)
        return None

    async def _stop(self, socket: Socket, _message: messages.Empty) -> _Answer:
        await self._live.recording_stop(self._here(socket))
        return None

    async def _pause(self, socket: Socket, _message: messages.Empty) -> _Answer:
        await self._live.recording_pause(self._here(socket))
        return None

    async def _resume(self, socket: Socket, _message: messages.Empty) -> _Answer:
        await self._live.recording_resume(self._here(socket))
        return None

    async def _ping(self, _socket: Socket, _message: messages.Empty) -> _Answer:
        return {"at": rfc3339(self._clock.now())}


def _handshake(environ: Any) -> bool:
    """Whether it comes from the engine; a client's JSON holds no request."""
    return isinstance(environ, dict) and isinstance(environ.get("aiohttp.request"), web.Request)


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
