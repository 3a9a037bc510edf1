"""Processor time of a recorded two-party visit: ours beside aiortc's MediaRecorder, the same load, in turns."""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from benchmarks.figure import Figure, measured, say, wished
from benchmarks.pipe import Partner, partner

MOST_VISITS = int(os.environ.get("VISITS", "4"))
PEER_VISITS = int(os.environ.get("PEER_VISITS", "1"))  # MediaRecorder needs more than a core for each
_WARM_UP, _WINDOW = 1.5, 5.0  # seconds


@dataclass(slots=True)
class Series:
    """The windows of one server at one size: percent of a core per visit, live and with what ends a recording."""

    visits: int
    live: list[float] = field(default_factory=list)
    ending: list[float] = field(default_factory=list)
    offered: list[float] = field(default_factory=list)  # pictures a second per publisher
    kept: list[float] = field(default_factory=list)  # share of the pictures sent that is in the files

    @property
    def whole(self) -> float:
        """Percent of a core per visit while it is recorded, sealing included."""
        return statistics.median(live + end for live, end in zip(self.live, self.ending, strict=True))


def run(seed: int) -> Iterator[Figure]:
    """Windows of ours at both sizes and of MediaRecorder, interleaved; medians."""
    windows = wished(3)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        alone, full, peer = asyncio.run(_measure(Path(name), seed, windows))
    for series, who in ((alone, "ours"), (full, "ours"), (peer, "MediaRecorder")):
        say(_told(series, who))
    told: dict[str, Any] = {"unit": "% of a core", "n": windows, "seed": seed}
    yield measured("visit.cpu_per_recorded_visit", full.whole, **told)
    yield measured("visit.cpu_per_recorded_visit_alone", alone.whole, **told)
    yield measured("visit.cpu_per_recorded_visit_media_recorder", peer.whole, **told)
    ratio = peer.whole / alone.whole
    yield measured("visit.cpu_ratio_media_recorder", ratio, "×", n=windows, seed=seed, at_least=20)


def _told(series: Series, who: str) -> str:
    live, ending = statistics.median(series.live), statistics.median(series.ending)
    kept, offered = statistics.median(series.kept), statistics.median(series.offered)
    return (
        f"  {who}, {series.visits} visits: {live:.2f} % of a core each, {ending:.2f} % more to end it; "
        f"{offered:.1f} pictures a second offered, {kept:.0%} kept"
    )


async def _measure(folder: Path, seed: int, windows: int) -> tuple[Series, Series, Series]:
    for name in ("ours", "peer"):
        (folder / name).mkdir()
    async with AsyncExitStack() as stack:
        load = await stack.enter_async_context(partner("benchmarks.load", str(seed)))
        ours = await stack.enter_async_context(partner("benchmarks.our_recorder", str(folder / "ours")))
        other = await stack.enter_async_context(partner("benchmarks.media_recorder", str(folder / "peer")))
        alone, full, peer = Series(PEER_VISITS), Series(MOST_VISITS), Series(PEER_VISITS)
        for number in range(windows):
            say(f"  window {number + 1} of {windows}")
            for series, server in ((alone, ours), (peer, other), (full, ours)):
                await _window(series, server, load)
    return alone, full, peer


async def _window(series: Series, server: Partner, load: Partner) -> None:
    """Fresh connections and files, a warm-up, five seconds that count, and the end."""
    offers = await load.ask("offers", visits=series.visits)
    answers = await server.ask("answers", **offers)
    await load.ask("connect", **answers)
    await server.ask("recording")
    begun = time.monotonic()
    await asyncio.sleep(_WARM_UP)
    before, cpu, at = await load.ask("sent"), server.cpu(), time.monotonic()
    await asyncio.sleep(_WINDOW)
    spent, took = server.cpu() - cpu, time.monotonic() - at
    after = await load.ask("sent")
    length = time.monotonic() - begun
    cpu = server.cpu()
    left = await server.ask("stop")
    ending = server.cpu() - cpu
    sent = await load.ask("stop")
    await server.idle()
    pictures = sum(after["pictures"]) - sum(before["pictures"])
    series.live.append(100 * spent / took / series.visits)
    series.ending.append(100 * ending / length / series.visits)
    series.offered.append(pictures / took / (2 * series.visits))
    series.kept.append(_kept(left) / sum(sent["pictures"]))


def _kept(left: dict[str, Any]) -> int:
    """Pictures in the files of a window. Raises RuntimeError for a recording that broke off."""
    if left.get("faults"):
        raise RuntimeError(f"a recording broke off: {left['faults']}")
    if "files" not in left:
        return int(left["pictures"])
    return sum(_pictures(Path(name)) for name in left["files"])


def _pictures(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


if __name__ == "__main__":
    for one in run(int(os.environ.get("SEED", "7"))):
        print(one.line())
