"""What one side does in a call, the other side sees."""

import re

import pytest
from playwright.sync_api import WebSocketRoute, expect

from tests.browser.clinic import Clinic
from tests.stories.people import Person

pytestmark = pytest.mark.browser

CAMERA = "() => document.querySelector('#self').srcObject?.getVideoTracks()[0]?.getSettings().deviceId"
SPEAKS = "() => document.querySelector('#far').srcObject.getAudioTracks()[0]"


def camera_of(who: Person) -> str:
    return str(who.wait_for(CAMERA))


def without_the_log(line: WebSocketRoute) -> None:
    """Carry a line on which what opens is refused, as when the log is down, unless it is an emergency."""
    server = line.connect_to_server()

    def said(message: str | bytes) -> None:
        opens = re.match(r'42/visit,(\d+)\["(?:enter|admit)",', str(message))
        if opens and '"break_glass":true' not in str(message):
            line.send(f'43/visit,{opens[1]}[{{"ok":false,"error":"log_unavailable"}}]')
        else:
            server.send(message)

    line.on_message(said)


def test_in_an_emergency_a_clinician_comes_in_and_admits_without_the_log(at: Clinic) -> None:
    booked = at.book()
    patient = at.waiting(booked)
    clinician = at.staff()
    clinician.page.route_web_socket("**/socket.io/**", without_the_log)
    clinician.page.goto(f"{at.house.url}/call/{booked.visit}")
    expect(clinician.page.locator("dialog h2")).to_have_text("The audit log is not available")
    clinician.page.click("#emergency-go")
    clinician.page.click(".admit")
    clinician.page.click("#emergency-go")
    patient.page.wait_for_selector(".controls")
    clinician.sees()
    patient.sees()


def test_a_clinician_who_does_not_want_to_go_on_without_the_log_stays_out(at: Clinic) -> None:
    booked = at.book()
    clinician = at.staff()
    clinician.page.route_web_socket("**/socket.io/**", without_the_log)
    clinician.page.goto(f"{at.house.url}/call/{booked.visit}")
    clinician.page.locator("dialog button").first.click()
    expect(clinician.page.get_by_role("alert")).to_contain_text("The audit log is not available")


def test_muting_and_switching_the_camera_off_are_seen_by_the_other_side(at: Clinic) -> None:
    clinician, patient = at.call()
    clinician.sees()
    facts = clinician.page.locator("dl.facts dd")
    expect(facts.nth(2)).to_have_text("On")
    patient.page.click("#mic")
    expect(facts.nth(2)).to_have_text("Off")
    expect(patient.page.locator("#mic")).to_contain_text("Unmute")
    patient.page.click("#cam")
    expect(facts.nth(3)).to_have_text("Off")
    expect(clinician.page.locator(".absent")).to_contain_text("with sound only")
    expect(patient.page.locator(".self-view")).to_contain_text("Camera off")
    patient.page.click("#cam")
    patient.page.click("#mic")
    expect(facts.nth(2)).to_have_text("On")
    expect(facts.nth(3)).to_have_text("On")
    clinician.sees()


def test_another_camera_takes_over_without_a_break_and_muted_stays_muted(at: Clinic) -> None:
    clinician, patient = at.call()
    clinician.sees()
    before = camera_of(patient)
    patient.page.click("#mic")
    patient.page.click("#devices")
    cameras, microphones = (patient.page.locator("dialog select").nth(n) for n in (0, 1))
    cameras.select_option(index=2)
    microphones.select_option(index=1)
    patient.page.locator("dialog button.primary").click()
    patient.wait_for(f"(old) => {{ const now = ({CAMERA})(); return now && now !== old; }}", before)
    clinician.sees()
    expect(clinician.page.locator("dl.facts dd").nth(2)).to_have_text("Off")
    expect(patient.page.locator("#mic")).to_contain_text("Unmute")


def test_both_sides_see_how_good_the_connection_is(at: Clinic) -> None:
    clinician, patient = at.call()
    for who in (clinician, patient):
        expect(who.page.locator(".bars")).to_have_attribute("data-level", "4", timeout=15_000)
        expect(who.page.locator(".bars")).to_have_attribute("aria-label", "Good connection")
    expect(clinician.page.locator("dl.facts dd").nth(4)).to_have_text("Good connection")


def test_the_clinician_stops_a_running_share_and_forbids_the_next(at: Clinic) -> None:
    clinician, patient = at.call()
    clinician.sees()
    patient.page.click("#share")
    patient.page.click("#share-go")
    expect(clinician.page.locator("#far-screen")).to_be_visible()
    clinician.page.click("#forbid")
    expect(clinician.page.locator("#far-screen")).to_be_hidden()
    expect(patient.page.locator(".sharing-frame")).to_be_hidden()
    expect(patient.page.locator(".call-tell")).to_have_text("Screen sharing was stopped.")
    expect(patient.page.locator("#share")).to_be_disabled()
    clinician.page.click("#forbid")
    expect(patient.page.locator("#share")).to_be_enabled()
    clinician.sees()


def test_a_share_that_is_not_confirmed_in_the_preview_is_never_sent(at: Clinic) -> None:
    clinician, patient = at.call()
    patient.page.click("#share")
    patient.page.locator("dialog button").first.click()
    expect(patient.page.locator("dialog")).to_have_count(0)
    expect(patient.page.locator(".sharing-frame")).to_be_hidden()
    expect(clinician.page.locator("#far-screen")).to_be_hidden()


def test_the_page_says_how_the_call_is_protected(at: Clinic) -> None:
    for who in at.call():
        expect(who.page.locator(".protect")).to_contain_text("Encrypted from browser to browser")
