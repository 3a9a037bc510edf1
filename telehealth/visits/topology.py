"""How media flows between the people of a visit, and who fits in: pure."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

MOST_PEOPLE: Final = 8  # in one visit at once
SEATS: Final[dict[str, int]] = {"clinician": 1, "patient": 1}  # how many of these roles fit; guests share what is left
GUESTS: Final = ("interpreter", "relative", "colleague")


class Topology(StrEnum):
    ALONE = "alone"  # nobody to send to
    DIRECT = "direct"  # browser to browser; the server carries no media
    RELAY = "relay"  # one leg of each to the server, which forwards packets it does not decode


def topology(admitted: int, recorded: bool, *, direct_allowed: bool, relay_works: bool) -> Topology:
    """The way media takes among so many admitted people.

    Three or more need the relay whatever else holds; so do two whose addresses no other browser may learn. Two who are
    recorded are relayed while that can be had. Raises ValueError for more people than fit.
    """
    if not 0 <= admitted <= MOST_PEOPLE:
        raise ValueError("more people than seats")
    if admitted < 2:
        return Topology.ALONE
    if admitted > 2 or not direct_allowed or (recorded and relay_works):
        return Topology.RELAY
    return Topology.DIRECT


def seats(there: Sequence[str], role: str) -> bool:
    """Whether somebody of this role fits in beside those whose roles are given: no guest takes the last two's seats."""
    if role in GUESTS:
        guests = sum(there.count(other) for other in GUESTS)
        return guests < MOST_PEOPLE - sum(SEATS.values())
    return there.count(role) < SEATS.get(role, 0)
