"""Whose packets the recorder takes: put on people's legs, and off them, in the same instant."""

from collections.abc import Callable

from telehealth.frames import FrameSink
from telehealth.visits.roster import LiveVisit

SinkFor = Callable[[str], FrameSink | None]  # a participant's way into the recorder; None: not wanted


class Taking:
    """Everything here acts at once, on the event loop; who is told of it is the caller's matter."""

    def __init__(self, visit: LiveVisit) -> None:
        self._visit = visit
        self._sink_for: SinkFor | None = None  # there while the recorder takes frames

    def capture(self, sink_for: SinkFor) -> None:
        """From now on the recorder takes the packets of everybody whom `sink_for` gives a sink, until `release`."""
        self._sink_for = sink_for
        for person in tuple(self._visit.admitted()):
            self.attach(person.id)

    def release(self, reason: str) -> None:
        """From this call on the recorder takes nothing of anybody."""
        self._sink_for = None
        for held in self._visit.legs:
            held.release(reason)

    def release_one(self, participant: str, reason: str) -> None:
        """From this call on the recorder takes nothing of this person, until they are back."""
        for held in self._visit.legs.of(participant):
            held.release(reason)

    def attach(self, participant: str) -> bool:
        """Take somebody's newest leg if the recorder wants it; whether it was not taken before."""
        legs, person = self._visit.legs, self._visit.people.get(participant)
        held = legs.newest_connected(participant)
        if held is None or held.captured or self._sink_for is None or person is None or not person.online:
            return False
        sink = self._sink_for(participant)
        if sink is None:
            return False
        for earlier in legs.of(participant):
            earlier.release("replaced")
        held.capture(sink)
        return held.captured

    def request_key_frame(self, participant: str) -> None:
        held = self._visit.legs.newest_connected(participant)
        if held is not None:
            held.leg.request_key_frame()
