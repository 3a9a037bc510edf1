"""Hints about one's own device: what they say before the waiting room and in the call, in both languages."""

import pytest
from playwright.sync_api import expect

from tests.browser.clinic import PHONE, Clinic
from tests.browser.looking import Looker, words_missing

pytestmark = pytest.mark.browser

# A nearly empty battery, a microphone that hears nothing, and a line that the browser calls gone.
POOR = """
navigator.getBattery = async () => Object.assign(new EventTarget(), { level: 0.12, charging: false });
"""
IN_AN_APP = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Instagram 300.0"
)


@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_poor_device_is_told_what_helps(at: Clinic, language: str) -> None:
    booked = at.book()
    locale = {"en": "en-GB", "ar": "ar-EG"}[language]
    patient = at.patient(**PHONE | {"locale": locale, "user_agent": IN_AN_APP})
    page, looker = patient.page, Looker(language)
    page.add_init_script(POOR)
    page.goto(booked.url)
    page.fill("#code", booked.passcode)
    page.keyboard.press("Enter")
    page.wait_for_selector("#ready")
    expect(page.locator("[data-hint='in_app.ios']")).to_be_visible()
    expect(page.locator("[data-hint=battery]")).to_contain_text("12")
    looker("guide-devices", patient)
    page.locator("[data-hint=battery] button").click()
    expect(page.locator("[data-hint=battery]")).to_have_count(0)
    page.evaluate("() => Object.defineProperty(navigator, 'onLine', { value: false, configurable: true })")
    page.evaluate("() => dispatchEvent(new Event('offline'))")
    expect(page.locator(".hints li").first).to_have_attribute("data-hint", "offline")
    assert words_missing(page.inner_text("body")) == []
    assert not looker.violations, "\n".join(looker.violations)


def test_a_camera_that_is_taken_away_in_the_call_is_started_again_by_one_tap(at: Clinic) -> None:
    booked = at.book()
    patient = at.waiting(booked)
    clinician = at.opened(booked)
    clinician.page.click(".admit")
    page, looker = patient.page, Looker("en")
    page.wait_for_selector(".controls")
    page.wait_for_function("() => document.querySelector('#self').srcObject?.getVideoTracks().length")
    page.evaluate(
        "() => { const [track] = document.querySelector('#self').srcObject.getVideoTracks();"
        " track.stop(); track.dispatchEvent(new Event('ended')); }"
    )
    hint = page.locator(".stage .hints li")
    expect(hint).to_have_attribute("data-hint", "ended")
    looker("guide-call", patient)
    hint.get_by_role("button").click()
    expect(page.locator(".stage [data-hint=ended]")).to_have_count(0)
    assert not looker.violations, "\n".join(looker.violations)


def test_clinicians_are_told_what_helps_on_their_side(at: Clinic) -> None:
    booked = at.book()
    at.waiting(booked)
    clinician = at.opened(booked)
    clinician.page.click(".admit")
    page, looker = clinician.page, Looker("en")
    page.wait_for_selector(".controls")
    page.evaluate("() => Object.defineProperty(navigator, 'onLine', { value: false, configurable: true })")
    page.evaluate("() => dispatchEvent(new Event('offline'))")
    expect(page.locator(".stage .hints li").first).to_have_attribute("data-hint", "offline")
    looker("guide-clinician", clinician)
    assert words_missing(page.inner_text("body")) == []
    assert not looker.violations, "\n".join(looker.violations)
