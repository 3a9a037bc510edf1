"""Three people in one visit: through the server everybody sees and hears everybody."""

from itertools import permutations

import pytest
from playwright.sync_api import expect

from tests.browser.clinic import Booked, Clinic
from tests.browser.crowd import (
    CLINICIAN,
    GUEST,
    PATIENT,
    SMALL,
    comes,
    company_of_three,
    equip,
    equipped_call,
    joined,
    own_id,
    perceives,
)
from tests.browser.looking import Looker
from tests.browser.test_turning import goes, never_missed
from tests.stories.people import Person

pytestmark = pytest.mark.browser

# A new way takes a second or two until it stands: who gave up the old one before would be silent for as long.
SLOW_TO_BUILD = """window.RTCPeerConnection = class extends RTCPeerConnection {
  async setRemoteDescription(...given) {
    if (this.connectionState !== "connected") await new Promise((done) => setTimeout(done, 1000));
    return super.setRemoteDescription(...given);
  }
};"""


def all_perceive_all(*people: Person) -> None:
    looks = dict(zip(people, (CLINICIAN, PATIENT, GUEST), strict=False))
    ids = {who: own_id(who) for who in people}
    for who, other in permutations(people, 2):
        perceives(who, ids[other], looks[other])


def test_three_people_see_and_hear_each_other_and_two_are_left_to_themselves_again(at: Clinic) -> None:
    booked = at.book()
    clinician, patient = equipped_call(at, booked, scripts=(SLOW_TO_BUILD,))
    for who in (clinician, patient):
        goes(who, "direct settled")
    all_perceive_all(clinician, patient)
    guest = joined(at, booked, clinician)
    for who in (clinician, patient, guest):
        goes(who, "relay settled")
        expect(who.page.locator(".tile")).to_have_count(2)
    all_perceive_all(clinician, patient, guest)
    expect(patient.page.locator(".call-tell")).to_contain_text("Ivy Interpreter is here.")
    expect(patient.page.locator(".tile", has_text="Ivy Interpreter")).to_contain_text("Interpreter")
    guest.page.click("#mic")
    tile = patient.page.locator(".tile", has_text="Ivy Interpreter")
    expect(tile.get_by_label("Microphone off")).to_be_visible()
    guest.page.click("#leave")
    for who in (clinician, patient):
        goes(who, "direct settled")
        expect(who.page.locator(".tile")).to_have_count(1)
    all_perceive_all(clinician, patient)
    for who, other in permutations((clinician, patient)):  # from browser to browser, by the server, and back again
        never_missed(who, own_id(other))


def test_whoever_comes_late_is_asked_before_the_recording_goes_on(at: Clinic) -> None:
    booked = at.book()
    clinician, patient = (equip(at.staff(**SMALL), CLINICIAN), equip(at.patient(**SMALL), PATIENT))
    at.waiting(booked, patient)
    clinician.page.goto(f"{at.house.url}/call/{booked.visit}")
    clinician.page.click(".admit")
    patient.page.wait_for_selector(".controls")
    clinician.ask_to_record()
    for who in (clinician, patient):
        who.page.click("#consent-yes")
    for who in (clinician, patient):
        expect(who.page.locator("#light")).to_have_attribute("data-state", "recording", timeout=20_000)
    guest = comes(at, at.invite(booked), equip(at.patient(**SMALL), GUEST))
    clinician.page.click(".admit")
    guest.page.wait_for_selector("#consent-text")
    for who in (clinician, patient, guest):
        expect(who.page.locator("#light")).not_to_have_attribute("data-state", "recording")
    guest.page.click("#consent-yes")
    for who in (clinician, patient, guest):
        expect(who.page.locator("#light")).to_have_attribute("data-state", "recording", timeout=20_000)
    all_perceive_all(clinician, patient, guest)


def test_what_one_writes_everybody_reads_with_their_name(at: Clinic) -> None:
    clinician, patient, guest = company_of_three(at)
    for who in (clinician, patient, guest):
        who.page.click("#chat")
    guest.page.fill("#chat-text", "He says it hurts on the left.")
    guest.page.keyboard.press("Enter")
    for who in (clinician, patient):
        line = who.page.locator(".chat-lines li").last
        expect(line).to_contain_text("Ivy Interpreter")
        expect(line).to_contain_text("hurts on the left")
    expect(guest.page.locator(".chat-lines li.mine")).to_have_count(1)


def test_a_clinician_invites_from_the_call_and_takes_an_invitation_back_on_the_days_page(at: Clinic) -> None:
    booked = at.book()
    clinician = at.opened(booked)
    clinician.page.click("#invite")
    clinician.page.select_option("dialog select[name=role]", "relative")
    clinician.page.fill("dialog input[name=name]", "Rosa Relative")
    clinician.page.click("#guest-go")
    invited = Booked(
        booked.visit,
        "",
        clinician.page.input_value("#guest-url"),
        clinician.page.input_value("#guest-passcode"),
    )
    clinician.page.keyboard.press("Escape")
    guest = equip(at.patient(), GUEST, watching=False)
    guest.open_link(invited.url)
    expect(guest.page.locator("#invited-as")).to_have_text("You are invited as a relative.")
    guest.type_code(invited.passcode)
    guest.page.click("#ready")
    expect(clinician.page.locator(".knock")).to_contain_text("Rosa Relative")
    expect(clinician.page.locator(".knock")).to_contain_text("Relative")
    day = at.staff()
    day.page.goto(f"{at.house.url}/visits")
    day.page.locator(f"[data-visit={booked.visit}] .guests").click()
    day.page.click("dialog .revoke")
    expect(day.page.locator("dialog")).to_contain_text("The link no longer works.")
    expect(guest.page.locator("[data-step=over]")).to_be_visible()
    expect(clinician.page.locator(".knock")).to_have_count(0)


@pytest.mark.parametrize(("language", "locale"), [pytest.param("en", "en-GB", marks=pytest.mark.slow), ("ar", "ar-EG")])
def test_three_people_look_well_on_every_screen_in_every_language(at: Clinic, language: str, locale: str) -> None:
    people = company_of_three(at, locale=locale)
    look = Looker(language)
    for who in people:
        goes(who, "relay settled")
    look("call-three-clinician", people[0])
    look("call-three-patient", people[1])
    people[0].page.click("#people")
    look("call-three-people", people[0])
    people[0].page.click("#invite")
    people[0].page.wait_for_selector("dialog .company")
    look("call-three-invite", people[0])
    assert look.violations == []
