"""Processor time of a recorded two-party visit: ours beside aiortc's MediaRecorder, the same load, in turns.

Counted is what a server process spends from the moment all are connected until it has worked off what was sent, per
second of visit; for ours the sealing of a long visit is added, for MediaRecorder the end of the file is left out.
"""

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

from benchmarks.figure import Figure, measured, said, say, wished
from benchmarks.pipe import Partner, partner
from benchmarks.seal_speed import sealed_visits

MOST_VISITS = int(os.environ.get("VISITS", "4"))
PEER_VISITS = int(os.environ.get("PEER_VISITS", "1"))  # one is more than MediaRecorder can do in real time
_WINDOW = 5.0  # seconds


@dataclass(slots=True)
class Series:
    """The windows of one server at one size. `spent`: percent of a core for each visit."""

    who: str
    visits: int
    spent: list[float] = field(default_factory=list)
    behind: list[float] = field(default_factory=list)  # seconds to work off what was sent
    offered: list[float] = field(default_factory=list)  # pictures a second from each publisher
    kept: list[float] = field(default_factory=list)  # share of the pictures sent that is in the files

    def told(self) -> str:
        """The medians, for people."""
        spent, behind, offered, kept = map(statistics.median, (self.spent, self.behind, self.offered, self.kept))
        spread = f"{min(self.spent):.2f}–{max(self.spent):.2f}"
        return (
            f"  {self.who}, {self.visits} at once: {spent:.2f} % of a core each ({spread}); {offered:.1f} pictures/s "
            f"offered by each publisher, {kept:.0%} kept, done {behind:.1f} s after the last"
        )


def run(seed: int) -> Iterator[Figure]:
    """Windows of ours at both sizes and of MediaRecorder, interleaved; medians."""
    windows = wished(3)
    sealing = 100 * statistics.median(one.cpu_share for one in sealed_visits(seed))
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        alone, full, peer = asyncio.run(_measure(Path(name), seed, windows))
    for series in (alone, full, peer):
        say(series.told())
    say(f"  ours, sealing: {sealing:.2f} % of a core more for each")
    told: dict[str, Any] = {"unit": "% of a core", "n": windows, "seed": seed}
    ours, beside, theirs = (statistics.median(series.spent) for series in (full, alone, peer))
    yield measured("visit.cpu_per_recorded_visit", ours + sealing, **told)
    yield measured("visit.cpu_per_recorded_visit_beside_peer", beside + sealing, **told)
    yield measured("visit.cpu_per_recorded_visit_media_recorder", theirs, **told)
    for series, name in ((alone, ""), (peer, "_media_recorder")):
        kept = statistics.median(series.kept)
        yield measured(f"visit.pictures_kept{name}", kept, "of those sent", n=windows, seed=seed)
    ratio = theirs / (beside + sealing)
    yield measured("visit.cpu_ratio_media_recorder", ratio, "×", n=windows, seed=seed, at_least=20)


async def _measure(folder: Path, seed: int, windows: int) -> tuple[Series, Series, Series]:
    for name in ("ours", "peer"):
        (folder / name).mkdir()
    alone, full = Series("ours", PEER_VISITS), Series("ours", MOST_VISITS)
    peer = Series("MediaRecorder", PEER_VISITS)
    async with AsyncExitStack() as stack:
        load = await stack.enter_async_context(partner("benchmarks.load", str(seed)))
        ours = await stack.enter_async_context(partner("benchmarks.our_recorder", str(folder / "ours")))
        other = await stack.enter_async_context(partner("benchmarks.media_recorder", str(folder / "peer")))
        for number in range(windows):
            say(f"  window {number + 1} of {windows}")
            for series, server in ((alone, ours), (peer, other), (full, ours)):
                await _window(series, server, load)
    return alone, full, peer


async def _window(series: Series, server: Partner, load: Partner) -> None:
    """Fresh connections and files, five seconds of load, the work left over, the end."""
    offers = await load.ask("offers", visits=series.visits)
    answers = await server.ask("answers", **offers)
    await load.ask("connect", **answers)
    cpu, begun = server.cpu(), time.monotonic()
    await asyncio.sleep(_WINDOW)
    sent = await load.ask("hush")
    lasted = time.monotonic() - begun
    behind = await server.idle()
    spent = server.cpu() - cpu
    left = await server.ask("stop")
    await load.ask("stop")
    series.spent.append(100 * spent / lasted / series.visits)
    series.behind.append(behind)
    series.offered.append(sent["pictures"] / lasted / (2 * series.visits))
    series.kept.append(_kept(left) / sent["pictures"])


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
    said(run)
