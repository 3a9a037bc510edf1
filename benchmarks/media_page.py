"""The pages of a visit in bad moments: an outage of ten seconds, media that takes another way, a network without UDP.

What two people notice is measured by what their pages play and show. Every figure is the worst of several.
"""

import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Browser

from benchmarks.figure import Figure, measured, said, say
from tests.browser.clinic import Clinic, clinic
from tests.browser.crowd import equipped_call, gaps, joined, own_id
from tests.browser.firewall import may_wall, walled
from tests.browser.outage import Pair, cabled
from tests.browser.test_narrow_networks import RELAYED, only_443
from tests.browser.test_turning import goes
from tests.faults.lost_worker import carrier
from tests.partners.coturn import Coturn
from tests.stories.people import Person

OUTAGE = float(os.environ.get("OUTAGE", "") or 10.0)  # seconds
TIMES = 4
STEP = 2.0  # seconds after which a page tries anew: an outage ends somewhere within


def run(seed: int) -> Iterator[Figure]:
    """Outages, lost workers, turns, narrow networks."""
    yield from _outages(seed)
    yield from _lost_workers(seed)
    yield from _turns(seed)
    yield from _narrow(seed)


def _outages(seed: int) -> Iterator[Figure]:
    """One relayed call, several outages of both networks."""
    dice = random.Random(seed)
    found = []
    with tempfile.TemporaryDirectory() as folder, cabled(Path(folder)) as (at, cable):
        pair = Pair(at)
        for _ in range(TIMES):
            pair.people[0].page.wait_for_timeout(1000)
            seconds = OUTAGE + STEP * dice.random()
            found.append(pair.after(cable, seconds))
            say(f"  after {seconds:.1f} s: sound back in {found[-1][0]:.2f} s, pictures in {found[-1][1]:.2f} s")
        at.go_home()
    both = [max(one) for one in found]
    say(f"  both back in {min(both):.2f}–{max(both):.2f} s")
    yield measured("media.outage.page_sound", max(one[0] for one in found), "s", n=TIMES, seed=seed)
    yield measured("media.outage.page_pictures", max(one[1] for one in found), "s", n=TIMES, seed=seed)
    yield measured("media.outage.page_recovery", max(both), "s", n=TIMES, seed=seed, at_most=2)


def _lost_workers(seed: int) -> Iterator[Figure]:
    """One relayed call, the process that carries it killed again and again."""
    found = []
    with tempfile.TemporaryDirectory() as folder, clinic(Path(folder), RELAYED | {"MEDIA__WORKERS": "1"}) as at:
        pair = Pair(at)
        for _ in range(TIMES):
            os.kill(carrier(at.house), signal.SIGKILL)
            found.append(pair.worst_since(1000 * time.time()))
            say(f"  a killed worker: {found[-1][0]:.2f} s without sound, {found[-1][1]:.2f} s of a still picture")
        at.go_home()
    yield measured("media.worker.page_silent", max(one[0] for one in found), "s", n=TIMES, seed=seed, at_most=5)
    yield measured("media.worker.page_frozen", max(one[1] for one in found), "s", n=TIMES, seed=seed, at_most=5)


def _turns(seed: int) -> Iterator[Figure]:
    """From browser to browser, through the server, and back: somebody else comes and goes, TIMES over in one call."""
    with tempfile.TemporaryDirectory() as folder, clinic(Path(folder)) as at:
        booked = at.book()
        pair = equipped_call(at, booked)
        _gone(pair, "direct settled")
        for _ in range(TIMES):
            guest = joined(at, booked, pair[0])
            _gone(pair, "relay settled")
            guest.page.click("#leave")
            _gone(pair, "direct settled")
        found = [gaps(who)[own_id(other)] for who, other in (pair, pair[::-1])]
        at.go_home()
    assert all(one["heard"] and one["seen"] for one in found)
    silent, frozen = (max(one[what] for one in found) for what in ("silent", "frozen"))
    yield measured("media.turn.lost_sound", silent, "ms", n=2 * TIMES, seed=seed, at_most=300)
    yield measured("media.turn.frozen_picture", frozen, "ms", n=2 * TIMES, seed=seed, at_most=1000)


def _gone(pair: tuple[Person, ...], way: str) -> None:
    for who in pair:
        goes(who, way)
    pair[0].page.wait_for_timeout(1000)  # what goes wrong late is seen, too


def _narrow(seed: int) -> Iterator[Figure]:
    """Seconds from the click that lets somebody in until they see a picture; the network lets ever less through."""
    if not may_wall():
        say("  no network namespace may be made here: connecting without UDP is not measured")
        return
    for name, made in (("open", _open), ("udp_swallowed", _swallowed), ("only_443", _only_443)):
        with tempfile.TemporaryDirectory() as folder, made(Path(folder)) as (at, browser):
            found = [_connected(at, browser) for _ in range(TIMES)]
        say(f"  {name}: {min(found):.2f}–{max(found):.2f} s until there is a picture")
        yield measured(f"media.connect.{name}", max(found), "s", n=TIMES, seed=seed)


@contextmanager
def _open(folder: Path) -> Iterator[tuple[Clinic, Browser]]:
    with clinic(folder, RELAYED) as at:
        yield at, at.browser


@contextmanager
def _swallowed(folder: Path) -> Iterator[tuple[Clinic, Browser]]:
    with clinic(folder, RELAYED) as at, walled(at, folder, {at.house.media_port: at.house.media_port}) as (browser, _):
        yield at, browser


@contextmanager
def _only_443(folder: Path) -> Iterator[tuple[Clinic, Browser]]:
    with ExitStack() as stack:
        coturn = Coturn(folder)
        stack.callback(coturn.stop)
        at = stack.enter_context(clinic(folder, RELAYED | only_443(coturn)))
        yield at, stack.enter_context(walled(at, folder, {443: coturn.tls_port}))[0]


def _connected(at: Clinic, browser: Browser) -> float:
    booked = at.book()
    patient = at.waiting(booked, at.patient(browser))
    clinician = at.opened(booked)
    begun = time.monotonic()
    clinician.page.click(".admit")
    patient.sees(0)
    took = time.monotonic() - begun
    at.go_home()
    return took


if __name__ == "__main__":
    said(run)
