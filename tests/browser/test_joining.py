"""The patient's way in: too early, without a camera, in another language, by keyboard alone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from tests.browser.clinic import CAMERAS, Clinic
from tests.chromium import WHOLE
from tests.stories.people import chromium

pytestmark = pytest.mark.browser

PROMPTING = [flag for flag in CAMERAS if flag != "--use-fake-ui-for-media-stream"]  # permission is really asked


def test_who_is_too_early_reads_their_own_time_and_the_page_opens_by_itself(at: Clinic) -> None:
    opens = datetime.now(UTC) + timedelta(seconds=4)
    booked = at.book(scheduled_at=opens.isoformat(timespec="milliseconds"))
    patient = at.patient(timezone_id="Asia/Tokyo")
    patient.page.goto(booked.url)
    early = patient.page.locator("[data-step=early]")
    expect(early).to_contain_text(f"{opens.astimezone(ZoneInfo('Asia/Tokyo')):%H:%M}")
    expect(early).to_contain_text("Asia/Tokyo")
    expect(early.locator(".big-clock")).to_contain_text("0:0")
    patient.page.wait_for_selector("#code", timeout=10_000)
    patient.type_code(booked.passcode)
    patient.page.wait_for_selector("#where")


@pytest.mark.parametrize(
    ("allowed", "words"),
    [
        ([], "are blocked"),
        (["microphone"], "There is no camera, or it is blocked"),
        (["camera"], "There is no microphone, or it is blocked"),
    ],
)
def test_who_has_no_camera_or_microphone_is_told_how_to_mend_it_and_joins_all_the_same(
    at: Clinic, allowed: list[str], words: str
) -> None:
    with chromium(at.playwright, flags=PROMPTING, program=WHOLE) as browser:
        patient = at.patient(browser, permissions=allowed)
        booked = at.book()
        patient.open_link(booked.url)
        patient.type_code(booked.passcode)
        expect(patient.page.locator(".note.warn")).to_contain_text(words)
        expect(patient.page.get_by_role("button", name="Try again")).to_be_visible()
        patient.get_ready()
        patient.page.wait_for_selector("#waiting-status")
        clinician = at.opened(booked)
        clinician.page.click(".admit")
        patient.sees()
        facts = clinician.page.locator("dl.facts dd")
        expect(facts.nth(2)).to_have_text("On" if "microphone" in allowed else "Off")
        expect(facts.nth(3)).to_have_text("On" if "camera" in allowed else "Off")
        if "camera" not in allowed:
            expect(clinician.page.locator(".absent")).to_contain_text("with sound only")
        at.go_home()


def test_changing_the_language_keeps_the_place(at: Clinic) -> None:
    booked = at.book()
    patient = at.patient()
    page = patient.page
    patient.open_link(booked.url)
    page.locator("header select").select_option("ar")
    page.wait_for_selector("html[dir=rtl] #code")
    patient.type_code(booked.passcode)
    patient.get_ready()
    page.wait_for_selector("#waiting-status")
    page.locator("header select").select_option("en")
    page.wait_for_selector("html[dir=ltr] #waiting-status")
    clinician = at.opened(booked)
    expect(clinician.page.locator(".admit")).to_have_count(1)


def go_to(page: Page, selector: str) -> None:
    """Press Tab until the keyboard stands on it."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("(wanted) => Boolean(document.activeElement?.matches(wanted))", selector):
            return
    raise AssertionError(f"the keyboard does not reach {selector}")


def test_the_keyboard_alone_leads_from_the_link_into_the_call(at: Clinic) -> None:
    booked = at.book()
    patient, clinician = at.patient(), at.staff()
    keys = patient.page.keyboard
    patient.page.goto(booked.url)
    patient.wait_for("() => document.activeElement?.id === 'code'")
    keys.type(booked.passcode)
    keys.press("Enter")
    patient.page.wait_for_selector("#where")
    go_to(patient.page, "#where")
    keys.type("At home")
    go_to(patient.page, "#callback-number")
    keys.type("+1 555 0100")
    keys.press("Enter")
    patient.page.wait_for_selector("#waiting-status")
    clinician.page.goto(f"{at.house.url}/visits")
    row = f"li[data-visit={booked.visit}]"
    clinician.page.wait_for_selector(f"{row}.waiting")
    go_to(clinician.page, f"{row} a.primary")
    clinician.page.keyboard.press("Enter")
    clinician.page.wait_for_selector(".admit")
    go_to(clinician.page, ".admit")
    clinician.page.keyboard.press("Enter")
    patient.page.wait_for_selector(".controls")
    go_to(patient.page, "#mic")
    keys.press("Enter")
    expect(clinician.page.locator("dl.facts dd").nth(2)).to_have_text("Off")
    go_to(clinician.page, "#end")
    clinician.page.keyboard.press("Enter")
    go_to(clinician.page, "#end-go")
    clinician.page.keyboard.press("Enter")
    patient.page.wait_for_selector("[data-step=over]")
