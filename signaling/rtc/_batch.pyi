"""The compiled loop and the state it shares with Python; see `_batch.c`."""

from collections.abc import Callable
from typing import Any

def use(path: str) -> None: ...

class BudgetState:
    _rate: float
    _burst: float
    _level: float
    _at: float

class ReceptionState:
    ssrc: int
    received: int
    octets: int
    highest: int
    _rate: int
    _base: int
    _jitter: float
    _transit: float

class HistoryState:
    octets: int
    _kept: dict[int, tuple[int, int, int, bytes]]
    _most_packets: int
    _most_octets: int

class FeedState:
    current: Any
    outlets: tuple[Any, ...]

class PublicationState:
    reception: Any
    feed: Any
    stream: Any
    history: Any
    last: float
    silent: bool
    wants_key: bool
    _missing: dict[int, Any]
    _queue: Any
    _next: int
    _payload_type: int
    _level_number: int
    _time_number: int
    _video: bool

class OutletState:
    origin: Any
    lane: Lane | None
    ssrc: int
    packets: int
    octets: int
    held: bool
    paused: bool
    doubled: bool
    _keeps_sent: bool
    _running: bool
    _prefix: bytes
    _payload_type: int
    _base: int
    _shift: int
    _time_shift: int
    _highest: int
    _timestamp: int
    _head_size: int
    _level_bits: int
    _time_bits: int
    _sent_at: float

class Lane:
    incoming: Cipher | None
    outgoing: Cipher | None
    remote: Address | None
    budget: BudgetState
    sources: dict[int, Any]
    leg: Any
    last: float
    authenticated: float
    deaf_until: float
    packets: int
    octets: int

class Cipher:
    def __init__(self, context: int, session: Any) -> None: ...

class Address:
    fd: int
    key: bytes
    def __init__(self, fd: int, host: str, rest: tuple[int, ...]) -> None: ...

class Loop:
    packets: int
    octets: int
    sent: int
    failed: int
    sent_twice: int
    def __init__(
        self,
        odd: Callable[[Any, bytes, Any, float], None],
        fault: Callable[[Any, Exception], None],
        outage: float,
    ) -> None: ...
    def drain(self, door: Any, lanes: dict[bytes, Lane], fd: int, main: int, most: int, now: float) -> int: ...
