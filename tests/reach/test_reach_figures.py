"""What Prometheus scrapes: complete, bounded, about nobody; and the sample dashboard speaks of nothing else."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from signaling.rtc import LegStats
from telehealth.app import ROOT
from telehealth.reach.figures import MediaFigures
from telehealth.visits.roster import Quality
from tests.order.place import NAME, Place

DASHBOARD = ROOT / "docs" / "dashboard.json"


@dataclass
class Leg:
    leg_id: str
    reading: LegStats

    def stats(self) -> LegStats:
        return self.reading


@dataclass
class Someone:
    page: str | None
    quality: Quality | None


@dataclass
class Clinic:
    """A port and visits whose figures a test sets."""

    open: list[Leg] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    people: list[Someone] = field(default_factory=list)

    def legs(self) -> list[Leg]:
        return self.open

    def stats(self) -> dict[str, int]:
        return self.counts

    def everyone(self) -> Iterator[Someone]:
        return iter(self.people)


def scraped(registry: CollectorRegistry) -> dict[str, float]:
    lines = generate_latest(registry).decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def exported(text: str) -> set[str]:
    """Every name a query may use, whether a series of it exists yet or not."""
    names: set[str] = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        names |= {f"{name}_bucket", f"{name}_count", f"{name}_sum"} if kind == "histogram" else {name}
    return names


def asked(dashboard: dict[str, Any]) -> set[str]:
    targets = [target for panel in dashboard["panels"] for target in panel.get("targets", ())]
    return {name for target in targets for name in re.findall(r"telehealth_\w+", target["expr"])}


def test_totals_go_on_when_legs_come_go_and_begin_anew() -> None:
    registry, clinic = CollectorRegistry(), Clinic()
    figures = MediaFigures(registry, clinic, clinic)
    clinic.open = [Leg("a", LegStats(packets=100, nacks=3)), Leg("b", LegStats(packets=10, sent_packets=7))]
    figures.look()
    clinic.open = [Leg("a", LegStats(packets=150, nacks=4)), Leg("c", LegStats(packets=5))]
    figures.look()
    clinic.open = [Leg("a", LegStats(packets=20, nacks=4))]  # a worker was replaced, and counts anew
    figures.look()
    seen = scraped(registry)
    assert seen['telehealth_media_leg_packets_total{direction="up"}'] == 100 + 10 + 50 + 5 + 20
    assert seen['telehealth_media_leg_packets_total{direction="down"}'] == 7
    assert seen['telehealth_media_nacks_total{direction="up"}'] == 4


def test_frozen_pictures_of_pages_add_up() -> None:
    registry, clinic = CollectorRegistry(), Clinic()
    figures = MediaFigures(registry, clinic, clinic)
    for freezes, frozen in ((1, 500.0), (1, 500.0), (4, 2500.0)):
        clinic.people = [Someone("page", Quality(3, 40, 0.01, 5, freezes, frozen, "udp")), Someone(None, None)]
        figures.look()
    seen = scraped(registry)
    assert seen["telehealth_call_freezes_total"] == 4
    assert seen["telehealth_call_frozen_seconds_total"] == 2.5
    assert seen["telehealth_call_round_trip_seconds_count"] == 3
    assert seen['telehealth_call_level{level="3"}'] == 1
    assert seen['telehealth_call_path{path="udp"}'] == 1


def test_the_ports_counts_are_told_by_reason() -> None:
    registry, clinic = CollectorRegistry(), Clinic(counts={"packets": 9, "dropped_stray": 4, "kernel_drops": 2})
    clinic.counts |= {f"dropped_reason_{number}": 1 for number in range(500)}
    clinic.open = [Leg("a", LegStats(path="tcp6")), Leg("b", LegStats(path="made up"))]
    MediaFigures(registry, clinic, clinic)
    seen = scraped(registry)
    assert seen["telehealth_media_kernel_drops_total"] == 2
    assert seen["telehealth_media_packets_total"] == 9
    assert seen['telehealth_media_legs_by_path{path="tcp6"}'] == 1
    assert seen['telehealth_media_legs_by_path{path="unknown"}'] == 1
    assert sum(name.startswith("telehealth_media_dropped_total") for name in seen) == 64


async def test_every_name_of_the_dashboard_is_exported_and_no_series_says_whose_it_is(place: Place) -> None:
    ada = await place.member("clinician")
    made = await place.booked(ada)
    browser = await place.browser(ada.staff, made["visit"]["id"])
    assert (await browser.enter())["ok"]
    assert await browser.send("quality", {"level": 4, "rtt_ms": 10, "loss": 0.0, "path": "udp"}) == {"ok": True}
    text = (await (await place.client().get("/metrics")).read()).decode()
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    assert asked(dashboard) - exported(text) == set()
    assert len(asked(dashboard)) > 20
    assert "telehealth_call_level" in text
    assert not re.search(r"(vis|par|leg|usr|lnk)_[a-z2-7]{26}", text)
    assert NAME not in text
    assert "Clinician" not in text


def test_the_dashboard_is_one_that_grafana_reads() -> None:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
        assert panel["type"] == "row" or all(target["expr"] for target in panel["targets"])
