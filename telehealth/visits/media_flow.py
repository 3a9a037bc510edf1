"""The media of one visit: which way it takes, and everybody's leg to the server while the relay is that way.

The recorder is one more who takes a leg's packets. It is put on it here, and only while the recording wants it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from telehealth.errors import Reason, Refusal
from telehealth.ids import Kind, new_id
from telehealth.log import get_logger
from telehealth.visits import turning
from telehealth.visits.chores import Timer
from telehealth.visits.faults import LegNotWanted
from telehealth.visits.legs import Held
from telehealth.visits.neighbours import Desk
from telehealth.visits.ports import Slot
from telehealth.visits.roster import Here, LiveVisit, Person
from telehealth.visits.states import CAPTURING
from telehealth.visits.taking import Taking
from telehealth.visits.topology import Topology, topology
from telehealth.visits.turning import Media, Step

log = get_logger(__name__)

TWO: Final = 2


class MediaFlow:
    """Moves `LiveVisit.media`. Methods without `async` act at once, on the event loop."""

    def __init__(self, desk: Desk, visit: LiveVisit) -> None:
        self._desk = desk
        self._visit = visit
        self.legs: Final = visit.legs
        self.taking: Final = Taking(visit)
        self._roster: frozenset[str] = frozenset()
        self._pair: frozenset[str] = frozenset()  # who may hear where the other's browser is
        self._limit: Timer | None = None
        self.relay_failed: Callable[[], None] = lambda: None  # told when two people must do without the relay

    @property
    def state(self) -> Media:
        return self._visit.media

    # Which way.

    def reconsider(self) -> None:
        """Somebody came or went, or a recording begins or ended: take the way that is right now."""
        visit = self._visit
        roster = frozenset(person.id for person in visit.admitted())
        if roster != self._roster:
            for gone in self._roster - roster:
                self.legs.finish_of(gone, "left")
            self._roster = roster
            visit.media = replace(visit.media, relay_works=True, direct_works=True)
        target = topology(
            len(roster),
            visit.recording.phase in CAPTURING,
            direct_allowed=self._direct_allowed and self.state.direct_works,
            relay_works=self.state.relay_works,
        )
        if target is not self.state.topology:
            self._turn(target)
        else:
            self._settle_if_complete()
        self._meet()
        self._watch()

    def try_relay(self) -> None:
        """Somebody asks for what needs the relay: that it could not be had before counts no more."""
        self._visit.media = replace(self.state, relay_works=True)
        self.reconsider()

    def _meet(self) -> None:
        """Who signals to whom: two whose media goes direct, or could; while that is left, whoever it went between."""
        media, two = self.state, self.may_go_direct
        parked = two and media.topology is Topology.RELAY
        if parked != media.parked:
            self._visit.media = replace(media, parked=parked)
            self._desk.tell(self._visit)
        if two and media.topology is not Topology.ALONE:
            self._pair = self._roster
        elif media.settled or not self._pair <= self._roster:
            self._pair = frozenset()

    def lets_meet(self, one: str, other: str) -> bool:
        """Whether these two browsers may signal to each other."""
        return {one, other} <= self._pair

    @property
    def _direct_allowed(self) -> bool:
        return self._desk.settings.direct_allowed

    @property
    def may_go_direct(self) -> bool:
        """Whether these people could do without the relay."""
        return len(self._roster) == TWO and self._direct_allowed

    def _turn(self, target: Topology) -> None:
        visit = self._visit
        visit.media = turning.turned(visit.media, target)
        self._stop_watching()
        log.info("media.turned", visit=visit.id, topology=target.value, turn=visit.media.turn)
        if not visit.media.wants_legs:
            self.legs.finish_all(target.value)
        self._desk.tell(visit)

    def ready(self, here: Here, turn: int) -> None:
        """Somebody's media flows the new way. Raises NotEntered, NotAdmitted."""
        me = self._visit.inside(here)
        self._visit.media = turning.said_ready(self.state, me.id, turn)
        self._settle_if_complete()

    def _settle_if_complete(self) -> None:
        if turning.complete(self.state, self._online(), self.legs.connected()):
            self._settle()

    def _settle(self) -> None:
        visit = self._visit
        visit.media = turning.settled(visit.media)
        self._stop_watching()
        if not visit.media.wants_legs:
            self.legs.finish_all(visit.media.topology.value)
        self._meet()
        self._watch()
        self._desk.tell(visit)

    def _online(self) -> frozenset[str]:
        return frozenset(person.id for person in self._visit.admitted() if person.online)

    # Time.

    def _watch(self, seconds: float | None = None) -> None:
        """Look again in a while, if a turn is not settled or somebody in the relay has no leg."""
        lacking = self.state.topology is Topology.RELAY and self._online() - self.legs.connected()
        if self._limit is None and (lacking or not self.state.settled):
            self._limit = self._desk.chores.later(seconds or self._desk.settings.turn_seconds, self._time_is_up)

    def _stop_watching(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _time_is_up(self) -> None:
        self._limit = None
        online = self._online()
        step = turning.at_limit(self.state, online, self.legs.connected(), may_go_direct=self.may_go_direct)
        if step is Step.SETTLE:
            self._settle()
        elif step is Step.ASK:
            self._ask(online - self.legs.connected())
        elif step is Step.GO_ON:
            self._go_on(online - self.legs.connected())
        elif step is Step.LEAVE_RELAY:
            self._leave_relay("timeout")
        elif step is Step.BACK_TO_RELAY:
            self._visit.media = replace(self.state, direct_works=False)
            log.warning("media.direct_failed", visit=self._visit.id)
            self.reconsider()
        self._watch()

    def _ask(self, lacking: frozenset[str]) -> None:
        self._visit.media = replace(self.state, asked=self.state.asked + 1)
        for participant in lacking:
            self._desk.send(participant, "leg.open", {})

    def _go_on(self, lacking: frozenset[str]) -> None:
        """The others wait no longer for those who make no leg, who are told, and asked again and again."""
        visit = self._visit
        for participant in lacking - self.state.without:
            log.warning("media.gone_on_without", visit=visit.id, participant=participant)
        visit.media = turning.gone_on(self.state, lacking)
        self._ask(lacking)
        if len(self._online() - lacking) >= TWO and not self.state.settled:
            self._settle()
        else:
            self._desk.tell(visit)

    def _leave_relay(self, code: str) -> None:
        """Two people go on browser to browser; what is recorded ends, and says that it was cut short."""
        log.error("alarm.relay_failed", visit=self._visit.id, code=code)
        self._visit.media = replace(self.state, relay_works=False, direct_works=True)
        self.relay_failed()
        self.reconsider()

    # Legs.

    async def offer(self, here: Here, sdp: str) -> tuple[str, Sequence[Slot]]:
        """Open the caller's leg or go on with it: the SDP answer, and who is on which section.

        Raises NotEntered, NotAdmitted, LegNotWanted, the media port's refusals.
        """
        me = self._visit.inside(here)
        self._wanted(me)
        page, mine = me.page, self.legs.newest(me.id)
        if mine is not None and mine.page == page:
            try:
                return await mine.leg.restart(sdp), mine.leg.slots()
            except Refusal as refusal:  # another certificate, or it has ended: a new one beside it
                log.info("media.leg_anew", visit=self._visit.id, participant=me.id, code=refusal.code)
        return await self._open(me, page, sdp)

    def _wanted(self, me: Person) -> None:
        if not self.state.wants_legs or not me.online:
            raise LegNotWanted

    async def _open(self, me: Person, page: str | None, sdp: str) -> tuple[str, Sequence[Slot]]:
        leg_id = new_id(Kind.LEG)

        def heard(slots: tuple[Slot, ...]) -> None:
            newest = self.legs.newest(me.id)
            if newest is not None and newest.id == leg_id:
                self._desk.send(me.id, "leg.slots", {"slots": told(slots)})

        room, rooms = self._visit.id, self._desk.rooms
        try:
            leg, answer = await rooms.legs.open_leg(leg_id, sdp, None, room=room, publisher=me.id, heard=heard)
        except Refusal as refusal:
            if refusal.reason is Reason.UNAVAILABLE and self.may_go_direct and self._lacks_leg(me):
                self._leave_relay(refusal.code)
            raise
        if not me.admitted or not me.online or me.page != page or not self.state.wants_legs:
            leg.finish("not_wanted")
            raise LegNotWanted
        held = Held(leg_id, leg, page)
        held.show_screen(self._visit.may_share(me))
        self.legs.add(me.id, held)
        self._desk.chores.start(self._follow(me, held), f"media.leg {room}")
        return answer, leg.slots()

    def _lacks_leg(self, me: Person) -> bool:
        return self.state.topology is Topology.RELAY and me.id not in self.legs.connected()

    async def _follow(self, me: Person, held: Held) -> None:
        """From its opening to its end."""
        if await held.leg.wait_connected():
            self._is_connected(me, held)
        reason = await held.leg.wait_closed()
        taken = held.captured
        held.release(reason)
        if self.legs.remove(me.id, held):
            self._is_lost(me, reason, taken)

    def _is_connected(self, me: Person, held: Held) -> None:
        if not self.legs.connect(me.id, held):
            return
        taken, missed = self.taking.attach(me.id), me.id in self.state.without
        self._visit.media = turning.came(self.state, me.id)
        self._settle_if_complete()
        if taken or missed:
            self._desk.tell(self._visit)

    def _is_lost(self, me: Person, reason: str, taken: bool) -> None:
        """A leg ended by itself: its person is asked for another one, and nobody believes that they are recorded."""
        log.warning("media.leg_lost", visit=self._visit.id, participant=me.id, code=reason)
        if self.state.wants_legs and me.admitted and me.online and self.legs.newest(me.id) is None:
            self._desk.send(me.id, "leg.open", {})
        if taken:
            self._desk.tell(self._visit)
        self._watch(self._desk.settings.leg_seconds)

    def returned(self, person: Person) -> None:
        """Somebody is back: their page goes on with its leg; the one of another page is over."""
        for held in self.legs.of(person.id):
            if held.page != person.page:
                self.legs.end(person.id, held, "replaced")
        self._visit.media = replace(self.state, ready=self.state.ready - {person.id})
        self.taking.attach(person.id)
        self._stop_watching()  # a page that was just loaded has all its time
        self._watch()

    def dropped(self, person: Person) -> None:
        """Somebody's socket is gone: the call goes on, but nobody records who could not say stop."""
        self.taking.release_one(person.id, "connection_lost")
        self._settle_if_complete()

    def close(self, reason: str) -> None:
        """End every leg."""
        self._stop_watching()
        self.taking.release(reason)
        self.legs.finish_all(reason)

    def police_screens(self) -> None:
        """Nobody's screen goes on to the others who may not share it."""
        for person in tuple(self._visit.admitted()):
            for held in self.legs.of(person.id):
                held.show_screen(self._visit.may_share(person))

    def carrying(self, participant: str) -> str | None:
        """The id of the leg that carries somebody's media, for figures."""
        held = self.legs.newest_connected(participant)
        return held.id if held is not None else None


def told(slots: Sequence[Slot]) -> list[dict[str, str]]:
    """As pages read it; a section names its participant."""
    return [{"mid": slot.mid, "participant": slot.publisher, "source": slot.source} for slot in slots]
