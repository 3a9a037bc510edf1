"""Changing the way media takes, make before break: pure, so that every order of events can be tried.

A change is a *turn*. Until it is settled both ways are up: the pages build the new one beside the old one, and the
server closes nothing. Settled means that the old way may go.
"""

from collections.abc import Set
from dataclasses import dataclass, replace
from enum import StrEnum

from telehealth.visits.topology import Topology


@dataclass(frozen=True, slots=True)
class Media:
    """The way media takes in a visit; `turn` counts its changes. `ready`: who said that the new way is up.

    `leaving_relay`: the way is another one, but legs are still up, because that is not settled.
    `relay_works`, `direct_works`: False once a way was tried among these people and could not be had.
    """

    topology: Topology = Topology.ALONE
    turn: int = 0
    settled: bool = True
    leaving_relay: bool = False
    ready: frozenset[str] = frozenset()
    relay_works: bool = True
    direct_works: bool = True

    @property
    def wants_legs(self) -> bool:
        """Whether people have, or make, a leg to the server."""
        return self.topology is Topology.RELAY or self.leaving_relay


class Step(StrEnum):
    """What is to be done at the end of the time that a turn or a lost leg is given."""

    SETTLE = "settle"
    ASK = "ask"  # whoever has no leg is asked for one again; what is up stays up
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
    )


def said_ready(media: Media, participant: str, turn: int) -> Media:
    """Somebody's media flows the new way; a word about an earlier turn says nothing."""
    if turn != media.turn or media.settled:
        return media
    return replace(media, ready=media.ready | {participant})


def settled(media: Media) -> Media:
    """The old way may go."""
    return replace(media, settled=True, leaving_relay=False, ready=frozenset())


def complete(media: Media, online: Set[str], connected: Set[str]) -> bool:
    """Whether the turn is over before its time: everybody who is there has media the new way."""
    if media.settled or not online or not online <= media.ready:
        return False
    return media.topology is not Topology.RELAY or online <= connected


def at_limit(media: Media, online: Set[str], connected: Set[str], *, may_go_direct: bool) -> Step:
    """What to do when the time is up. `connected`: whose leg is; `may_go_direct`: two people, and policy allows it.

    Nobody is left with neither way: the old one goes only when everybody who is there can do without it.
    """
    lacking = online - connected
    if media.topology is Topology.RELAY:
        if lacking:
            return Step.LEAVE_RELAY if may_go_direct else Step.ASK
        return Step.NOTHING if media.settled else Step.SETTLE
    if media.settled:
        return Step.NOTHING
    relayed = media.leaving_relay and bool(online) and not lacking
    return Step.BACK_TO_RELAY if relayed and not online <= media.ready else Step.SETTLE
