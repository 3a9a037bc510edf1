"""`python -m benchmarks.faults`: disk and database of a real server fail at the n-th change while it records.

N trials (60) out of all there are, SEED as wished; N=0 tries every n. ONLY=<number> replays one.
Ends with 1 when any promise was broken.
"""

import asyncio
import errno
import itertools
import os
import random
import sys
import tempfile
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from benchmarks.figure import Figure, measured, say
from tests.faults.clinic import Clinic
from tests.faults.disk import Fault, Sort, WatchedServer
from tests.faults.trials import LOST_AT_MOST, MODES, TOLD_WITHIN, Stand, Trial

_DISK = Sort.CREATES | Sort.WRITES | Sort.SYNCS | Sort.RENAMES | Sort.UNLINKS | Sort.FOLDER_SYNCS
PLACES = (
    (_DISK, "/recordings/"),
    (_DISK | Sort.CUTS, "/telehealth.db"),
    (_DISK, "/keys/"),
    (_DISK | Sort.CUTS, "/audit/"),
    (Sort.DATABASE, ""),
)
HOW = (
    (errno.EIO, False, False),
    (errno.EIO, True, False),
    (errno.ENOSPC, False, True),
    (errno.ENOSPC, True, False),
)
_FAR = 2**31


# Hours of trials by one clinician, who opens a socket in each, several a second where the machine is fast.
_SETTINGS = {"SESSIONS__STEP_UP_MINUTES": "720", "SESSIONS__IDLE_MINUTES": "720", "LIMITS__CONNECT": "5,500"}

_One = tuple[Fault, str]  # what fails, and in which mode of a call
_Found = TypeVar("_Found")


def _at_a_server(folder: Path, act: Callable[[Stand], Awaitable[_Found]]) -> _Found:
    """What `act` finds at a server and a clinic of its own."""

    async def run(server: WatchedServer) -> _Found:
        return await act(Stand(server, await asyncio.to_thread(Clinic, server)))

    with WatchedServer(folder, _SETTINGS, main="tests.faults.failing_build") as server:
        return asyncio.run(run(server))


async def _counted(stand: Stand, chance: random.Random) -> list[_One]:
    """Every fault there is to try, by counting the changes of calls in which none failed; modes and places in turn."""
    groups: list[list[_One]] = []
    for mode in MODES:
        for sorts, under in PLACES:
            trial = await stand.trial(Fault(sorts, _FAR, under=under), mode)
            if trial.said:
                raise AssertionError(trial.said)
            every = itertools.product(HOW, range(1, trial.seen + 1))
            group = [(Fault(sorts, n, *how, under), mode) for how, n in every]
            groups.append(chance.sample(group, len(group)))
    return [one for turn in itertools.zip_longest(*groups) for one in turn if one is not None]


async def _tried(stand: Stand, some: Sequence[tuple[int, _One]]) -> list[tuple[int, Trial]]:
    trials = []
    for number, (fault, mode) in some:
        trial = await stand.trial(fault, mode)
        say(f"  {number}: {trial}" + "".join(f"; {one}" for one in trial.said))
        trials.append((number, trial))
    return trials


def try_faults(
    folder: Path, count: int, seed: int, only: str = "", servers: int = 1
) -> tuple[list[Trial], list[str], int]:
    """Trials, what was broken, and how many different ones there are. `count` 0: all; in turns at so many servers.

    Counted once, so that a number means one fault and every fault is tried at one of the servers.
    """
    every = _at_a_server(folder / "counting", lambda stand: _counted(stand, random.Random(seed)))
    some = [(int(only), every[int(only)])] if only else list(enumerate(every[: count or None]))
    parts = [some[place::servers] for place in range(servers)]
    with ThreadPoolExecutor(servers) as threads:
        tries = [
            threads.submit(_at_a_server, folder / f"house-{place}", partial(_tried, some=part))
            for place, part in enumerate(parts)
        ]
    trials, broken = list[Trial](), list[str]()
    for one in tries:  # all have ended: what one of them met hides nothing that the others found
        if (died := one.exception()) is not None:
            broken.append("".join(traceback.format_exception(died)))
            continue
        for number, trial in one.result():
            trials.append(trial)
            broken += [f"SEED={seed} ONLY={number} ({trial}): {said}" for said in trial.said]
    return trials, broken, len(every)


def figures(trials: list[Trial], broken: list[str], every: int, seed: int) -> Iterator[Figure]:
    """What the trials came to."""
    n, told = len(trials), [trial.told for trial in trials if trial.told is not None]
    lost = [seconds for trial in trials for seconds in trial.lost]
    yield measured("recordings.faults.broken_promises", len(broken), "of all", n=n, seed=seed, at_most=0)
    yield measured("recordings.faults.fired", sum(trial.fired for trial in trials), "of all", n=n, seed=seed)
    yield measured("recordings.faults.possible", every, "different ones", n=n, seed=seed)
    name, most = "recordings.faults.told_seconds", max(told, default=0.0)
    yield measured(name, most, "s", n=len(told), seed=seed, at_most=TOLD_WITHIN)
    name, most = "recordings.faults.tail_lost_seconds", max(lost, default=0.0)
    yield measured(name, most, "s", n=len(lost), seed=seed, at_most=LOST_AT_MOST)


def run(seed: int, count: int) -> Iterator[Figure]:
    """Try faults; every broken promise on stderr, with what replays it."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        trials, broken, every = try_faults(Path(name), count, seed, os.environ.get("ONLY", ""))
    for fault in broken:
        say(f"BROKEN {fault}")
    yield from figures(trials, broken, every, seed)


def main() -> int:
    """Print the figures; 1 when one does not hold."""
    holds = True
    for figure in run(int(os.environ.get("SEED", "") or 7), int(os.environ.get("N", "") or 60)):
        print(figure.line(), flush=True)
        holds = holds and figure.holds
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
