"""What carrying visits costs: ours beside Janus, the same load, in turns; how late packets are, what a leg weighs.

Each window brings up fresh visits, lets them play for a second, then counts processor time of the server process
(user and system, all threads) over SECONDS while the load goes on. Divided by the RTP packets that were sent to it.
N windows of each server, size and mode, interleaved; medians, the spread is said on stderr with the machine's load.
Where the compiled loop was built, a third side is ours without it (`python`).
REALTIME=1 lets load and servers run before everything else on a machine that others use too.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, measured, said, say, wished
from benchmarks.media_janus import janus
from benchmarks.media_sides import After, Ours, Side, Theirs, ahead_of_others, kernel_drops, resident
from benchmarks.pipe import Partner, partner
from signaling.rtc.state import compiled

SECONDS = float(os.environ.get("SECONDS", "") or 5.0)
VISITS = tuple(int(word) for word in (os.environ.get("VISITS", "") or "4,12,40").split(","))
MODES = {"recording": True, "forwarding": False}
_WARM_UP = 1.0  # seconds
_IN_FLIGHT = 0.3
_FILLS = 6.0  # seconds until a stream's history is full
_RATIO_FROM = 12  # visits from which the aim counts
_LATENCY_AT = 12


@dataclass(frozen=True, slots=True)
class Window:
    """`spent`: µs of processor time for each packet received; `share`: percent of a core for each visit."""

    spent: float
    share: float
    sent: int
    delivered: float
    drops: int
    lost_by_load: int
    latency: dict[str, float]
    wrong: int
    keys_asked: int
    after: float | None  # percent of a core more for each visit, once it has ended
    load: float


Series = dict[tuple[str, int, str], list[Window]]  # mode, visits, side


def run(seed: int) -> Iterator[Figure]:
    """Every size and mode, then memory."""
    found = asyncio.run(measure(seed))
    for (mode, visits, side), windows in found.items():
        say(_told(mode, visits, side, windows))
    for mode in MODES:
        for visits in VISITS:
            yield from _costs(found, mode, visits, seed)
    yield from _quality(found, seed)
    if VISITS:
        weight = asyncio.run(weigh(max(VISITS), seed))
        yield measured("media.memory_per_leg", weight, "MB", n=2 * max(VISITS), seed=seed, at_most=1.0)


def _costs(found: Series, mode: str, visits: int, seed: int) -> Iterator[Figure]:
    suffix = f"{visits}" if mode == "recording" else f"{visits}.forwarding"
    ours, theirs = found[mode, visits, "ours"], found[mode, visits, "janus"]
    told: dict[str, Any] = {"n": len(ours), "seed": seed}
    plain = found.get((mode, visits, "python"), [])
    for side, windows in (("ours", ours), ("janus", theirs), ("python", plain)):
        if not windows:
            continue
        spent = statistics.median(window.spent for window in windows)
        share = statistics.median(window.share for window in windows)
        yield measured(f"media.cpu_per_packet.{side}.{suffix}", spent, "µs", **told)
        yield measured(f"media.cpu_per_visit.{side}.{suffix}", share, "% of a core", **told)
        after = [window.after for window in windows if window.after is not None]
        if after:
            yield measured(f"media.cpu_afterwards.{side}.{suffix}", statistics.median(after), "% of a core", **told)
    yield from _ratios(f"media.cpu_ratio.{suffix}", ours, theirs, _aim(visits, 0.6 if plain else 1.0), seed)
    if plain:
        yield from _ratios(f"media.cpu_ratio.python.{suffix}", plain, theirs, _aim(visits, 1.0), seed)


def _ratios(name: str, ours: list[Window], theirs: list[Window], aim: dict[str, Any], seed: int) -> Iterator[Figure]:
    """Of windows that followed each other: the median ratio, which has the aim, the least and the most."""
    ratios = [one.spent / other.spent for one, other in zip(ours, theirs, strict=True)]
    told: dict[str, Any] = {"n": len(ratios), "seed": seed}
    yield measured(name, statistics.median(ratios), "× Janus", **told, **aim)
    yield measured(f"{name}.least", min(ratios), "× Janus", **told)
    yield measured(f"{name}.most", max(ratios), "× Janus", **told)


def _aim(visits: int, most: float) -> dict[str, Any]:
    return {"at_most": most} if visits >= _RATIO_FROM else {}


def _quality(found: Series, seed: int) -> Iterator[Figure]:
    for side in ("ours", "janus", "python"):
        windows = [window for (_, _, who), some in found.items() if who == side for window in some]
        if not windows:
            continue
        told: dict[str, Any] = {"n": len(windows), "seed": seed}
        aim: dict[str, Any] = {} if side == "janus" else {"at_least": 0.999}
        yield measured(f"media.delivered.{side}", min(one.delivered for one in windows), "of those sent", **told, **aim)
        yield measured(f"media.kernel_drops.{side}", sum(one.drops for one in windows), "datagrams", **told)
        yield measured(f"media.altered.{side}", sum(one.wrong for one in windows), "packets", **told, at_most=0)
    for side in ("ours", "janus"):
        windows = found.get(("recording", _LATENCY_AT, side), [])
        for share, most in (("p50", 1.0), ("p99", 5.0)):
            name = f"media.latency.{share}" if side == "ours" else f"media.latency_{side}.{share}"
            bound = {"at_most": most} if side == "ours" else {}
            if windows:
                late = statistics.median(window.latency[share] for window in windows)
                yield measured(name, late, "ms", n=len(windows), seed=seed, **bound)


def _told(mode: str, visits: int, side: str, windows: list[Window]) -> str:
    spent = [window.spent for window in windows]
    loads = ", ".join(f"{window.load:.1f}" for window in windows)
    return (
        f"  {visits:>3} visits, {mode}, {side:<5}: {statistics.median(spent):6.1f} µs a packet "
        f"({min(spent):.1f}–{max(spent):.1f}), {min(one.delivered for one in windows):.4f} delivered, kernel drops "
        f"{sum(one.drops for one in windows)} (+{sum(one.lost_by_load for one in windows)} at the load), latency p50 "
        f"{statistics.median(one.latency['p50'] for one in windows):.2f} p99 "
        f"{statistics.median(one.latency['p99'] for one in windows):.2f} ms, key frames asked "
        f"{sum(one.keys_asked for one in windows)}, machine's load {loads}"
    )


async def measure(seed: int) -> Series:
    """All windows; the two servers live side by side, and only one has visits at a time."""
    found: Series = {}
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        async with AsyncExitStack() as stack:
            load = await stack.enter_async_context(partner("benchmarks.media_load", str(seed)))
            server = await stack.enter_async_context(partner("benchmarks.media_ours", str(Path(name) / "ours")))
            sides: list[Side] = [
                Ours(server),
                Theirs(await stack.enter_async_context(janus(Path(name) / "janus"))),
            ]
            if compiled():
                plain = partner("benchmarks.media_ours", str(Path(name) / "plain"), "python")
                sides.append(Ours(await stack.enter_async_context(plain), "python"))
            for visits in VISITS:
                for mode, record in MODES.items():
                    for number in range(wished(3)):
                        say(f"  {visits} visits, {mode}, window {number + 1}")
                        for side in sides:
                            one = await window(side, load, visits, record)
                            found.setdefault((mode, visits, side.name), []).append(one)
    return found


async def window(side: Side, load: Partner, visits: int, record: bool) -> Window:
    """Fresh visits, a second to warm up, SECONDS of load, the end."""
    for pid in (side.pid(), load.pid):
        ahead_of_others(pid)
    await side.bring_up(load, visits, record)
    await load.ask("play")
    await asyncio.sleep(_WARM_UP)
    drops, lost = kernel_drops(side.pid()), kernel_drops(load.pid)
    await load.ask("begin")
    cpu, begun = side.cpu(), time.monotonic()
    await asyncio.sleep(SECONDS)
    spent, lasted = side.cpu() - cpu, time.monotonic() - begun
    await load.ask("hush")
    await asyncio.sleep(_IN_FLIGHT)
    count = await load.ask("count")
    drops, lost = kernel_drops(side.pid()) - drops, kernel_drops(load.pid) - lost
    after = await side.end(load, record)
    _check(count, after)
    return Window(
        spent=1e6 * spent / count["sent"],
        share=100 * spent / lasted / visits,
        sent=count["sent"],
        delivered=count["delivered"] / count["sent"],
        drops=drops,
        lost_by_load=lost,
        latency=count["latency"],
        wrong=count["wrong"],
        keys_asked=count["keys_asked"],
        after=None if after.seconds is None else 100 * after.seconds / (lasted + _WARM_UP) / visits,
        load=os.getloadavg()[0],
    )


def _check(count: dict[str, Any], after: After) -> None:
    """A window in which nothing arrived, or nothing was kept, measures nothing. Raises RuntimeError."""
    if count["delivered"] < count["sent"] / 2 or count["checked"] == 0:
        raise RuntimeError(f"the visits were not carried: {count}")
    if after.pictures == 0:
        raise RuntimeError("no picture was recorded")


async def weigh(visits: int, seed: int) -> float:
    """MB that a leg of a playing, recorded visit adds to a fresh server, histories full."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        async with (
            partner("benchmarks.media_load", str(seed)) as load,
            partner("benchmarks.media_ours", name) as server,
        ):
            side = Ours(server)
            await window(side, load, 1, True)  # what is made once is made now
            before = resident(server.pid)
            await side.bring_up(load, visits, True)
            await load.ask("play")
            await asyncio.sleep(_FILLS)
            held = resident(server.pid) - before
            await load.ask("hush")
            await side.end(load, True)
    return held / 1e6 / (2 * visits)


if __name__ == "__main__":
    said(run)
