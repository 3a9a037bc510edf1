"""Media takes another way while two people talk: nobody is silent or frozen for long."""

import pytest
from playwright.sync_api import expect

from tests.browser.clinic import Clinic
from tests.browser.crowd import CLINICIAN, PATIENT, equipped_call, gaps, own_id, perceives
from tests.stories.people import Person
from tests.stories.telling import PATIENCE

pytestmark = pytest.mark.browser

LOST_SOUND, FROZEN = 300 * PATIENCE, 1000 * PATIENCE  # milliseconds


def goes(who: Person, way: str) -> None:
    """Wait until media goes that way and the turn is done."""
    expect(who.page.locator(".stage")).to_have_attribute("data-media", way, timeout=20_000)


def never_missed(who: Person, other: str) -> None:
    """Since the other was first heard and seen there was no silence and no frozen picture that counts."""
    found = gaps(who)[other]
    assert found["heard"]
    assert found["seen"]
    assert found["silent"] <= LOST_SOUND, found
    assert found["frozen"] <= FROZEN, found


def test_a_recording_begins_and_ends_and_sound_and_picture_go_on(at: Clinic) -> None:
    clinician, patient = equipped_call(at)
    ids = own_id(clinician), own_id(patient)
    for who, other, look in ((clinician, ids[1], PATIENT), (patient, ids[0], CLINICIAN)):
        goes(who, "direct settled")
        perceives(who, other, look)
    clinician.ask_to_record()
    for who in (clinician, patient):
        who.page.click("#consent-yes")
    for who, other, look in ((clinician, ids[1], PATIENT), (patient, ids[0], CLINICIAN)):
        goes(who, "relay settled")
        expect(who.page.locator("#light")).to_have_attribute("data-state", "recording", timeout=20_000)
        perceives(who, other, look)
    clinician.page.click("#record")
    for who, other, look in ((clinician, ids[1], PATIENT), (patient, ids[0], CLINICIAN)):
        goes(who, "direct settled")
        perceives(who, other, look)
        never_missed(who, other)
