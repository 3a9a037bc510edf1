"""The way media takes: the pure table, and every order of events on its way from one to another."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from telehealth.visits.topology import GUESTS, MOST_PEOPLE, Topology, seats, topology
from telehealth.visits.turning import (
    PATIENCE,
    Media,
    Step,
    at_limit,
    came,
    complete,
    gone_on,
    said_ready,
    settled,
    turned,
)

PEOPLE = ("ada", "ben", "cyd", "dee")
FLAGS = st.booleans()


@given(admitted=st.integers(0, MOST_PEOPLE), recorded=FLAGS, direct=FLAGS, works=FLAGS)
def test_what_is_recorded_or_shared_by_three_or_hidden_never_goes_direct(
    admitted: int, recorded: bool, direct: bool, works: bool
) -> None:
    way = topology(admitted, recorded, direct_allowed=direct, relay_works=works)
    assert (way is Topology.ALONE) == (admitted < 2)
    if way is Topology.DIRECT:
        assert admitted == 2
        assert direct
        assert not (recorded and works)
    if admitted > 2 or (admitted == 2 and not direct):
        assert way is Topology.RELAY


@pytest.mark.parametrize("admitted", [-1, MOST_PEOPLE + 1])
def test_more_people_than_seats_is_a_fault(admitted: int) -> None:
    with pytest.raises(ValueError):
        topology(admitted, False, direct_allowed=True, relay_works=True)


@given(st.lists(st.sampled_from(["clinician", "patient", "stranger", *GUESTS]), max_size=30))
def test_nobody_sits_where_there_is_no_seat_and_guests_leave_two(arrivals: list[str]) -> None:
    there: list[str] = []
    for role in arrivals:
        if seats(there, role):
            there.append(role)
    assert len(there) <= MOST_PEOPLE
    assert there.count("clinician") <= 1
    assert there.count("patient") <= 1
    assert "stranger" not in there
    for role in ("clinician", "patient"):
        assert seats(there, role) == (role not in there)


class Turns(RuleBasedStateMachine):
    """A model of pages and connections around the pure functions, driven as `MediaFlow` drives them.

    Pages keep both ways while a turn is open, build each only where it can be built, and close the other when settled.
    """

    @initialize(direct_allowed=st.sampled_from([True, True, False]), relayed=FLAGS)
    def begin(self, direct_allowed: bool, relayed: bool) -> None:
        self.allowed = direct_allowed
        self.media = Media()
        self.admitted: set[str] = set()
        self.online: set[str] = set()
        self.recorded = False
        self.legs: set[str] = set()  # connected
        self.pair: frozenset[str] = frozenset()  # two who have media from browser to browser
        for who in PEOPLE[:2]:
            self.comes(who)
        if relayed:
            self.records_or_stops()
            self.legs_connect()
        else:
            self.direct_connects()

    # What MediaFlow does.

    def reconsider(self, *, roster: bool = False) -> None:
        if roster:
            self.media = replace(self.media, relay_works=True, direct_works=True)
            self.legs &= self.admitted
            self.pair = self.pair if self.pair <= self.admitted else frozenset()
        target = topology(
            len(self.admitted),
            self.recorded,
            direct_allowed=self.allowed and self.media.direct_works,
            relay_works=self.media.relay_works,
        )
        if target is not self.media.topology:
            before = self.media.turn
            self.media = turned(self.media, target)
            assert self.media.turn == before + 1
            self.close_what_may_go()
        self.check()

    def check(self) -> None:
        if complete(self.media, self.online, self.legs):
            self.settle()

    def settle(self) -> None:
        self.media = settled(self.media)
        self.close_what_may_go()

    def close_what_may_go(self) -> None:
        if not self.media.wants_legs:
            self.legs.clear()
        if self.media.settled and self.media.topology is not Topology.DIRECT:
            self.pair = frozenset()

    # What people do.

    @rule(who=st.sampled_from(PEOPLE))
    def comes(self, who: str) -> None:
        if who not in self.admitted:
            self.admitted.add(who)
            self.online.add(who)
            self.reconsider(roster=True)

    @precondition(lambda self: len(self.admitted) > 2)
    @rule(who=st.sampled_from(PEOPLE))
    def goes(self, who: str) -> None:
        if who in self.admitted:
            self.admitted.discard(who)
            self.online.discard(who)
            self.reconsider(roster=True)

    @rule(who=st.sampled_from(PEOPLE[:2]))
    def drops_or_returns(self, who: str) -> None:
        if who in self.admitted:
            self.online ^= {who}
            self.check()

    @rule()
    def records_or_stops(self) -> None:
        self.recorded = not self.recorded
        if self.recorded:
            self.media = replace(self.media, relay_works=True)
        self.reconsider()

    @rule(who=st.sampled_from(PEOPLE))
    def leg_connects(self, who: str) -> None:
        if who in self.online and self.media.wants_legs:
            self.legs.add(who)
            self.media = came(self.media, who)
            self.check()

    @rule()
    def legs_connect(self) -> None:
        for who in sorted(self.online):
            self.leg_connects(who)

    @rule(who=st.sampled_from(PEOPLE))
    def leg_breaks(self, who: str) -> None:
        self.legs.discard(who)
        self.check()

    @rule()
    def direct_connects(self) -> None:
        wanted = self.media.topology is Topology.DIRECT
        if wanted and len(self.online) == len(self.admitted) == 2:
            self.pair = frozenset(self.admitted)

    @rule(who=st.sampled_from(PEOPLE))
    def says_ready(self, who: str) -> None:
        up = who in self.pair if self.media.topology is Topology.DIRECT else who in self.legs
        if who in self.online and up:
            self.media = said_ready(self.media, who, self.media.turn)
            self.check()

    @rule(who=st.sampled_from(PEOPLE), turn=st.integers(0, 3))
    def says_it_too_late(self, who: str, turn: int) -> None:
        if turn < self.media.turn:
            before = self.media
            self.media = said_ready(self.media, who, turn)
            assert self.media == before

    @rule()
    def time_is_up(self) -> None:
        may = len(self.admitted) == 2 and self.allowed
        had, was = self.served(), self.media
        step = at_limit(self.media, self.online, self.legs, may_go_direct=may)
        if step is Step.SETTLE:
            had -= was.without - self.legs  # asked again and again, and told; the others have media
            self.settle()
        elif step is Step.LEAVE_RELAY:
            assert may
            assert self.online - self.legs
            self.media = replace(was, relay_works=False, direct_works=True)
            self.recorded = False
            self.reconsider()
            assert self.media.topology is Topology.DIRECT
        elif step is Step.BACK_TO_RELAY:
            assert self.online <= self.legs
            self.media = replace(was, direct_works=False)
            self.reconsider()
            assert self.media.topology is Topology.RELAY
        elif step is Step.ASK:
            self.media = replace(was, asked=was.asked + 1)
        elif step is Step.GO_ON:
            lacking = self.online - self.legs
            assert was.asked >= PATIENCE
            assert lacking
            self.media = gone_on(was, lacking)
            if len(self.online - lacking) >= 2:
                self.settle()
                had -= lacking  # as above
        assert had <= self.served(), f"{step} took media from people who had it: {was} became {self.media}"

    def served(self) -> set[str]:
        """Who of those who are there has media from somebody else."""
        relayed = self.online & self.legs
        return (relayed if len(relayed) > 1 else set()) | (self.pair if self.pair <= self.online else set())

    @invariant()
    def three_or_hidden_are_relayed(self) -> None:
        if hasattr(self, "media") and (len(self.admitted) > 2 or (len(self.admitted) == 2 and not self.allowed)):
            assert self.media.topology is Topology.RELAY

    @invariant()
    def no_leg_outlives_its_want(self) -> None:
        if hasattr(self, "media") and not self.media.wants_legs:
            assert not self.legs


TestTurns = Turns.TestCase
TestTurns.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@given(st.sets(st.sampled_from(PEOPLE)), st.sets(st.sampled_from(PEOPLE)))
def test_who_never_makes_a_leg_holds_nobody_up_for_ever(online: set[str], legs: set[str]) -> None:
    media, steps = Media(Topology.RELAY, 2, settled=False), list[Step]()
    while not media.settled and len(steps) <= PATIENCE + 1:
        steps.append(at_limit(media, online, legs, may_go_direct=False))
        if steps[-1] is Step.ASK:
            media = replace(media, asked=media.asked + 1)
        elif steps[-1] is Step.GO_ON:
            media = gone_on(media, online - legs)
        elif steps[-1] is Step.SETTLE:
            media = settled(media)
    together = len(online & legs) >= 2
    assert media.settled == (together or online <= legs)
    assert not together or media.without == online - legs or online <= legs


@given(st.sets(st.sampled_from(PEOPLE)), st.sets(st.sampled_from(PEOPLE)), FLAGS, FLAGS)
def test_settling_by_time_never_takes_the_last_way(online: set[str], legs: set[str], leaving: bool, may: bool) -> None:
    relay = Media(Topology.RELAY, 3, settled=False)
    if at_limit(relay, online, legs, may_go_direct=may) is Step.SETTLE:
        assert online <= legs
    away = Media(Topology.DIRECT, 4, settled=False, leaving_relay=leaving)
    if at_limit(away, online, legs, may_go_direct=may) is Step.SETTLE and leaving and online:
        assert not online <= legs  # else they would have gone on in the relay, where all of them are
