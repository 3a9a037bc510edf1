"""What every part of the visit story stands on: its people, its house, and steps that are counted."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.stories.house import House
from tests.stories.people import Patient, Person, Staff

CANARY = "Quorra Vantongeren-Iñíguez"  # a name that is in no dictionary and must be in no log
CLINICIAN_TONE, PATIENT_TONE = 500, 900
ALIGNED_WITHIN = 0.080  # seconds
SINCE_CLOCKS_WERE_READ = 9.0  # seconds at the end of each track that are compared: a busy camera slips now and then

# How many times its limit may take what a person would wait for: more than once where other browsers run beside.
PATIENCE = float(os.environ.get("PATIENCE", "") or 1)


@dataclass
class Steps:
    """Counts what passed; the first failure ends the story."""

    passed: int = 0
    failed: int = 0
    say: Callable[[str], None] = print
    patience: float = PATIENCE

    @contextmanager
    def step(self, words: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self.failed += 1
            self.say(f"FAILED {words}")
            raise
        self.passed += 1
        self.say(f"ok {self.passed:2} {words} ({time.monotonic() - began:.1f} s)")


@dataclass
class Telling:
    """What the steps hand on to each other."""

    house: House
    steps: Steps
    clinician: Staff
    admin: Staff
    patient: Patient
    visit: str = ""
    recording: str = ""
    recorded: float = 0.0  # seconds between the light and the withdrawal
    look: Callable[[str, Person], None] = lambda name, who: None
    clocks: dict[str, float] = field(default_factory=dict)  # role → wall seconds when its frame 0 was before the camera

    # what several parts look at

    def far_picture(self, who: Staff | Patient) -> dict[str, Any]:
        who.wait_for("() => document.querySelector('#far')?.videoWidth > 0")
        deadline = time.monotonic() + 10
        while True:
            seen = who.see("#far")
            if seen and seen["index"] is not None:
                return seen
            assert time.monotonic() < deadline, f"no readable picture: {seen}"
            who.page.wait_for_timeout(50)


def promptest(starts: list[float], loop: float) -> float:
    """When a looped film began, judged by the twentieth of its pictures that came with the least delay."""
    shifted = sorted((one - starts[0] + loop / 2) % loop - loop / 2 for one in starts)
    return starts[0] + shifted[len(shifted) // 20]
