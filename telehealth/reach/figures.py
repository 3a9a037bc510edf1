"""Figures of legs and calls for Prometheus: histograms and totals; no label ever says whose.

Every few seconds each leg, and what each page last said of its call, is one observation: a quantile over an hour is
then one over leg-time. What changed within a leg's last few seconds is not counted.
"""

import asyncio
from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from telehealth.reach.ports import Reading, SeenPort, SeenQuality, SeenVisits

EVERY: Final = 5.0  # seconds between two looks
MOST_REASONS: Final = 64
PATHS: Final = frozenset({"udp4", "udp6", "tcp4", "tcp6"})
REPORTED_PATHS: Final = frozenset({"udp", "tcp", "turn_udp", "turn_tcp", "turn_tls"})

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0)
_SHARES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_BITS = (0.0, 1e4, 3e4, 1e5, 2e5, 3e5, 5e5, 1e6, 1.5e6, 2.5e6)

# Totals of the port, by their names in `MediaPort.stats`.
_TOTALS = {
    "packets": "Datagrams received on the media port",
    "octets": "Octets received on the media port",
    "sent": "Datagrams sent from the media port",
    "send_failed": "Datagrams that could not be sent",
    "kernel_drops": "Datagrams the kernel dropped because the receive buffer was full",
    "workers_replaced": "Media workers that died or hung and were replaced",
}
_LEVELS = {
    "legs": ("legs", "Legs open on the media port"),
    "receive_buffer": ("receive_buffer_bytes", "Receive buffer the kernel grants the media socket"),
    "workers_missing": ("workers_missing", "Media worker processes that should be at work and are not"),
    "workers": ("workers", "Media worker processes at work; 0: the port lives in the server process"),
}


@dataclass(frozen=True, slots=True)
class _Taken:
    """Totals of one leg, or of one page, when it was last looked at."""

    totals: dict[tuple[str, str], float]

    def since(self, before: "_Taken | None") -> Iterator[tuple[tuple[str, str], float]]:
        """What was added; a total that fell began anew."""
        for name, value in self.totals.items():
            was = before.totals.get(name, 0.0) if before else 0.0
            yield name, value - was if value >= was else value


class MediaFigures:
    """Owns the media series of one registry; reads, never changes."""

    def __init__(self, registry: CollectorRegistry, port: SeenPort, visits: SeenVisits) -> None:
        self._port = port
        self._visits = visits
        self._legs: dict[str, _Taken] = {}
        self._pages: dict[str, _Taken] = {}

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"telehealth_{name}", text, labels, buckets=buckets, registry=registry)

        def total(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"telehealth_{name}", text, labels, registry=registry)

        self._bitrate = histogram("media_leg_bits_per_second", "Bit rate of a leg", _BITS, "direction")
        self._loss = histogram("media_leg_loss_ratio", "Share of packets lost on a leg", _SHARES, "direction")
        self._trip = histogram("media_leg_round_trip_seconds", "Round trip between server and browser", _SECONDS)
        self._jitter = histogram("media_leg_jitter_seconds", "Jitter of what comes from the browser", _SECONDS, "kind")
        self._totals = {
            "media_leg_packets": total("media_leg_packets", "Media packets of legs", "direction"),
            "media_leg_octets": total("media_leg_octets", "Media octets of legs", "direction"),
            "media_nacks": total("media_nacks", "Packets asked for again", "direction"),
            "media_key_frames_asked": total("media_key_frames_asked", "Key frames asked for (PLI, FIR)", "direction"),
            "call_freezes": total("call_freezes", "Frozen pictures, as browsers count them"),
            "call_frozen_seconds": total("call_frozen_seconds", "Seconds of frozen picture, as browsers measure them"),
        }
        self._call_trip = histogram("call_round_trip_seconds", "Round trip as browsers measure it", _SECONDS)
        self._call_loss = histogram("call_loss_ratio", "Share of packets lost as browsers measure it", _SHARES)
        self._call_jitter = histogram("call_jitter_seconds", "Jitter as browsers measure it", _SECONDS)
        registry.register(self)

    async def run(self) -> None:
        """Look again and again; whoever owns the task ends it."""
        while True:
            await asyncio.sleep(EVERY)
            self.look()

    def look(self) -> None:
        """One observation of every leg and of every page."""
        legs = {leg.leg_id: leg.stats() for leg in self._port.legs()}
        for reading in legs.values():
            self._observe(reading)
        self._legs = self._add(self._legs, {name: _of_leg(reading) for name, reading in legs.items()})
        pages = {
            person.page: person.quality
            for person in self._visits.everyone()
            if person.page is not None and person.quality is not None
        }
        for quality in pages.values():
            self._call_trip.observe(quality.rtt_ms / 1000)
            self._call_loss.observe(quality.loss)
            self._call_jitter.observe(quality.jitter_ms / 1000)
        self._pages = self._add(self._pages, {name: _of_page(quality) for name, quality in pages.items()})

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: the registry need not read a port that is not open yet."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """What is read when it is scraped: the port's own counts, paths and levels of the moment."""
        stats = self._port.stats()
        for name, (shown, text) in _LEVELS.items():
            yield GaugeMetricFamily(f"telehealth_media_{shown}", text, value=stats.get(name, 0))
        for name, text in _TOTALS.items():
            yield CounterMetricFamily(f"telehealth_media_{name}", text, value=stats.get(name, 0))
        yield _dropped(stats)
        yield _tallied(
            "media_legs_by_path", "Legs by what carries them", "path", (_path(leg.stats()) for leg in self._port.legs())
        )
        said = [person.quality for person in self._visits.everyone() if person.quality is not None]
        yield _tallied(
            "call_level", "People in calls by quality, 0 to 4", "level", (str(quality.level) for quality in said)
        )
        yield _tallied(
            "call_path", "People in calls by what carries them", "path", (_reported(quality) for quality in said)
        )

    def _observe(self, reading: Reading) -> None:
        self._bitrate.labels("up").observe(reading.bitrate)
        self._bitrate.labels("down").observe(reading.sent_bitrate)
        self._loss.labels("up").observe(reading.loss)
        self._loss.labels("down").observe(reading.sent_loss)
        trip = reading.sent_rtt if reading.sent_rtt is not None else reading.rtt
        if trip is not None:
            self._trip.observe(trip)
        for kind in ("audio", "video"):
            if kind in reading.jitter:
                self._jitter.labels(kind).observe(reading.jitter[kind])

    def _add(self, before: dict[str, _Taken], now: dict[str, _Taken]) -> dict[str, _Taken]:
        for name, taken in now.items():
            for (series, direction), more in taken.since(before.get(name)):
                counter = self._totals[series]
                (counter.labels(direction) if direction else counter).inc(more)
        return now


def _of_leg(reading: Reading) -> _Taken:
    return _Taken(
        {
            ("media_leg_packets", "up"): reading.packets,
            ("media_leg_packets", "down"): reading.sent_packets,
            ("media_leg_octets", "up"): reading.octets,
            ("media_leg_octets", "down"): reading.sent_octets,
            ("media_nacks", "up"): reading.nacks,
            ("media_nacks", "down"): reading.nacks_heard,
            ("media_key_frames_asked", "up"): reading.key_frame_requests,
            ("media_key_frames_asked", "down"): reading.key_frames_heard,
        }
    )


def _of_page(quality: SeenQuality) -> _Taken:
    return _Taken({("call_freezes", ""): quality.freezes, ("call_frozen_seconds", ""): quality.frozen_ms / 1000})


def _path(reading: Reading) -> str:
    return reading.path if reading.path in PATHS else "unknown"


def _reported(quality: SeenQuality) -> str:
    return quality.path if quality.path in REPORTED_PATHS else "unknown"


def _dropped(stats: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(
        "telehealth_media_dropped", "Datagrams dropped on the media port, by reason", labels=("reason",)
    )
    counts = {name.removeprefix("dropped_"): value for name, value in stats.items() if name.startswith("dropped_")}
    for reason in sorted(counts)[:MOST_REASONS]:
        family.add_metric((reason,), counts[reason])
    return family


def _tallied(name: str, text: str, label: str, values: Iterable[str]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"telehealth_{name}", text, labels=(label,))
    for value, count in sorted(Tally(values).items()):
        family.add_metric((value,), count)
    return family
