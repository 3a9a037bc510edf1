"""`python -m benchmarks.crash`: the real server is killed with SIGKILL at seeded points while media flows.

N kills (10), SEED (7). ONLY=point keeps to one point, ONLY=point/3 replays its fourth kill of that seed.
Ends with 1 when any promise was broken.
"""

import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.crash_checks import Checks, Tally, certificate_key
from benchmarks.crash_house import CrashHouse, Dead, happens
from benchmarks.crash_media import Filming
from benchmarks.crash_points import POINTS, Scene, break_restart
from benchmarks.figure import Figure, measured, say, wished
from telehealth import log
from tests.faults.clinic import Clinic
from tests.faults.wire import raw_call

LOST_AT_MOST = 1.0  # seconds before the kill
RECOVERED_WITHIN = 5.0  # seconds after the server answers again
_LOOKED_AT = 3  # earlier recordings that are played after each kill; at the end all are


def plan(count: int, seed: int, only: str = "") -> list[tuple[str, int]]:
    """Points to kill at, each with how often it had its turn before: rounds of all, every round in an order of its own.

    Raises KeyError for a point that does not exist.
    """
    name, _, turn = only.partition("/")
    if name:
        _ = POINTS[name]
        return [(name, int(turn))] if turn else [(name, number) for number in range(count)]
    chance, planned = random.Random(seed), [(point, 0) for point in POINTS]
    for number in range(1, -(-count // len(POINTS))):
        planned += [(point, number) for point in chance.sample(list(POINTS), len(POINTS))]
    return planned[:count]


async def crash(folder: Path, kills: list[tuple[str, int]], seed: int, main: str = "telehealth") -> Tally:
    """Kill one server again and again, on one folder; what was broken stands in the tally's `faults`.

    `main`: a module with the server's command line, for builds that are wrong on purpose.
    """
    tally, living = Tally(), list[str]()
    with CrashHouse(folder, main) as house:
        clinic = await asyncio.to_thread(Clinic, house)
        key = await asyncio.to_thread(certificate_key, clinic)
        for point, turn in kills:
            story = _Kill(house, clinic, living, key, tally, point, random.Random(f"{seed}/{point}/{turn}"))
            said = await story.run()
            say(f"  {point}/{turn}: {'; '.join(said) if said else 'kept'}{story.told}")
            tally.faults += [f"SEED={seed} ONLY={point}/{turn}: {fault}" for fault in said]
        last = Checks(clinic, tally)
        await asyncio.to_thread(last.plays, living, promise="in the end")
        await asyncio.to_thread(last.log_sound)
        tally.faults += last.said
    return tally


class _Kill:
    """One kill, from a new visit to the checks after the restart. `living`: recordings that must play."""

    def __init__(
        self,
        house: CrashHouse,
        clinic: Clinic,
        living: list[str],
        key: bytes,
        tally: Tally,
        point: str,
        chance: random.Random,
    ) -> None:
        self._house = house
        self._clinic = clinic
        self._living = living
        self._key = key
        self._tally = tally
        self._point = point
        self._chance = chance
        self.told = ""

    async def run(self) -> list[str]:
        """What was broken, in sentences."""
        victim = await self._victim() if self._point == "delete" else None
        logged = self._house.log_length()
        async with raw_call(self._clinic) as call, AsyncExitStack() as stack:
            film = Filming(call)
            stack.push_async_callback(film.stop)
            scene = Scene(self._house, film, self._chance, victim)
            if victim:
                scene.victim_files = await asyncio.to_thread(self._house.kept_keys, victim)
            await POINTS[self._point](scene)
            scene.killed = await asyncio.to_thread(self._house.kill)
            await film.stop()
            await scene.settle()
        return await self._after(scene, logged)

    async def _after(self, scene: Scene, logged: int) -> list[str]:
        dead = await asyncio.to_thread(self._house.dead)
        opening = await self._house.opening(scene.victim_files) if scene.victim_files else set[str]()
        for _ in range(scene.restart_kills):
            await break_restart(scene)
        checks = Checks(self._clinic, self._tally)
        began = time.monotonic()
        await asyncio.to_thread(self._house.start)
        await asyncio.to_thread(checks.recovered, began, time.monotonic())
        await asyncio.to_thread(self._check, checks, scene, dead, opening)
        self.told = self._story(scene, dead, opening)
        checks.said += [f"logged {line['event']} {line.get('code', '')}".rstrip() for line in self._house.loud(logged)]
        return checks.said

    def _check(self, checks: Checks, scene: Scene, dead: Dead, opening: set[str]) -> None:
        if scene.victim and checks.deletion(scene.victim, scene.victim_files, dead, opening, self._key):
            self._living.remove(scene.victim)
        looked_at = self._chance.sample(self._living, min(_LOOKED_AT, len(self._living)))
        checks.plays(looked_at, promise="an earlier recording:")
        if kept := checks.recording(scene, dead):
            self._living.append(kept)
        checks.unchanged(self._house.vault)
        checks.log_sound()

    async def _victim(self) -> str:
        """A sealed recording, made now unless there is one."""
        if not self._living:
            async with raw_call(self._clinic) as call, AsyncExitStack() as stack:
                film = Filming(call)
                stack.push_async_callback(film.stop)
                await film.record()
                await call.doctor.does("recording.stop")
                await happens(lambda: bool(self._house.names()) and self._all_sealed(), 15)
            self._living += [one["id"] for one in self._clinic.recordings() if one["state"] == "sealed"]
        return self._chance.choice(self._living)

    def _all_sealed(self) -> bool:
        return not any(name.endswith((".capture", ".sealing")) for name in self._house.names())

    def _story(self, scene: Scene, dead: Dead, opening: set[str]) -> str:
        recording = dead.of_visit(scene.film.call.visit.id)
        state = dead.recordings[recording]["state"] if recording else "no row"
        victim = f", victim {dead.recordings[scene.victim]['state']} with {len(opening)} keys" if scene.victim else ""
        again = f", {scene.restart_kills} more" if scene.restart_kills else ""
        return f" (killed {state}{victim}{again}; recovered {self._tally.recovery[-1]:.2f} s after it answered)"


def figures(tally: Tally, seed: int) -> Iterator[Figure]:
    """What the kills came to."""
    n = len(tally.recovery)
    for name, count in (
        ("recordings.crash.unreadable", tally.unreadable),
        ("recordings.crash.acknowledged_lost", tally.acknowledged_lost),
        ("recordings.crash.not_marked_interrupted", tally.not_marked),
        ("recordings.crash.log_unsound", tally.log_unsound),
        ("recordings.crash.entries_missing", tally.entries_missing),
        ("recordings.crash.sealed_changed", tally.sealed_changed),
        ("deletion.crash.broken_promises", tally.broken_promises),
    ):
        yield measured(name, count, "of all", n=n, seed=seed, at_most=0)
    lost, recovery = max(tally.lost, default=0.0), max(tally.recovery, default=0.0)
    yield measured("recordings.crash.tail_lost_seconds", lost, "s", n=len(tally.lost), seed=seed, at_most=LOST_AT_MOST)
    yield measured("recordings.crash.recovery_seconds", recovery, "s", n=n, seed=seed, at_most=RECOVERED_WITHIN)
    restart = max(tally.restart, default=0.0)
    yield measured("recordings.crash.recovery_seconds_from_spawn", restart, "s", n=n, seed=seed)


def run(seed: int) -> Iterator[Figure]:
    """Kill N times; every broken promise on stderr, with what replays it."""
    kills = plan(wished(10), seed, os.environ.get("ONLY", ""))
    say(f"seed {seed}, {len(kills)} kills")
    log.configure(sys.stderr, "ERROR")
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        tally = asyncio.run(crash(Path(name), kills, seed))
    for fault in tally.faults:
        say(f"BROKEN {fault}")
    yield from figures(tally, seed)


def main() -> int:
    """Print the figures; 1 when one does not hold."""
    holds = True
    for figure in run(int(os.environ.get("SEED", "") or 7)):
        print(figure.line(), flush=True)
        holds = holds and figure.holds
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
