"""A full visit: all see and hear all through the server, and one who leaves is missed by nobody else."""

import os
from itertools import permutations

import pytest
from playwright.sync_api import expect

from tests.browser.clinic import Clinic
from tests.browser.crowd import CLINICIAN, PATIENT, SMALL, Look, comes, equip, equipped_call, own_id, perceives
from tests.stories.people import Person

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PEOPLE = int(os.environ.get("PEOPLE", "") or 5)  # 3 to 8; each of them is a Chromium page that decodes all the others
# Tones that are no multiples of one another.
GUESTS = (
    Look(880, "#209040"),
    Look(1130, "#a02090"),
    Look(1370, "#20a0a0"),
    Look(1610, "#909020"),
    Look(1850, "#707070"),
    Look(2090, "#d0d0d0"),
)


def all_perceive_all(looks: dict[Person, Look]) -> None:
    ids = {who: own_id(who) for who in looks}
    for who, other in permutations(looks, 2):
        perceives(who, ids[other], looks[other], 90)


def test_everybody_of_a_full_visit_sees_and_hears_everybody_and_one_leaves(at: Clinic) -> None:
    booked = at.book()
    clinician, patient = equipped_call(at, booked)
    looks: dict[Person, Look] = {clinician: CLINICIAN, patient: PATIENT}
    for look in GUESTS[: PEOPLE - 2]:
        guest = comes(at, at.invite(booked), equip(at.patient(**SMALL), look, watching=False))
        clinician.page.click(".admit")
        guest.page.wait_for_selector(".controls")
        looks[guest] = look
    for who in looks:
        expect(who.page.locator(".tile")).to_have_count(PEOPLE - 1, timeout=60_000)
        who.page.wait_for_selector('.stage[data-media="relay settled"]', timeout=60_000)
    all_perceive_all(looks)
    gone = next(who for who in looks if looks[who] is GUESTS[0])
    gone.page.click("#leave")
    del looks[gone]
    for who in looks:
        expect(who.page.locator(".tile")).to_have_count(PEOPLE - 2, timeout=30_000)
    all_perceive_all(looks)
