"""Everybody's legs in one visit: at most two of a person, while a new one takes over from the one before."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from telehealth.errors import Refusal
from telehealth.frames import FrameSink
from telehealth.visits.ports import Leg

_MOST: Final = 2


@dataclass(slots=True, eq=False)
class Held:
    """One leg; `page` made it. `captured`: the recorder takes its packets; `shows_screen`: its screen goes on."""

    id: str
    leg: Leg
    page: str | None
    connected: bool = False
    captured: bool = False
    shows_screen: bool = True

    def capture(self, sink: FrameSink) -> None:
        """From the next packet on the recorder has it; of a leg that has just ended it has nothing."""
        try:
            self.leg.attach(sink)
        except Refusal as refusal:
            sink.leg_closed(refusal.code)
        else:
            self.captured = True

    def show_screen(self, allowed: bool) -> None:
        """Whether the others get this person's screen."""
        if allowed != self.shows_screen:
            self.shows_screen = allowed
            self.leg.show_screen(allowed)

    def release(self, reason: str) -> None:
        """From this call on the recorder has nothing of it; again does nothing."""
        if self.captured:
            self.captured = False
            self.leg.detach(reason)


class Legs:
    """By participant, the oldest first."""

    def __init__(self) -> None:
        self._of: dict[str, list[Held]] = {}

    def __iter__(self) -> Iterator[Held]:
        return iter([held for legs in self._of.values() for held in legs])

    def of(self, participant: str) -> tuple[Held, ...]:
        return tuple(self._of.get(participant, ()))

    def newest(self, participant: str) -> Held | None:
        found = self._of.get(participant)
        return found[-1] if found else None

    def newest_connected(self, participant: str) -> Held | None:
        return next((held for held in reversed(self._of.get(participant, ())) if held.connected), None)

    def connected(self) -> frozenset[str]:
        """Who has a leg that media can flow over."""
        return frozenset(person for person, legs in self._of.items() if any(held.connected for held in legs))

    def captured(self) -> frozenset[str]:
        """Whose packets the recorder takes."""
        return frozenset(person for person, legs in self._of.items() if any(held.captured for held in legs))

    def add(self, participant: str, held: Held) -> None:
        """One more; of three the one goes that is worth least: the oldest, but never the only one that is connected."""
        legs = self._of.setdefault(participant, [])
        if len(legs) >= _MOST:
            least = next((one for one in legs if not one.connected), legs[0])
            self.end(participant, least, "replaced")
        self._of.setdefault(participant, []).append(held)

    def connect(self, participant: str, held: Held) -> bool:
        """It can carry media now: those before it are over. False if it is not wanted any more."""
        legs = self._of.get(participant, [])
        if held not in legs:
            return False
        held.connected = True
        for earlier in legs[: legs.index(held)]:
            self.end(participant, earlier, "replaced")
        return True

    def remove(self, participant: str, held: Held) -> bool:
        """It has ended; False if that was wanted."""
        legs = self._of.get(participant, [])
        if held not in legs:
            return False
        legs.remove(held)
        if not legs:
            del self._of[participant]
        return True

    def finish_of(self, participant: str, reason: str) -> None:
        for held in self.of(participant):
            self.end(participant, held, reason)

    def finish_all(self, reason: str) -> None:
        for participant in tuple(self._of):
            self.finish_of(participant, reason)

    def end(self, participant: str, held: Held, reason: str) -> None:
        """End one; the recorder is off it first."""
        self.remove(participant, held)
        held.release(reason)
        held.leg.finish(reason)
