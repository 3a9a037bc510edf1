"""A full visit: all see and hear all through the server, and one who leaves is missed by nobody else."""

import os
from itertools import permutations

import pytest
from playwright.sync_api import expect

from tests.browser.clinic import Clinic
from tests.browser.crowd import CLINICIAN, PATIENT, Look, equipped_call, joined, own_id, perceives
from tests.stories.people import Person

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PEOPLE = int(os.environ.get("PEOPLE", "") or 8)  # 3 to 8; each of them is a Chromium page that decodes all the others
# Tones that are no multiples of one another.
GUESTS = (
    Look(880, "#209040"),
    Look(1130, "#a02090"),
    Look(1370, "#20a0a0"),
    Look(1610, "#909020"),
    Look(1850, "#707070"),
    Look(2090, "#d0d0d0"),
)
SCREEN_MOVES = """(frames) => {
  const screen = document.querySelector("#far-screen");
  const now = screen?.videoWidth ? screen.getVideoPlaybackQuality().totalVideoFrames : 0;
  window.first ??= now;
  return now > window.first + frames;
}"""
# Something on the shared screen that changes, so that there are pictures of it.
CHANGE = """() => setInterval(() => {
  document.querySelector(".stage")?.style.setProperty("outline", `4px solid hsl(${performance.now() % 360} 80% 50%)`);
}, 200)"""


def all_perceive_all(looks: dict[Person, Look]) -> None:
    ids = {who: own_id(who) for who in looks}
    for who, other in permutations(looks, 2):
        perceives(who, ids[other], looks[other], 90)


def test_everybody_of_a_full_visit_sees_and_hears_everybody_and_one_screen_and_one_leaves(at: Clinic) -> None:
    booked = at.book()
    clinician, patient = equipped_call(at, booked)
    looks: dict[Person, Look] = {clinician: CLINICIAN, patient: PATIENT}
    for look in GUESTS[: PEOPLE - 2]:
        looks[joined(at, booked, clinician, look)] = look
    for who in looks:
        expect(who.page.locator(".tile")).to_have_count(PEOPLE - 1, timeout=60_000)
        who.page.wait_for_selector('.stage[data-media="relay settled"]', timeout=60_000)
    all_perceive_all(looks)
    gone = next(who for who in looks if looks[who] is GUESTS[0])
    gone.page.click("#share")
    gone.page.click("#share-go")
    gone.page.evaluate(CHANGE)
    for who in looks:
        if who is not gone:
            who.wait_for(SCREEN_MOVES, 5, 60)
    all_perceive_all(looks)
    gone.page.click("#leave")
    del looks[gone]
    for who in looks:
        expect(who.page.locator(".tile")).to_have_count(PEOPLE - 2, timeout=30_000)
        expect(who.page.locator("#far-screen")).to_be_hidden()
    all_perceive_all(looks)
