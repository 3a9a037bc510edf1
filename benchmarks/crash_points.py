"""The points at which the server is killed: what people do until then, and what is owed to them afterwards."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from benchmarks.crash_house import CrashHouse, happens
from benchmarks.crash_media import Filming

_SOON = 15.0  # seconds that any event may take
_PROGRESS = 10.0  # seconds between the running counts in the audit log


@dataclass(slots=True)
class Scene:
    """One call on the way to a kill. `media_until`: what was sent later need not be kept; None: all must be.

    `shown`: it was shown as recording. `closed`: its end was shown, so nothing was interrupted.
    """

    house: CrashHouse
    film: Filming
    chance: random.Random
    victim: str | None = None
    victim_files: list[Mapping[str, Any]] = field(default_factory=list)
    media_until: float | None = None
    shown: bool = False
    closed: bool = False
    restart_kills: int = 0
    killed: float = 0.0
    _side: list[asyncio.Task[Any]] = field(default_factory=list)
    _threads: list[asyncio.Task[Any]] = field(default_factory=list)

    def aside(self, work: Coroutine[Any, Any, Any]) -> None:
        """Begin something that the kill will break off."""
        self._side.append(asyncio.create_task(work))

    def in_thread(self, work: Callable[[], Any]) -> None:
        """The same with something that blocks."""
        self._threads.append(asyncio.create_task(asyncio.to_thread(work)))

    async def pause(self, least: float, most: float) -> None:
        await asyncio.sleep(self.chance.uniform(least, most))

    async def record(self) -> None:
        """Shown as recording for about a second."""
        await self.film.record()
        self.shown = True
        await self.pause(0.6, 1.4)

    async def settle(self) -> None:
        """After the kill: what was begun aside has failed by now, or does not matter."""
        for task in self._side:
            task.cancel()
        await asyncio.gather(*self._side, *self._threads, return_exceptions=True)

    @property
    def phase(self) -> str:
        return str(self.film.call.doctor.view["recording"]["state"])


Point = Callable[[Scene], Awaitable[None]]


async def start(scene: Scene) -> None:
    """Between the last yes and a little after the first frame."""
    scene.aside(scene.film.record())
    files = len(_ending(scene, ".capture"))
    events: list[Callable[[], bool]] = [
        lambda: bool(scene.film.cameras),
        lambda: len(_ending(scene, ".capture")) > files,
        lambda: scene.phase == "starting",
    ]
    await happens(scene.chance.choice(events), _SOON)
    await scene.pause(0, 0.3)
    scene.shown = scene.phase == "recording"


async def mid(scene: Scene) -> None:
    await scene.record()


async def flush(scene: Scene) -> None:
    """Right after a capture file grew."""
    await scene.record()
    before = _sizes(scene)
    await happens(lambda: _sizes(scene) > before, _SOON)
    await scene.pause(0, 0.01)


async def part(scene: Scene) -> None:
    """The clinician's browser opens a second leg, which goes to a second file."""
    await scene.record()
    files = len(_ending(scene, ".capture"))
    scene.aside(scene.film.leg(scene.film.call.doctor, "clinician"))
    if scene.chance.random() < 0.7:
        await happens(lambda: len(_ending(scene, ".capture")) > files, _SOON)
    else:
        await happens(lambda: len(scene.film.cameras) > 2, _SOON)
    await scene.pause(0, 0.1)


async def pause(scene: Scene) -> None:
    await scene.record()
    scene.media_until = _now()
    scene.aside(scene.film.call.doctor.does("recording.pause"))
    if scene.chance.random() < 0.5:
        await happens(lambda: scene.phase == "paused", _SOON)
    await scene.pause(0, 0.3)


async def resume(scene: Scene) -> None:
    await scene.record()
    scene.media_until = _now()
    await scene.film.call.doctor.does("recording.pause")
    await scene.pause(0.1, 0.5)
    scene.aside(scene.film.call.doctor.does("recording.resume"))
    if scene.chance.random() < 0.5:
        await happens(lambda: scene.phase == "recording", _SOON)
        scene.media_until = None
    await scene.pause(0, 0.5)


async def stop(scene: Scene) -> None:
    await scene.record()
    scene.media_until = _now()
    scene.aside(scene.film.call.doctor.does("recording.stop"))
    await scene.pause(0, 0.25)
    scene.closed = scene.phase == "none"


async def sealing(scene: Scene) -> None:
    """Stopped, and killed between the first octet of the first sealed file and the last capture file's end."""
    await scene.record()
    await _a_step_of_sealing(scene, lambda: scene.aside(scene.film.call.doctor.does("recording.stop")))
    scene.closed = scene.phase == "none"


async def recovery(scene: Scene) -> None:
    """Killed while recording, and again, once to three times, while that is mended."""
    await scene.record()
    scene.restart_kills = scene.chance.randint(1, 3)


async def delete(scene: Scene) -> None:
    """Another recording is deleted while this one runs."""
    await scene.record()
    names, keys, gone = scene.house.names(), _written(scene, "shares"), scene.chance.randint(1, 3)
    events: list[Callable[[], bool]] = [
        lambda: True,
        lambda: _written(scene, "shares") != keys,
        lambda: len(names - scene.house.names()) >= gone,
    ]
    scene.in_thread(lambda: _ask_to_delete(scene))
    await happens(scene.chance.choice(events), 3.0)
    await scene.pause(0, 0.03)
    scene.restart_kills = int(scene.chance.random() < 0.4)


async def rewrap(scene: Scene) -> None:
    """A new wrapping key is begun, and every share is moved to it, while this one runs."""
    await scene.record()
    before = _written(scene, "ring")
    scene.in_thread(lambda: scene.house.command("keys", "rotate", check=False))
    await happens(lambda: _written(scene, "ring") != before, _SOON)
    await scene.pause(0, 0.06)


async def progress(scene: Scene) -> None:
    """After the running count of segments has gone into the audit log."""
    await scene.record()
    await asyncio.sleep(_PROGRESS)
    await scene.pause(0, 0.5)


POINTS: dict[str, Point] = {
    point.__name__: point
    for point in (mid, sealing, delete, recovery, start, flush, part, pause, stop, rewrap, resume, progress)
}


async def break_restart(scene: Scene) -> None:
    """Start again, and kill at some step of what a start does first."""
    before = scene.house.names()
    endings = {name: len(_ending(scene, name)) for name in (".sealing", ".sealed", ".manifest")}
    wanted = scene.chance.choice([".sealing", ".sealed", ".manifest", "marked", "gone", "gone"])
    gone = scene.chance.randint(1, 3)

    def reached() -> bool:
        if wanted == "marked":
            return scene.house.is_marking()
        if wanted == "gone":
            return len({name for name in before if name not in scene.house.names()}) >= gone
        return len(_ending(scene, wanted)) > endings[wanted]

    await asyncio.to_thread(scene.house.start_until, reached)
    await scene.pause(0, 0.02)
    await asyncio.to_thread(scene.house.kill)


async def _a_step_of_sealing(scene: Scene, begin: Callable[[], None]) -> None:
    captures = set(_ending(scene, ".capture"))
    sealed, manifests = len(_ending(scene, ".sealed")), len(_ending(scene, ".manifest"))
    steps: list[Callable[[], bool]] = [
        lambda: bool(_ending(scene, ".sealing")),
        lambda: len(_ending(scene, ".sealed")) > sealed,
        lambda: len(_ending(scene, ".sealed")) > sealed + 1,
        lambda: len(_ending(scene, ".manifest")) > manifests,
        lambda: bool(captures - set(_ending(scene, ".capture"))),
        lambda: not captures & set(_ending(scene, ".capture")),
    ]
    scene.media_until = _now()
    begin()
    await happens(scene.chance.choice(steps), _SOON)
    await scene.pause(0, 0.01)


def _ask_to_delete(scene: Scene) -> None:
    wish = {"reason": "patient_request"}
    scene.film.call.clinic.admin.ask("DELETE", f"/api/v1/recordings/{scene.victim}", wish)


def _ending(scene: Scene, suffix: str) -> list[str]:
    return [name for name in scene.house.names() if name.endswith(suffix)]


def _sizes(scene: Scene) -> int:
    return sum((scene.house.vault / name).stat().st_size for name in _ending(scene, ".capture"))


def _written(scene: Scene, folder: str) -> set[tuple[str, int]]:
    """Files of a part of the key store, with when they were last written."""
    found: set[tuple[str, int]] = set()
    for entry in os.scandir(scene.house.folder / "keys" / folder):
        with suppress(FileNotFoundError):
            found.add((entry.name, entry.stat().st_mtime_ns))
    return found


def _now() -> float:
    return asyncio.get_running_loop().time()
