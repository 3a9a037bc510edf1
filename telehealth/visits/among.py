"""Running visits of one server among several: what it tells the others, and what it gives up when it is going."""

from collections.abc import Mapping, Sequence
from typing import Any

from telehealth.log import get_logger
from telehealth.visits.running import Running, RunningVisits
from telehealth.visits.view import standing

log = get_logger(__name__)


class VisitsAmongServers(RunningVisits):
    """The part of the running visits that other servers have to do with."""

    def glance(self, visits: Sequence[str]) -> Mapping[str, Any]:
        """By visit, what a clinician's list says of those that run here."""
        found = {visit: self.running(visit) for visit in visits}
        return {visit: standing(live) for visit, live in found.items() if live is not None}

    def today_changed(self, clinician: str) -> None:
        """Another server says that this list is not what it was."""
        self.desk.today.renew(clinician)

    async def hand_over(self) -> None:
        """Give up every visit in which no call is under way; its people connect again, and another server runs it."""
        for running in self.all_running():
            if not running.visit.under_way:
                await self._given_up(running)

    async def _given_up(self, running: Running) -> None:
        visit = running.visit
        self.forget(running)
        visit.recording.forget_timers()
        running.media.close("handed_over")
        await self.rooms.tenure.release(visit.id)
        for person in visit.here():
            person.returned()
            self.rooms.publish.drop_participant(person.id)
        log.info("visit.handed_over", visit=visit.id)
