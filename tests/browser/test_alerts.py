"""Alerts on their page: the bell, taking one on, the week signed off; looked at in both languages."""

import pytest
from playwright.sync_api import expect

from tests.browser.clinic import DESK, Clinic
from tests.browser.looking import Looker, words_missing

pytestmark = pytest.mark.browser


def trouble(at: Clinic, language: str) -> None:
    """Somebody guesses at an account, and somebody becomes an admin."""
    context = at.browser.new_context()
    for _ in range(6):
        context.request.post(
            f"{at.house.url}/api/v1/session",
            data={"login": "day", "password": "a guess", "code": "000000"},
            headers={"Origin": at.house.url},
        )
    context.close()
    at.send(at.admin, "POST", "/users", name="Second Admin", login=f"second-{language}", role="admin")


@pytest.mark.parametrize("language", ["en", "ar"])
def test_an_alert_rings_the_bell_and_is_taken_on(at: Clinic, language: str) -> None:
    trouble(at, language)
    admin = at.staff(at.admin_state, **DESK | {"locale": {"en": "en-GB", "ar": "ar-EG"}[language]})
    page, looker = admin.page, Looker(language)
    page.goto(f"{at.house.url}/alerts")
    made = page.locator("li[data-rule=admin_made]").first
    for _ in range(20):  # the rules look twice a second
        page.wait_for_selector(".rows li, .empty:visible")
        if made.count():
            break
        page.reload()
    expect(page.locator("#bell .count")).to_be_visible()
    waiting = page.locator("ul.rows > li").count()
    expect(page.locator("#bell .count")).to_have_text(str(waiting))
    looker("alerts-open", admin)
    made.locator("button.primary").click()
    dialog = page.get_by_role("dialog")
    dialog.locator("textarea").fill("Agreed in the morning meeting")
    looker("alerts-acknowledge", admin)
    dialog.locator("button[type=submit]").click()
    expect(page.locator("ul.rows > li")).to_have_count(waiting - 1)
    page.click("#tab-past")
    expect(page.locator("li[data-rule=admin_made]").first).to_contain_text("Agreed in the morning meeting")
    looker("alerts-past", admin)
    page.locator("#tab-past").press("ArrowRight" if language == "en" else "ArrowLeft")
    expect(page.locator("#tab-review")).to_be_focused()
    page.wait_for_selector("#signature")
    looker("alerts-review", admin)
    assert words_missing(page.inner_text("body")) == []
    assert not looker.violations, "\n".join(looker.violations)


def test_the_last_week_is_signed_off_once(at: Clinic) -> None:
    admin = at.staff(at.admin_state)
    page = admin.page
    page.goto(f"{at.house.url}/alerts#review")
    page.locator("#signature textarea").fill("Quiet")
    page.locator("#signature button[type=submit]").click()
    expect(page.locator("#signature")).to_contain_text("Signed off")
    page.reload()
    expect(page.locator("#signature")).to_contain_text("Quiet")
    expect(page.locator("#signature button")).to_have_count(0)


def test_a_clinician_has_no_bell(at: Clinic) -> None:
    clinician = at.staff()
    clinician.page.goto(f"{at.house.url}/visits")
    clinician.page.wait_for_selector("#new-visit")
    expect(clinician.page.locator("#bell")).to_have_count(0)
    assert at.send(clinician, "GET", "/alerts").status == 403
