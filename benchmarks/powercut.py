"""`python -m benchmarks.powercut`: the power is cut at N places (500) of a recorded story, each with its own luck.

SEED as wished; ONLY=<story>/<number> keeps to one cut. Ends with 1 when any promise was broken.
"""

import asyncio
import math
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from benchmarks.crash_house import whole_segments_in
from benchmarks.figure import Figure, measured, say, wished
from telehealth import log
from tests.faults.disk import Change, WatchedServer, changes
from tests.faults.power_checks import LOST_AT_MOST, Cut, look
from tests.faults.power_story import SETTINGS, Told, act, furnished
from tests.faults.powercut import Platter

LENGTH = 12.0  # seconds of the first call: longer than the ten between counts of segments in the log
_NOT_KEPT = shutil.ignore_patterns("*.sock", "server.log")
_STORY: list[Told] = []  # inherited by the processes that look


@dataclass(slots=True)
class Tally:
    """What all cuts came to. `unsafe`: changes that could be lost at each, `faults`: with what replays them."""

    cuts: list[Cut] = field(default_factory=list)
    unsafe: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def add(self, more: "Tally") -> None:
        self.cuts += more.cuts
        self.unsafe += more.unsafe
        self.faults += more.faults


@dataclass(frozen=True, slots=True)
class Story:
    """A house at rest and what happened to its disk from then on. `moment`: of an earlier cut, told until then."""

    name: str
    rested: Path
    log: list[Change]
    root: Path
    told: Told
    moment: float | None = None


def story(folder: Path, length: float, main: str = "telehealth", name: str = "calls") -> Story:
    """Record it, on a real server. `main`: a module with its command line, for builds that are wrong on purpose.

    `calls`: two calls, a deletion and a rotation in a furnished house; `first`: the first calls of a new one.
    """
    server, told, rested = WatchedServer(folder / name, SETTINGS, main=main), Told(), folder / f"{name}-rested"
    try:
        clinic = asyncio.run(furnished(server, told)) if name == "calls" else None
        if clinic is None:
            rested.mkdir()
        else:
            shutil.copytree(server.folder, rested, ignore=_NOT_KEPT)
        asyncio.run(act(server, clinic, told, length=length))
    finally:
        server.stop()
    return Story(name, rested, list(changes(server.changes)), server.folder, told)


def recovery(before: Story, folder: Path, seed: int) -> Story:
    """The power went while a call was recorded; a server mends that, and is watched: the power may go again."""
    disk = Platter(before.rested, before.root)
    for change in before.log:
        disk.feed(change)
    rested, server = folder / "recovery-rested", WatchedServer(folder / "recovery", SETTINGS)
    disk.cut(random.Random(seed), rested)
    shutil.copytree(rested, server.folder)
    try:
        server.start()
        deadline = time.monotonic() + 20
        while any(path.suffix in (".capture", ".sealing") for path in (server.folder / "recordings").iterdir()):
            if time.monotonic() > deadline:
                raise TimeoutError("nothing was recovered")
            time.sleep(0.01)
        server.process.kill()
    finally:
        server.stop()
    return Story("recovery", rested, list(changes(server.changes)), server.folder, before.told, before.told.over)


def places_to_cut(recorded: Story, count: int, chance: random.Random) -> list[int]:
    """After which changes: a third anywhere among them, a third at any time, a third while somebody is recorded."""
    log = recorded.log
    found = [chance.randrange(len(log)) for _ in range(count // 3)]
    spans = [(log[0].moment, log[-1].moment)]
    spans += [(int(call.shown * 1e9), log[-1].moment) for call in recorded.told.calls if not recorded.moment]
    while len(found) < count:
        moment = chance.uniform(*spans[len(found) % len(spans)])
        found.append(next(at for at in reversed(range(len(log))) if log[at].moment <= moment))
    return sorted(found)


def cut_all(recorded: Story, folder: Path, count: int, seed: int, only: str = "") -> Tally:
    """Cut the power, look at what is left, again and again. `only`: the number of one cut, whose folder is left."""
    tally, running = Tally(), dict[Future[Cut], tuple[int, Path]]()
    _STORY[:] = [recorded.told]
    disk, fed = Platter(recorded.rested, recorded.root), 0
    with ProcessPoolExecutor(2, get_context("fork")) as pool:
        for number, at in enumerate(places_to_cut(recorded, count, random.Random(seed))):
            while fed <= at:
                disk.feed(recorded.log[fed])
                fed += 1
            if only and number != int(only):
                continue
            left = folder / f"{recorded.name}-cut-{number}"
            disk.cut(random.Random(f"{seed}/{number}"), left)
            tally.unsafe.append(disk.unsafe)
            moment = recorded.log[fed].moment / 1e9 if fed < len(recorded.log) else recorded.told.over
            moment = recorded.moment or moment
            whole = {name: whole_segments_in(data) for name, data in disk.resting(".capture").items()}
            owed = {name.partition(".")[0]: segments for name, segments in whole.items()}
            running[pool.submit(_look, left, moment, owed)] = (number, left)
            if len(running) >= 4:
                _take(running, tally, f"SEED={seed} ONLY={recorded.name}/", keep=bool(only))
        while running:
            _take(running, tally, f"SEED={seed} ONLY={recorded.name}/", keep=bool(only))
    return tally


def _take(running: "dict[Future[Cut], tuple[int, Path]]", tally: Tally, replay: str, *, keep: bool) -> None:
    future = next(iter(running))
    number, left = running.pop(future)
    cut = future.result()
    tally.cuts.append(cut)
    tally.faults += [f"{replay}{number}: {fault}" for fault in cut.said]
    if not keep:
        shutil.rmtree(left)


def _look(folder: Path, moment: float, owed: dict[str, int]) -> Cut:
    log.configure(sys.stderr, "CRITICAL")
    return look(folder, _STORY[0], moment, owed)


def figures(tally: Tally, seed: int) -> Iterator[Figure]:
    """What the cuts came to."""
    n, cuts = len(tally.cuts), tally.cuts
    lost = [seconds for cut in cuts for seconds in cut.lost]
    for name, count in (
        ("unreadable", sum(cut.unreadable for cut in cuts)),
        ("falsely_complete", sum(cut.falsely_complete for cut in cuts)),
        ("acknowledged_lost", sum(cut.acknowledged_lost for cut in cuts)),
        ("broken_promises", len(tally.faults)),
    ):
        yield measured(f"recordings.powercut.{name}", count, "of all", n=n, seed=seed, at_most=0)
    lost_most, slowest = max(lost, default=0.0), max((cut.recovery for cut in cuts), default=0.0)
    name = "recordings.powercut.tail_lost_seconds"
    yield measured(name, lost_most, "s", n=len(lost), seed=seed, at_most=LOST_AT_MOST)
    yield measured("recordings.powercut.recovery_seconds", slowest, "s", n=n, seed=seed, at_most=5.0)
    yield measured("recordings.powercut.unsafe_changes", sum(tally.unsafe) / max(1, n), "a cut", n=n, seed=seed)


def run(seed: int, count: int) -> Iterator[Figure]:
    """Record the story, cut it; every broken promise on stderr, with what replays it."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        tally = power(Path(name), count, seed, LENGTH, os.environ.get("ONLY", ""))
    for fault in tally.faults:
        say(f"BROKEN {fault}")
    yield from figures(tally, seed)


def power(folder: Path, count: int, seed: int, length: float, only: str = "") -> Tally:
    """Every story, and its share of the cuts. `only`: a story, and the number of one cut."""
    chosen, _, number = only.partition("/")
    calls = story(folder, length)
    stories = [(calls, 0.6), (recovery(calls, folder, seed), 0.2), (story(folder, min(length, 2.0), name="first"), 0.2)]
    tally = Tally()
    for recorded, share in stories:
        if not chosen or chosen == recorded.name:
            cuts = math.ceil(count * share)
            say(f"  {recorded.name}: {cuts} cuts among {len(recorded.log)} changes of the disk")
            tally.add(cut_all(recorded, folder, cuts, seed, number))
    return tally


def main() -> int:
    """Print the figures; 1 when one does not hold."""
    holds = True
    for figure in run(int(os.environ.get("SEED", "") or 7), wished(500)):
        print(figure.line(), flush=True)
        holds = holds and figure.holds
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
