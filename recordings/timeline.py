"""From RTP timestamps to one clock: when each frame of a leg was captured, in steady microseconds. Pure.

Within a leg the sender reports tie sound and picture to the sender's clock (RFC 3550 §6.4.1). The sender's clock is
tied to ours by its quickest report, so that two senders whose clocks differ by minutes still play in step.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from telehealth.frames import CLOCK_RATE, TrackKind

Method = Literal["sender_reports", "arrival"]
MOST_SPREAD = 2_000_000  # microseconds; beyond it a sender's clock was set anew or its reports are nonsense
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Report:
    """A sender report: RTP `timestamp` was at `ntp` (64-bit), and it came at `arrived` (steady microseconds)."""

    kind: TrackKind
    timestamp: int
    ntp: int
    arrived: int

    @property
    def sent(self) -> int:
        """The sender's time in microseconds."""
        return (self.ntp * _MICRO) >> 32


@dataclass(frozen=True, slots=True)
class KindClock:
    """RTP timestamps of one kind of one leg to steady microseconds, by the newest report before each."""

    rate: int
    timestamps: tuple[int, ...]
    moments: tuple[int, ...]

    def at(self, timestamp: int) -> int:
        index = max(0, bisect_right(self.timestamps, timestamp) - 1)
        return self.moments[index] + (timestamp - self.timestamps[index]) * _MICRO // self.rate


@dataclass(frozen=True, slots=True)
class LegClock:
    """A leg's clocks and the evidence for them: how many reports, how far they disagree (microseconds)."""

    method: Method
    reports: int
    spread: int
    kinds: Mapping[TrackKind, KindClock]


def leg_clock(reports: Sequence[Report], quickest: Mapping[TrackKind, tuple[int, int]]) -> LegClock:
    """The clocks of a leg.

    `quickest`: for each kind that has frames, the (timestamp, arrived) of the frame with the least delay; it ties
    a kind that no sender report speaks of, and all kinds when the reports contradict each other or the frames.
    """
    offsets = [report.arrived - report.sent for report in reports]
    spread = max(offsets) - min(offsets) if offsets else 0
    by_arrival = {kind: KindClock(CLOCK_RATE[kind], (t,), (arrived,)) for kind, (t, arrived) in quickest.items()}
    if not offsets or spread > MOST_SPREAD:
        return LegClock("arrival", len(reports), spread, by_arrival)
    least, kinds = min(offsets), dict(by_arrival)
    for kind in quickest:
        own = sorted({(r.timestamp, r.sent + least) for r in reports if r.kind == kind})
        if own:
            clock = KindClock(CLOCK_RATE[kind], tuple(t for t, _ in own), tuple(moment for _, moment in own))
            timestamp, arrived = quickest[kind]
            if abs(clock.at(timestamp) - arrived) > MOST_SPREAD:
                return LegClock("arrival", len(reports), spread, by_arrival)
            kinds[kind] = clock
    return LegClock("sender_reports", len(reports), spread, kinds)
