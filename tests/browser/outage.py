"""A network that is gone for a while, and how long after it two people are silent or frozen to each other."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.browser.clinic import Clinic, clinic
from tests.browser.crowd import CLINICIAN, PATIENT, equipped_call, own_id, perceives, stretches
from tests.browser.rebinding import Router
from tests.browser.test_turning import goes
from tests.partners.process import free_port
from tests.stories.people import Person

LOST_SOUND, FROZEN = 300, 1000  # milliseconds; a longer stretch without is not yet a call
STEADY = 5.0  # seconds that are looked at after the outage


class Cable(Router):
    """A router whose cable may be pulled."""

    pulled = False

    def _pass(self, ready: socket.socket) -> None:
        if not self.pulled:
            super()._pass(ready)
            return
        with suppress(OSError):
            ready.recvfrom(2048)


@contextmanager
def cabled(folder: Path) -> Iterator[tuple[Clinic, Cable]]:
    """A clinic whose media all goes over one cable to the server."""
    port = free_port()
    settings = {
        "MEDIA__DIRECT": "never",
        "MEDIA__HOST": "127.0.0.2",
        "MEDIA__PUBLIC_ADDRESSES": "127.0.0.1",
        "MEDIA__PORT": str(port),
        "MEDIA__TCP": "false",
    }
    with ExitStack() as stack:
        cable = Cable(("127.0.0.1", port), ("127.0.0.2", port))
        stack.callback(cable.close)
        yield stack.enter_context(clinic(folder, settings)), cable


class Pair:
    """Clinician and patient in a relayed call, who see and hear each other."""

    def __init__(self, at: Clinic, *scripts: str) -> None:
        self.people: tuple[Person, Person] = equipped_call(at, scripts=scripts)
        self.ids = [own_id(who) for who in self.people]
        for who in self.people:
            goes(who, "relay settled")
        self.perceive()

    def perceive(self) -> None:
        """Wait until both see a picture that moves and hear the other's tone, from now on."""
        for who, other, look in ((0, 1, PATIENT), (1, 0, CLINICIAN)):
            self.people[who].sees()
            perceives(self.people[who], self.ids[other], look)

    def after(self, cable: Cable, seconds: float) -> tuple[float, float]:
        """Pull the cable for so long; seconds from its return until both hear, and until both see, without a stop."""
        cable.pulled = True
        self.people[0].page.wait_for_timeout(1000 * seconds)
        cable.pulled = False
        back = 1000 * time.time()
        found = self._looked_on()
        sound = max(_until(one["silences"], back, LOST_SOUND) for one in found)
        return sound, max(_until(one["freezes"], back, FROZEN) for one in found)

    def worst_since(self, moment: float) -> tuple[float, float]:
        """Seconds of the longest silence and of the longest freeze from a millisecond of the epoch on."""
        found = self._looked_on()
        silent, frozen = (
            max(end - begin for one in found for begin, end in one[what] if end > moment)
            for what in ("silences", "freezes")
        )
        return silent / 1000, frozen / 1000

    def _looked_on(self) -> list[dict[str, list[tuple[float, float]]]]:
        """What each missed of the other, up to some seconds from now; the last of it goes on."""
        self.people[0].page.wait_for_timeout(1000 * STEADY)
        return [stretches(who)[other] for who, other in zip(self.people, reversed(self.ids), strict=True)]


def _until(stretches: list[tuple[float, float]], back: float, longest: float) -> float:
    """Seconds from `back` to the end of the last long stretch. Raises ValueError where none covers `back`."""
    ends = [end for begin, end in stretches if end > back and end - begin > longest]
    if not any(begin < back for begin, end in stretches if end > back and end - begin > longest):
        raise ValueError("the outage was not noticed")
    return (max(ends) - back) / 1000
