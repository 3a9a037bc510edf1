"""How a handshake says who it is, and what sockets are refused with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import web

from signaling.ports import Holder
from telehealth.access import Caller
from telehealth.errors import Reason, Refusal
from telehealth.limits.bucket import Rate

EVENTS: Final = Rate(40, 80)  # of one socket


class UnknownEvent(Refusal):
    code = "unknown_event"
    reason = Reason.INVALID
    message = "There is no such event."


class SlowDown(Refusal):
    code = "slow_down"
    reason = Reason.TOO_MANY
    message = "Too many events at once."


class SignedOut(Refusal):
    code = "unauthenticated"
    reason = Reason.UNAUTHENTICATED
    message = "Please sign in, or open your link again."


class Source(Protocol):
    """Where a request comes from: `telehealth.web.proxies.Source`."""

    @property
    def address(self) -> str: ...
    @property
    def device(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Doors:
    """How a handshake says who it is: the cookies' names, who resolves them, and where requests come from.

    `events`: of one socket; `turn`: seconds until whoever shakes hands may, so that coming back is no way round it.
    """

    staff: Holder
    patients: Holder
    staff_cookie: str
    patient_cookie: str
    source: Callable[[web.Request], Source]
    prove: Callable[[Caller, str | None], Awaitable[None]]  # staff: that the browser holds the session's key
    events: Rate = EVENTS
    turn: Callable[[web.Request], Awaitable[float]] | None = None
