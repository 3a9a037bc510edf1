"""What happened, told inside the process: rooms that must act at once subscribe, and none imports another for it."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from telehealth.log import get_logger
from telehealth.secret import Secret

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A staff session is over; `session` None: every session of the user."""

    user: str
    session: str | None = None


@dataclass(frozen=True, slots=True)
class LinkRevoked:
    """A link opens nothing any more; whoever came in by it goes out."""

    visit: str
    link: str


@dataclass(frozen=True, slots=True)
class ParticipantSignedOut:
    """A patient's cookie is over: given up, or replaced by one in another browser (`replaced`)."""

    visit: str
    participant: str
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class CodeMinted:
    """A code to be told by phone, for the clinician's page alone; never stored."""

    visit: str
    link: str
    code: Secret[str]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CodeVoided:
    """The code told before is used, over or replaced by none."""

    visit: str
    link: str


@dataclass(frozen=True, slots=True)
class VisitChanged:
    """Something of the visit that people see is different."""

    visit: str


@dataclass(frozen=True, slots=True)
class CircleLeft:
    """Somebody may not see a visit any more. `in_time`: their time ran out, so that a call under way goes on."""

    visit: str
    user: str
    in_time: bool = False


@dataclass(frozen=True, slots=True)
class IdentitySeen:
    """A clinician looked at a participant's face; `outcome` None: not since they came in by another browser."""

    visit: str
    participant: str
    outcome: str | None


Event = (
    SessionEnded
    | LinkRevoked
    | ParticipantSignedOut
    | CodeMinted
    | CodeVoided
    | VisitChanged
    | CircleLeft
    | IdentitySeen
)
E = TypeVar(
    "E", SessionEnded, LinkRevoked, ParticipantSignedOut, CodeMinted, CodeVoided, VisitChanged, CircleLeft, IdentitySeen
)


class Bus:
    """Subscribers are called one after the other, in the publisher's task, in the order they came."""

    def __init__(self) -> None:
        self._subscribers: defaultdict[type[Any], list[Callable[[Any], Awaitable[None]]]] = defaultdict(list)
        self._relays: list[Callable[[Event], None]] = []

    def subscribe(self, kind: type[E], hear: Callable[[E], Awaitable[None]]) -> Callable[[], None]:
        """Hear every event of this exact type; the answer ends the subscription."""
        self._subscribers[kind].append(hear)
        return lambda: self._subscribers[kind].remove(hear)

    def relay(self, tell: Callable[[Event], None]) -> None:
        """Tell this one everything that is published here: it carries it to other nodes."""
        self._relays.append(tell)

    async def publish(self, event: Event) -> None:
        """Tell everybody; one subscriber's failure is logged and stops no other."""
        for tell in self._relays:
            tell(event)
        await self.deliver(event)

    async def deliver(self, event: Event) -> None:
        """Tell everybody in this process."""
        for hear in tuple(self._subscribers[type(event)]):
            try:
                await hear(event)
            except Exception:  # the promise: no subscriber stops another
                log.error("events.subscriber_failed", kind=type(event).__name__, exc_info=True)
