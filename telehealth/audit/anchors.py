"""Publishes tiles and carries every checkpoint to its anchors within seconds; knows how old the oldest anchor is."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from telehealth.audit.anchoring import Place
from telehealth.audit.faults import AnchorRefused, LogMismatch, TileBroken
from telehealth.audit.ledger import Signed
from telehealth.audit.log import AuditLog
from telehealth.audit.one_thread import OneThread
from telehealth.audit.tiles import TileFolder
from telehealth.audit.verify import Problem
from telehealth.audit.watch import Watch
from telehealth.audit.writer import Alarm
from telehealth.clock import Clock
from telehealth.log import get_logger

ALARM_SECONDS = 30.0
WATCH_SECONDS = 20.0
log = get_logger(__name__)


@dataclass(slots=True)
class _Berth:
    """One place, and what it has. `behind_since`: steady time at which the log went beyond it; None = it has all."""

    place: Place
    size: int = -1
    behind_since: float | None = None
    alarmed: bool = False


class Anchors:
    """Owns the folder of tiles; one task runs `run`. `closed_after`: seconds behind at which recordings stay closed."""

    def __init__(
        self,
        audit: AuditLog,
        places: Sequence[Place],
        clock: Clock,
        alarm: Alarm,
        *,
        every: float = 5.0,
        patience: float = 9.0,
        closed_after: float = 0.0,
    ) -> None:
        self._audit = audit
        self._clock = clock
        self._alarm = alarm
        self._every = every
        self._patience = patience
        self._closed_after = closed_after
        self._berths = [_Berth(place) for place in places]
        self._tiles = TileFolder(*audit.place)
        self._tiles_ready = False
        self._tiles_size = -1
        self._watch = Watch(audit.place[0])
        self._publishing = OneThread("audit tiles")
        self._watching = OneThread("audit watch")
        self._watched: float | None = None
        self._tampered = False

    def age(self) -> float:
        """Seconds for which the place that is furthest behind has lacked an entry; 0 if all have everything."""
        now = self._clock.steady()
        return max((now - berth.behind_since for berth in self._berths if berth.behind_since is not None), default=0.0)

    def fresh(self) -> bool:
        """Whether recordings may begin, as far as anchors go."""
        return not self._closed_after or self.age() <= self._closed_after

    async def load(self) -> None:
        """Replay the tiles' last publication. Raises LogMismatch if they are of another history, OSError."""
        head, keys = self._audit.head(), self._audit.keys
        await self._publishing.run(lambda: self._tiles.load(head, keys))
        self._tiles_ready = True

    async def run(self) -> None:
        """Publish and anchor until cancelled."""
        while True:
            await self.tick()
            now = self._clock.steady()
            if self._watched is None or now - self._watched >= WATCH_SECONDS:
                self._watched = now
                await self.watch()
            await asyncio.sleep(self._every)

    async def finish(self, patience: float = 2.0) -> None:
        """A last round before the log closes."""
        self._patience = patience
        await self.tick()

    async def watch(self) -> None:
        """Look whether files were changed behind the server's back; alarm once until they are whole again."""
        try:
            looked = await self._watching.follow(self._look, self._patience)
            if looked is None:
                return  # a long log, or a disk that hangs
            found = looked.result()
        except OSError as error:
            log.error("audit.watch", code=type(error).__name__)
            return
        except ValueError:  # files so damaged that nothing can be read out of them
            found = [Problem(0, "unreadable")]
        for problem in found[:10]:
            log.error("audit.tampered", code=problem.code)
        if found and not self._tampered:
            self._alarm("audit.tampered")
        self._tampered = bool(found)

    def _look(self) -> list[Problem]:
        found = self._watch.look(self._audit.signed())
        return self._watch.look(self._audit.signed()) if found else []  # a commit under way looks like a change

    async def tick(self) -> None:
        """One round: tiles and all places at once, each for itself; faults become alarms, never exceptions."""
        signed = self._audit.signed()
        for berth in self._berths:
            if berth.size != signed.head.size and berth.behind_since is None:
                berth.behind_since = self._clock.steady()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publish(signed), name="audit tiles")
            for berth in self._berths:
                if berth.behind_since is not None:
                    group.create_task(self._keep(berth, signed), name=f"audit anchor {berth.place.name}")

    async def _publish(self, signed: Signed) -> None:
        if signed.head.size == self._tiles_size:
            return
        try:
            published = await self._publishing.follow(lambda: self._published(signed), self._patience)
            if published is not None:  # else many tiles, or a disk that hangs
                self._tiles_size = published.result()
        except (OSError, LogMismatch, ValueError) as error:
            self._tiles_ready = False
            log.error("audit.tiles", code=getattr(error, "code", type(error).__name__))
            self._alarm("audit.tiles")

    def _published(self, signed: Signed) -> int:
        if not self._tiles_ready:
            self._tiles.load(self._audit.head(), self._audit.keys)
            self._tiles_ready = True
        self._tiles.publish(signed.note, signed.head)
        return signed.head.size

    async def _keep(self, berth: _Berth, signed: Signed) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await berth.place.keep(signed)
        except (OSError, TimeoutError, AnchorRefused, TileBroken) as error:
            self._missed(berth, getattr(error, "code", type(error).__name__))
            return
        berth.size, berth.behind_since = signed.head.size, None
        if berth.alarmed:
            berth.alarmed = False
            self._alarm("audit.anchor_back")

    def _missed(self, berth: _Berth, code: str) -> None:
        log.warning("audit.anchor_missed", kind=berth.place.name, code=code)
        if code == "log_went_back":
            self._alarm("audit.log_went_back")
        behind = self._clock.steady() - (berth.behind_since or 0.0)
        if behind > ALARM_SECONDS and not berth.alarmed:
            berth.alarmed = True
            self._alarm("audit.anchor_late")
