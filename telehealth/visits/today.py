"""The clinician's day, as it stands now, pushed to whoever watches it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from telehealth.clock import Clock, rfc3339
from telehealth.events import CodeMinted
from telehealth.visits.chores import Chores
from telehealth.visits.ports import Alone, Publish, Tenure
from telehealth.visits.roster import LiveVisit
from telehealth.visits.store import VisitStore
from telehealth.visits.view import today_item

MOST_CODES = 100  # codes shown to one clinician; with more, the oldest goes

_Codes = dict[tuple[str, str], CodeMinted]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the list comes from. `running`: the visit as it runs, if it does."""

    store: VisitStore
    publish: Publish
    clock: Clock
    zone: ZoneInfo
    running: Callable[[str], LiveVisit | None]
    tenure: Tenure = field(default_factory=Alone)


class Today:
    """Lists are made when something changed and somebody watches; changes while one is made are made up together."""

    def __init__(self, sources: Sources, chores: Chores) -> None:
        self._sources = sources
        self._chores = chores
        self._dirty: set[str] = set()
        self._working = False
        self._codes: dict[str, _Codes] = {}
        self._revision = int(sources.clock.now().timestamp() * 1000)  # goes on rising over a restart

    def touch(self, clinician: str) -> None:
        """Something in this clinician's day changed."""
        self._sources.tenure.tell_today(clinician)
        self.renew(clinician)

    def renew(self, clinician: str) -> None:
        """Make the list anew, if it is watched here."""
        if clinician not in self._sources.publish.watched():
            return
        self._dirty.add(clinician)
        if not self._working:
            self._working = True
            self._chores.start(self._work(), "today")

    def show_code(self, clinician: str, minted: CodeMinted) -> None:
        """A code to be told by phone; a newer one for the same link replaces it."""
        codes = self._codes.setdefault(clinician, {})
        codes.pop((minted.visit, minted.link), None)
        codes[minted.visit, minted.link] = minted
        if len(codes) > MOST_CODES:
            del codes[next(iter(codes))]
        self.touch(clinician)

    def hide_code(self, visit: str, link: str) -> None:
        """A code that is used or over is shown no more."""
        for clinician, codes in self._codes.items():
            if codes.pop((visit, link), None) is not None:
                self.touch(clinician)

    async def of(self, clinician: str) -> Mapping[str, Any]:
        """The list as it stands."""
        sources = self._sources
        self._revision += 1
        revision, now = self._revision, sources.clock.now()
        midnight = now.astimezone(sources.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        rows = await sources.store.day(clinician, midnight, midnight + timedelta(days=1), now)
        channels = await sources.store.channels([row.id for row in rows])
        far = await sources.tenure.glances([row.id for row in rows if sources.running(row.id) is None])
        return {
            "revision": revision,
            "visits": [
                today_item(row, sources.running(row.id), channels.get(row.id)) | far.get(row.id, {}) for row in rows
            ],
            "codes": self._current_codes(clinician, now),
        }

    def _current_codes(self, clinician: str, now: datetime) -> list[dict[str, str]]:
        codes = {place: code for place, code in self._codes.get(clinician, {}).items() if code.expires_at > now}
        self._codes[clinician] = codes
        return [
            {"visit": code.visit, "link": code.link, "code": code.code.reveal(), "expires_at": rfc3339(code.expires_at)}
            for code in codes.values()
        ]

    async def _work(self) -> None:
        try:
            while self._dirty:
                clinician = self._dirty.pop()
                self._sources.publish.to_watchers(clinician, "today", await self.of(clinician))
                await asyncio.sleep(0)
        finally:
            self._working = False
