"""The clinician's desk: who arrives, who goes idle; and the demonstration."""

from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.clinic import Clinic
from tests.chromium import WHOLE
from tests.stories.house import House
from tests.stories.people import chromium

pytestmark = pytest.mark.browser

KEEP_NOTICES = """
window.notices = [];
const Real = Notification;
window.Notification = class extends Real {
  constructor(title, options) { super(title, options); window.notices.push({ title, ...options }); }
};
"""


def test_an_arrival_is_told_in_the_title_and_by_a_notification_without_a_name(at: Clinic) -> None:
    booked = at.book("Unmistakable Patientname")
    with chromium(at.playwright, program=WHOLE) as browser:
        clinician = at.staff(browser=browser, permissions=["notifications"])
        clinician.context.add_init_script(KEEP_NOTICES)
        clinician.page.goto(f"{at.house.url}/visits")
        expect(clinician.page).to_have_title("Visits")
        at.waiting(booked)
        expect(clinician.page).to_have_title("(1) Visits")
        notice = clinician.wait_for("() => window.notices[0]")
        assert notice["title"] == "Somebody is waiting"
        assert "Patientname" not in str(notice)
        expect(clinician.page.locator(f"li[data-visit={booked.visit}]")).to_contain_text("Waiting since")
        at.go_home()
    cancelled = at.send(at.desk, "PATCH", f"/visits/{booked.visit}", state="cancelled")
    assert cancelled.ok, cancelled.text()  # else they wait for some time without a connection, in titles too


def test_what_is_pressed_is_not_drawn_anew_before_it_is_let_go(at: Clinic) -> None:
    bookings = [at.book(), at.book("Quinn Example")]
    page = at.staff().page
    page.goto(f"{at.house.url}/visits")
    expect(page).to_have_title("Visits")
    finger, space = (page.mouse.down, page.mouse.up), (partial(page.keyboard.down, " "), partial(page.keyboard.up, " "))
    for count, (booked, (press, let_go)) in enumerate(zip(bookings, (finger, space), strict=True), 1):
        row = page.locator(f"li[data-visit={booked.visit}]")
        row.locator(".guests").hover()
        row.locator(".guests").focus()
        press()
        at.waiting(booked)
        expect(page).to_have_title(f"({count}) Visits")  # the page was told, its list waits
        expect(row).not_to_contain_text("Waiting since")
        let_go()
        expect(page.locator("dialog #guest-go")).to_be_visible()
        expect(row).to_contain_text("Waiting since")
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)


def test_the_idle_are_warned_and_then_signed_out(at: Clinic) -> None:
    clinician = at.staff()
    clinician.page.clock.install()
    clinician.page.goto(f"{at.house.url}/visits")
    clinician.page.wait_for_selector("#new-visit")
    clinician.page.clock.run_for("14:10")
    dialog = clinician.page.get_by_role("dialog")
    expect(dialog).to_contain_text("Still there?")
    dialog.get_by_role("button").click()
    expect(dialog).to_have_count(0)
    clinician.page.clock.run_for("14:10")
    expect(dialog).to_contain_text("Still there?")
    clinician.page.clock.run_for("01:00")
    expect(clinician.page).to_have_url(f"{at.house.url}/")
    expect(clinician.page.locator("input[name=login]")).to_be_visible()


def test_the_demonstration_leads_into_a_call_within_a_minute(tmp_path: Path, at: Clinic) -> None:
    with House(tmp_path, words=("serve", "--demo")) as house:
        desk, door = house.said(r"clinician\s+(http\S+)"), house.said(r"patient\s+(http\S+)")
        passcode = house.said(r"passcode (\S+)")
        clinician, patient = at.staff({}), at.patient()
        clinician.page.goto(desk)
        expect(clinician.page.locator(".banner")).to_contain_text("thrown away")
        patient.open_link(door)
        expect(patient.page.locator(".banner")).to_contain_text("thrown away")
        patient.type_code(passcode)
        patient.get_ready()
        clinician.page.locator("li.row.waiting a.primary").click()
        clinician.page.click(".admit")
        clinician.sees()
        patient.sees()
        clinician.page.goto(desk)
        expect(clinician.page.get_by_role("alert")).to_be_visible()  # a printed link signs in once
