"""How media flows between the people of a visit: pure.

While there is no relay, a visit is for its clinician and one patient: two people, browser to browser, each with a
leg of their own to the recorder while it is recorded.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

SEATS: Final[dict[str, int]] = {"clinician": 1, "patient": 1}  # how many of each role fit


class Topology(StrEnum):
    ALONE = "alone"  # nobody to send to
    DIRECT = "direct"  # browser to browser; the server carries no media
    RECORDED = "recorded"  # direct, and a leg of each to the recorder


def topology(admitted: int, *, recorded: bool) -> Topology:
    """The way media takes among so many admitted people. Raises ValueError for more than fit."""
    if not 0 <= admitted <= sum(SEATS.values()):
        raise ValueError("more people than seats")
    if admitted < 2:
        return Topology.ALONE
    return Topology.RECORDED if recorded else Topology.DIRECT


def seats(there: Sequence[str], role: str) -> bool:
    """Whether somebody of this role fits in beside those whose roles are given."""
    return there.count(role) < SEATS.get(role, 0)
