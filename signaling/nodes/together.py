"""Sockets that one node holds for another: their events go to the node that runs the visit, its words come back.

The edge is where a socket is open, the home is where its visit runs. At home a socket from afar is one like any other
in `Sockets`, with a carrier of its own. Whenever messages were lost on the way, everything that hung on them begins
anew: sockets at the edge are dropped, so that their pages connect and enter again; media goes on meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from signaling.nodes.asking import Asking, NodeAway, Outward
from signaling.nodes.lines import Lines, Nodes
from signaling.nodes.words import caller_heard, caller_said, event_heard, event_said
from signaling.presence import Socket, Sockets
from telehealth.access import Caller
from telehealth.access.facts import Policy
from telehealth.clock import Clock
from telehealth.errors import NotFound, Refusal, Unavailable, WrongState
from telehealth.events import Bus, Event
from telehealth.limits.bucket import Rate, TokenBucket
from telehealth.log import get_logger
from telehealth.visits.chores import Chores
from telehealth.visits.states import VisitStep

log = get_logger(__name__)

GLANCE: Final = 0.7
MOST_UNDER_WAY: Final = 2_000  # events of other nodes that have no answer yet
CHECK_SECONDS: Final = 5.0  # between looks at whoever is connected, while revocations may be lost
FROM_AFAR: Final = (2.0, 2.0)  # times the limit for events, a second and at once: the edge has counted already
_Message = Mapping[str, Any]
_Answer = Callable[[str, str, Any], Awaitable[dict[str, Any]]]  # socket id, event, payload


class Registry(Nodes, Protocol):
    """The part of `telehealth.nodes.registry.Registry` used here."""

    async def place(self, visit: str) -> str:
        """Raises NotFound, ServerDraining."""
        ...

    async def elsewhere(self) -> Mapping[str, str]: ...


class Home(Protocol):
    """The running visits, as other nodes need them: `telehealth.visits.live.LiveVisits`."""

    def dropped(self, here: Any) -> None: ...
    def glance(self, visits: Sequence[str]) -> Mapping[str, Any]: ...
    def today_changed(self, clinician: str) -> None: ...
    async def end_from_outside(self, caller: Caller, visit: str, step: VisitStep) -> None: ...


@dataclass(frozen=True, slots=True)
class Rooms:
    """What a node among several works with."""

    registry: Registry
    sockets: Sockets
    bus: Bus
    clock: Clock
    policy: Policy
    events: Rate  # of one socket from afar


class Together:
    """One node among several. Give it its `Lines`, then `serve`; `run` while it serves."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._chores = Chores()
        self._under_way = 0
        self._check = asyncio.Event()
        self._kinds: dict[str, Callable[[str, _Message], None]] = {
            "event": self._event,
            "answer": lambda node, message: self._asking.answered(node, message),
            "push": self._push,
            "close": self._close,
            "abort": self._abort,
            "gone": self._gone,
            "anew": self._anew,
            "tell": self._tell,
            "today": self._today,
            "glance": self._glance,
            "end": self._end,
        }

    def over(self, lines: Lines) -> None:
        """Messages go over these."""
        self._lines = lines
        self._asking = Asking(lines)

    def serve(self, answer: _Answer, home: Home) -> None:
        """Events of sockets from afar are answered by `answer`; the visits that run here are at `home`."""
        self._answer = answer
        self._home = home
        self._rooms.bus.relay(self.tell)

    # At the edge.

    async def carried(self, socket: Socket, event: str, payload: Mapping[str, Any]) -> dict[str, Any] | None:
        """The answer of the node that runs the socket's visit; None where that is this one.

        Raises NodeAway, NotFound, ServerDraining.
        """
        if socket.carrier is not None or socket.visit is None or event == "ping":
            return None
        message: dict[str, Any] = {"kind": "event", "sid": socket.sid, "event": event, "payload": payload}
        if event == "enter":
            node = await self._rooms.registry.place(socket.visit)
            self._stay(socket, None if node == self._rooms.registry.id else node)
            message |= {"visit": socket.visit, "caller": caller_said(socket.caller)}
        if socket.far is None:
            return None
        return await self._asking.ask(socket.far, message)

    def _stay(self, socket: Socket, node: str | None) -> None:
        if socket.far not in (None, node):
            self._lines.post(str(socket.far), {"kind": "gone", "sid": socket.sid})
        socket.far = node
        socket.gone = self._is_gone

    def _is_gone(self, socket: Socket) -> None:
        if socket.far is not None:
            self._lines.post(socket.far, {"kind": "gone", "sid": socket.sid})

    def _held_for(self, node: str, message: _Message) -> Socket | None:
        """The socket open here, if that node is its home."""
        socket = self._rooms.sockets.get(message["sid"])
        return socket if socket is not None and socket.far == node else None

    def _push(self, node: str, message: _Message) -> None:
        if socket := self._held_for(node, message):
            self._rooms.sockets.push(socket, message["event"], message["payload"])

    def _close(self, node: str, message: _Message) -> None:
        if socket := self._held_for(node, message):
            socket.for_good = message["for_good"]
            socket.close()

    def _abort(self, node: str, message: _Message) -> None:
        if socket := self._held_for(node, message):
            socket.abort()

    def _anew(self, node: str, _message: _Message) -> None:
        """What we sent did not all arrive: whoever hangs on it connects again."""
        for socket in self._rooms.sockets:
            if socket.far == node:
                socket.abort()
        self._asking.fail(node)

    # At home.

    def heard(self, node: str, message: _Message) -> None:
        """One message of another node; of a kind that this release does not know, nothing comes."""
        act = self._kinds.get(message["kind"])
        if act is not None:
            act(node, message)

    def _event(self, node: str, message: _Message) -> None:
        if self._under_way >= MOST_UNDER_WAY:
            self._reply(node, message, {"ok": False, "error": "slow_down"})
            return
        if "caller" in message:
            self._seat(node, message)
        self._under_way += 1
        self._chores.start(self._handle(node, message), "node.event")

    def _seat(self, node: str, message: _Message) -> None:
        """A socket from afar beside our own; entering again changes nothing about it."""
        sid, rooms = f"{node}/{message['sid']}", self._rooms
        if rooms.sockets.get(sid) is None:
            way = Outward(self._lines, node, message["sid"])
            caller = caller_heard(message["caller"], rooms.policy)
            bucket = TokenBucket(rooms.events, rooms.clock.steady())
            rooms.sockets.add(Socket(sid, caller, message["visit"], bucket, way.abort, carrier=way))

    async def _handle(self, node: str, message: _Message) -> None:
        try:
            sid = f"{node}/{message['sid']}"
            self._reply(node, message, await self._answer(sid, message["event"], message["payload"]))
        finally:
            self._under_way -= 1

    def _reply(self, node: str, message: _Message, answer: Mapping[str, Any]) -> None:
        self._lines.post(node, {"kind": "answer", "number": message["number"], "answer": answer})

    def _gone(self, node: str, message: _Message) -> None:
        self._drop(f"{node}/{message['sid']}")

    def _drop(self, sid: str) -> None:
        here = self._rooms.sockets.remove(sid)
        if here is not None:
            self._home.dropped(here)

    # Both.

    def lost(self, node: str) -> None:
        """Messages of this node are missing: what hangs on them begins anew, on both sides."""
        self._lines.post(node, {"kind": "anew"})
        self.over_with(node)

    def over_with(self, node: str) -> None:
        """The node is gone, or as good as that."""
        self._anew(node, {})
        for socket in self._rooms.sockets:
            if socket.sid.startswith(f"{node}/"):
                self._drop(socket.sid)
        self._check.set()

    def tell(self, event: Event) -> None:
        """Every other node hears what the house has decided."""
        said = {"kind": "tell", **event_said(event)}
        for other in self._rooms.registry.others:
            self._lines.post(other.id, said)

    def _tell(self, _node: str, message: _Message) -> None:
        event = event_heard(message)
        if event is not None:
            self._chores.start(self._rooms.bus.deliver(event), "node.tell")

    def tell_today(self, clinician: str) -> None:
        """A clinician's list is another one than before."""
        for other in self._rooms.registry.others:
            self._lines.post(other.id, {"kind": "today", "clinician": clinician})

    def _today(self, _node: str, message: _Message) -> None:
        self._home.today_changed(message["clinician"])

    async def glances(self, visits: Sequence[str]) -> Mapping[str, Any]:
        """How visits stand that run on other nodes, as far as these can be asked now."""
        where, found = await self._rooms.registry.elsewhere(), dict[str, Any]()
        by_node: dict[str, list[str]] = {}
        for visit in visits:
            if visit in where:
                by_node.setdefault(where[visit], []).append(visit)
        asks = [self._asking.ask(node, {"kind": "glance", "visits": some}, GLANCE) for node, some in by_node.items()]
        for answer in await asyncio.gather(*asks, return_exceptions=True):
            if isinstance(answer, dict):
                found |= answer
        return found

    def _glance(self, node: str, message: _Message) -> None:
        self._reply(node, message, self._home.glance(message["visits"]))

    async def end_from_outside(self, caller: Caller, visit: str, step: VisitStep) -> None:
        """End or cancel a visit wherever it runs. Raises NotFound, WrongState, NodeAway."""
        node = await self._rooms.registry.place(visit)
        if node == self._rooms.registry.id:
            await self._home.end_from_outside(caller, visit, step)
            return
        asked = {"kind": "end", "caller": caller_said(caller), "visit": visit, "step": step.value}
        answer = await self._asking.ask(node, asked)
        if not answer["ok"]:
            raise _REFUSALS.get(answer["error"], NodeAway)()

    def _end(self, node: str, message: _Message) -> None:
        self._chores.start(self._ended(node, message), "node.end")

    async def _ended(self, node: str, message: _Message) -> None:
        caller = caller_heard(message["caller"], self._rooms.policy)
        try:
            await self._home.end_from_outside(caller, message["visit"], VisitStep(message["step"]))
        except Refusal as refusal:
            self._reply(node, message, {"ok": False, "error": refusal.code})
        else:
            self._reply(node, message, {"ok": True})

    async def run(self) -> None:
        """While a revocation may have been lost, ask again whether whoever is connected may be."""
        unknown: list[Exception] = []
        while True:
            wait = None if not unknown and self._lines.all_reachable() else CHECK_SECONDS
            try:
                async with asyncio.timeout(wait or CHECK_SECONDS):
                    await self._check.wait()
            except TimeoutError:
                if wait is None:
                    continue
            self._check.clear()
            faults = [await self._checked(socket) for socket in self._rooms.sockets]
            unknown = [fault for fault in faults if fault is not None]
            if unknown:
                log.error("node.not_checked", code="not_checked", count=len(unknown), exc_info=unknown[0])

    async def _checked(self, socket: Socket) -> Exception | None:
        """Sign out who may not be connected any more; what kept from knowing: then it is asked again."""
        if socket.still is None:
            return None
        try:
            await socket.still()
        except Unavailable as fault:
            return fault
        except Refusal:
            self._rooms.sockets.sign_out(socket)
        except Exception as fault:  # noqa: BLE001  # logged: a database that fails ends neither this worker nor the calls
            return fault
        return None

    async def close(self) -> None:
        """Let events under way end, and what was said leave."""
        await self._chores.close(2.0)
        await self._lines.flush()


_REFUSALS: Final[Mapping[str, type[Refusal]]] = {"not_found": NotFound, "wrong_state": WrongState}
