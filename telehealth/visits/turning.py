"""Changing the way media takes, make before break: pure, so that every order of events can be tried.

A change is a *turn*. Until it is settled both ways are up: the pages build the new one beside the old one, and the
server closes nothing. Settled means that the old way may go.
"""

from collections.abc import Set
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from telehealth.visits.topology import Topology


@dataclass(frozen=True, slots=True)
class Media:
    """The way media takes in a visit; `turn` counts its changes. `ready`: who said that the new way is up.

    `leaving_relay`: the way is another one, but legs are still up, because that is not settled.
    `relay_works`, `direct_works`: False once a way was tried among these people and could not be had.
    `asked`: how often those who have no leg were asked for one in this turn; `without`: for whom nobody waits any more.
    `parked`: two who are relayed keep a line to each other on which nothing flows, for when the server is gone.
    """

    topology: Topology = Topology.ALONE
    turn: int = 0
    settled: bool = True
    leaving_relay: bool = False
    ready: frozenset[str] = frozenset()
    relay_works: bool = True
    direct_works: bool = True
    asked: int = 0
    without: frozenset[str] = frozenset()
    parked: bool = False

    @property
    def wants_legs(self) -> bool:
        """Whether people have, or make, a leg to the server."""
        return self.topology is Topology.RELAY or self.leaving_relay


_COMPANY: Final = 2  # who can go on with each other
PATIENCE: Final = 3  # how often somebody is asked for a leg before the others go on


class Step(StrEnum):
    """What is to be done at the end of the time that a turn or a lost leg is given."""

    SETTLE = "settle"
    ASK = "ask"  # whoever has no leg is asked for one again; what is up stays up
    GO_ON = "go_on"  # nobody waits any longer for those who have no leg; they are told
    LEAVE_RELAY = "leave_relay"  # the relay cannot be had: go on browser to browser
    BACK_TO_RELAY = "back_to_relay"  # browser to browser cannot be had: the relay is still up, go on there
    NOTHING = "nothing"


def turned(media: Media, topology: Topology) -> Media:
    """A turn begins; with nobody to send to it is over at once."""
    return replace(
        media,
        topology=topology,
        turn=media.turn + 1,
        settled=topology is Topology.ALONE,
        leaving_relay=topology is Topology.DIRECT and media.wants_legs,
        ready=frozenset(),
        asked=0,
        without=frozenset(),
    )


def gone_on(media: Media, lacking: Set[str]) -> Media:
    """Nobody waits for these any more."""
    return replace(media, without=frozenset(lacking))


def came(media: Media, participant: str) -> Media:
    """Somebody's leg is there after all."""
    return replace(media, without=media.without - {participant})


def said_ready(media: Media, participant: str, turn: int) -> Media:
    """Somebody's media flows the new way; a word about an earlier turn says nothing."""
    if turn != media.turn or media.settled:
        return media
    return replace(media, ready=media.ready | {participant})


def settled(media: Media) -> Media:
    """The old way may go."""
    return replace(media, settled=True, leaving_relay=False, ready=frozenset())


def complete(media: Media, online: Set[str], connected: Set[str]) -> bool:
    """Whether the turn is over before its time: everybody who is there and waited for has media the new way."""
    waited = online - media.without
    if media.settled or not waited or not waited <= media.ready or (media.without and len(waited) < _COMPANY):
        return False
    return media.topology is not Topology.RELAY or waited <= connected


def at_limit(media: Media, online: Set[str], connected: Set[str], *, may_go_direct: bool) -> Step:
    """What to do when the time is up. `connected`: whose leg is; `may_go_direct`: two people, and policy allows it.

    Nobody is left with neither way but who was asked for a leg again and again while the others have theirs.
    """
    lacking = online - connected
    if media.topology is Topology.RELAY:
        if not lacking:
            return Step.NOTHING if media.settled else Step.SETTLE
        if may_go_direct:
            return Step.LEAVE_RELAY
        if lacking <= media.without:
            others = len(online - lacking) >= _COMPANY
            return Step.SETTLE if others and not media.settled else Step.ASK
        return Step.ASK if media.asked < PATIENCE else Step.GO_ON
    if media.settled:
        return Step.NOTHING
    relayed = media.leaving_relay and bool(online) and not lacking
    return Step.BACK_TO_RELAY if relayed and not online <= media.ready else Step.SETTLE
