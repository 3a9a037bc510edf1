"""The team's dialog, and emergency access: offered to clinicians where they see nothing, approved by a colleague."""

import pytest
from playwright.sync_api import expect

from tests.browser.clinic import Clinic
from tests.stories.people import Staff

pytestmark = pytest.mark.browser


def colleague(at: Clinic, login: str) -> Staff:
    invited = at.send(at.admin, "POST", "/users", name=f"Dr. {login.title()}", login=login, role="clinician").json()
    return at.staff(at._enrolled(invited["enrolment_url"]))


def test_a_clinician_breaks_the_glass_and_a_colleague_approves(at: Clinic) -> None:
    booked = at.book()
    night, day = colleague(at, "night"), at.staff()
    night.page.goto(f"{at.house.url}/call/{booked.visit}")
    expect(night.page.locator("#glass")).to_be_visible()
    night.page.select_option("#glass-reason", "covering")
    night.page.fill("#glass-words", "Dr. Day is ill today.")
    night.page.click("#glass-go")
    expect(night.page.locator("#glass [role=status]")).to_contain_text("A colleague has been asked")
    day.page.goto(f"{at.house.url}/visits")
    expect(day.page.locator("#glasses")).to_contain_text("Dr. Day is ill today.")
    day.page.click(".glass-approve")
    night.page.wait_for_selector(".controls")
    opened = at.entries(booked.visit, "break_glass.open")
    assert [entry["purpose"] for entry in opened if entry["outcome"] == "done"] == ["covering"]


def test_an_admin_is_offered_no_glass(at: Clinic) -> None:
    booked = at.book()
    boss = at.staff(at.admin_state)
    boss.page.goto(f"{at.house.url}/call/{booked.visit}")
    expect(boss.page.get_by_role("alert")).to_be_visible()
    expect(boss.page.locator("#glass")).to_have_count(0)


def test_a_colleague_is_put_on_the_team_and_finds_the_visit_in_their_list(at: Clinic) -> None:
    booked = at.book("Team Example")
    colleague(at, "mate")
    mate = at.present[-1]
    day = at.staff()
    day.page.goto(f"{at.house.url}/visits")
    row = day.page.locator(f"li[data-visit={booked.visit}]")
    row.locator(".team").click()
    day.page.select_option("#colleague", label="Dr. Mate")
    day.page.click("#team-add")
    expect(day.page.locator("#team")).to_contain_text("Dr. Mate")
    mate.page.goto(f"{at.house.url}/visits")
    expect(mate.page.locator(f"li[data-visit={booked.visit}]")).to_contain_text("Dr. Day")
