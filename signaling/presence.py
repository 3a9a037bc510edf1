"""Which sockets are open, whose they are, and what still waits to be sent over each."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from signaling.flag import Flag
from telehealth.access import Caller
from telehealth.limits.bucket import TokenBucket
from telehealth.log import get_logger

log = get_logger(__name__)

MOST_WAITING: Final = 128  # events for one socket; full means that it does not read, and it is cut
WHOLE: Final = frozenset({"view", "today"})  # of these only the newest counts
CLOSE_SECONDS: Final = 0.8  # for the last word, and again for the goodbye

Event = tuple[str, Mapping[str, Any]]


class Carrier(Protocol):
    """The wire below: `signaling.server`."""

    async def carry(self, sid: str, event: str, payload: Mapping[str, Any]) -> None:
        """Send one event; returns when the one before has left."""
        ...

    async def hang_up(self, sid: str, *, for_good: bool) -> None:
        """Close the connection; `for_good`: the page is told not to connect again by itself."""
        ...


@dataclass(slots=True, eq=False)
class Socket:
    """One open socket. `here`: where it entered a visit; `abort`: drop the connection without a word.

    `still`: raises a Refusal once whoever opened it may not have it any more. `far`: the node that runs its visit, if
    that is another one; `gone`: told when the connection is gone. `carrier`: of a socket that another node holds.
    """

    sid: str
    caller: Caller
    visit: str | None  # what it was opened for; None: to watch
    bucket: TokenBucket
    abort: Callable[[], None]
    here: Any = None
    waiting: list[Event] = field(default_factory=list)  # a short one: thousands of sockets are open, and wait
    woken: Flag = field(default_factory=Flag)
    closing: bool = False
    for_good: bool = True
    answering: int = 0  # events of its own that have no answer yet
    answered: Flag = field(default_factory=Flag)
    writer: asyncio.Task[None] | None = None
    still: Callable[[], Awaitable[object]] | None = None
    far: str | None = None
    gone: Callable[["Socket"], None] | None = None
    carrier: Carrier | None = None

    @property
    def participant(self) -> str | None:
        """Whose it is: by its entry, or by the patient's cookie."""
        return self.here.participant if self.here is not None else self.caller.participant

    def push(self, event: str, payload: Mapping[str, Any]) -> bool:
        """Put it behind what waits; False if too much waits. A newer whole replaces the older one."""
        if self.closing:
            return True
        if event in WHOLE:
            self.waiting = [other for other in self.waiting if other[0] != event]
        if len(self.waiting) >= MOST_WAITING:
            return False
        self.waiting.append((event, payload))
        self.woken.set()
        return True

    @contextmanager
    def event(self) -> Iterator[None]:
        """One event under way: a socket that closes meanwhile waits a moment for its answer."""
        self.answering += 1
        try:
            yield
        finally:
            self.answering -= 1
            if not self.answering:
                self.answered.set()

    def close(self) -> None:
        """Close once what waits is sent; nothing more is taken."""
        self.closing = True
        self.woken.set()


class Sockets:
    """Implements `telehealth.visits.ports.Publish`. Owns one writing task for each socket, from `add` to its end."""

    def __init__(self) -> None:
        self._carrier: Carrier | None = None
        self._open: dict[str, Socket] = {}
        self._seats: dict[str, Socket] = {}  # participant → the socket they are entered with
        self._writers: set[asyncio.Task[None]] = set()

    def carried_by(self, carrier: Carrier) -> None:
        self._carrier = carrier

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Socket]:
        """All that are open now."""
        return iter(tuple(self._open.values()))

    def get(self, sid: str) -> Socket | None:
        return self._open.get(sid)

    def add(self, socket: Socket) -> None:
        """Take charge of a socket that was let in."""
        self._open[socket.sid] = socket
        socket.writer = asyncio.create_task(self._write(socket), name="socket writer")
        self._writers.add(socket.writer)
        socket.writer.add_done_callback(self._writers.discard)

    def remove(self, sid: str) -> Any:
        """The connection is gone. Where it was entered, if nobody took its place and it was not sent away."""
        socket = self._open.pop(sid, None)
        if socket is None:
            return None
        if socket.writer is not None and not socket.closing:
            socket.writer.cancel()
        if socket.gone is not None:
            socket.gone(socket)
        return self._unseat(socket)

    def seat(self, socket: Socket, here: Any) -> None:
        """This socket is now the participant's; the one before is told and closed. One that is gone sits nowhere."""
        if socket.sid not in self._open:
            return
        before = self._seats.get(here.participant)
        socket.here = here
        self._seats[here.participant] = socket
        if before is not None and before is not socket:
            self._send_away(before, "replaced", {})

    def seated(self, socket: Socket) -> bool:
        """Whether the socket is the one its participant is entered with."""
        return socket.here is not None and self._seats.get(socket.here.participant) is socket

    # telehealth.visits.ports.Publish

    def to_participant(self, participant: str, event: str, payload: Mapping[str, Any]) -> None:
        socket = self._seats.get(participant)
        if socket is not None:
            self._push(socket, event, payload)

    def to_watchers(self, clinician: str, event: str, payload: Mapping[str, Any]) -> None:
        for socket in tuple(self._open.values()):
            if socket.visit is None and socket.caller.id == clinician:
                self._push(socket, event, payload)

    def watched(self) -> frozenset[str]:
        return frozenset(socket.caller.id for socket in self._open.values() if socket.visit is None)

    def close_participant(self, participant: str, reason: str) -> None:
        for socket in tuple(self._open.values()):
            if socket.participant == participant:
                self._unseat(socket)
                self._send_away(socket, "ended", {"reason": reason})

    def replace_participant(self, participant: str) -> None:
        for socket in tuple(self._open.values()):
            if socket.participant == participant:
                self._send_away(socket, "replaced", {})

    def drop_participant(self, participant: str) -> None:
        for socket in tuple(self._open.values()):
            if socket.participant == participant:
                self._unseat(socket)
                socket.abort()

    def close_user(self, user: str, session: str | None) -> None:
        for socket in tuple(self._open.values()):
            caller = socket.caller
            if caller.kind == "user" and caller.id == user and session in (None, caller.session):
                self._send_away(socket, "ended", {"reason": "signed_out"})

    # Sending.

    def push(self, socket: Socket, event: str, payload: Mapping[str, Any]) -> None:
        """Send one event; a socket that does not read is cut."""
        self._push(socket, event, payload)

    def sign_out(self, socket: Socket) -> None:
        """Whoever opened it may not have it any more."""
        self._unseat(socket)
        self._send_away(socket, "ended", {"reason": "signed_out"})

    def _push(self, socket: Socket, event: str, payload: Mapping[str, Any]) -> None:
        if not socket.push(event, payload):
            log.warning("socket.too_slow", participant=socket.participant, user=socket.caller.id)
            socket.abort()

    def _send_away(self, socket: Socket, event: str, payload: Mapping[str, Any]) -> None:
        if not socket.closing:
            socket.waiting.clear()
            socket.push(event, payload)
            socket.close()

    def slow_down(self, socket: Socket) -> None:
        """One last word to a socket that says too much, then it is cut; its page may come back."""
        socket.for_good = False
        self._send_away(socket, "slow_down", {})

    def _unseat(self, socket: Socket) -> Any:
        if socket.here is None or self._seats.get(socket.here.participant) is not socket:
            return None
        return self._seats.pop(socket.here.participant).here

    async def _write(self, socket: Socket) -> None:
        """Send what waits, one after the other; a wire that takes nothing keeps it waiting here, bounded."""
        carrier = socket.carrier or self._carrier
        if carrier is None:
            raise RuntimeError("sockets have no carrier")
        while True:
            while socket.waiting:
                event, payload = socket.waiting.pop(0)
                if not socket.closing:
                    await carrier.carry(socket.sid, event, payload)
                else:
                    await self._last_word(carrier, socket, event, payload)
            if socket.closing:
                break
            socket.woken.clear()
            await socket.woken.wait()
        await self._hang_up(carrier, socket)

    async def _last_word(self, carrier: Carrier, socket: Socket, event: str, payload: Mapping[str, Any]) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await carrier.carry(socket.sid, event, payload)
        except TimeoutError:
            socket.abort()  # it does not read; it is closed all the same

    async def _hang_up(self, carrier: Carrier, socket: Socket) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                while socket.answering:
                    socket.answered.clear()
                    await socket.answered.wait()
                await carrier.hang_up(socket.sid, for_good=socket.for_good)
        except TimeoutError:
            pass  # it is aborted either way
        socket.abort()

    async def close(self) -> None:
        """Drop every connection, so that pages come back after a restart, and wait for every writer."""
        for socket in tuple(self._open.values()):
            self._unseat(socket)
            if socket.writer is not None and not socket.closing:
                socket.writer.cancel()
                socket.abort()
        if self._writers:
            await asyncio.wait(set(self._writers))
