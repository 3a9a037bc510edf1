"""What the media edge hands to a recorder: encoded frames and the clock that ties tracks together."""

from typing import Literal, NamedTuple, Protocol, runtime_checkable

TrackKind = Literal["audio", "video"]
CLOCK_RATE: dict[TrackKind, int] = {"audio": 48_000, "video": 90_000}


class EncodedFrame(NamedTuple):
    """One Opus packet or one whole VP8 frame; a tuple, for one is made eighty times a second and leg.

    `timestamp`: RTP timestamp, unwrapped to a monotone integer, in units of CLOCK_RATE[kind].
    `arrived`: steady seconds when its last packet came.
    """

    kind: TrackKind
    data: bytes
    timestamp: int
    key: bool
    arrived: float


class FrameSink(Protocol):
    """Takes one leg's frames. All calls come on the event loop and must return at once."""

    def frame(self, frame: EncodedFrame) -> None: ...

    def sender_report(self, kind: TrackKind, timestamp: int, ntp: int) -> None:
        """RTCP SR: the unwrapped RTP `timestamp` that belongs to the 64-bit NTP time `ntp` (RFC 3550 §6.4.1)."""
        ...

    def lost(self, kind: TrackKind, packets: int) -> None:
        """That many packets never came in time; frames they belonged to are missing."""
        ...

    def leg_closed(self, reason: str) -> None:
        """The last call; `reason` is a code."""
        ...


@runtime_checkable
class MayFallBehind(Protocol):
    """A sink that wants to know when frames were left out on their way because this process did not take them."""

    def fell_behind(self, since: float) -> None:
        """`since`: steady seconds when the first of them arrived."""
        ...
