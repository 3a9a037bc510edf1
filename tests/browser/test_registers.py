"""Registers on their page: three tabs, added to and changed, read by an auditor; looked at in both languages."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.browser.clinic import DESK, Clinic
from tests.browser.looking import Looker, words_missing

pytestmark = pytest.mark.browser


def day(offset: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=offset)).isoformat()


@pytest.mark.parametrize("language", ["en", pytest.param("ar", marks=pytest.mark.slow)])
def test_three_registers_are_kept_on_one_page(at: Clinic, language: str) -> None:
    admin = at.staff(at.admin_state, **DESK | {"locale": {"en": "en-GB", "ar": "ar-EG"}[language]})
    page, looker = admin.page, Looker(language)
    at.send(admin, "POST", "/registers/associates", name="Cloud Host", service="Backups", review_on=day(-3))
    at.send(
        admin,
        "POST",
        "/registers/findings",
        title="Old cipher",
        severity="high",
        found_on=day(-9),
        owner="IT",
        due_on=day(5),
    )
    page.goto(f"{at.house.url}/registers")
    page.wait_for_selector("#items .row")
    looker("registers-associates", admin)
    page.click("#tab-incidents")
    page.click("#add-item")
    dialog = page.get_by_role("dialog")
    dialog.locator("[name=title]").fill("Lost phone")
    dialog.locator("[name=discovered_on]").fill(day(-50))
    dialog.locator("[name=people]").fill("3")
    looker("registers-add-incident", admin)
    page.click("#save-item")
    row = page.locator("#items .row", has_text="Lost phone").first
    expect(row.locator(".chip.warn").last).to_contain_text("10")
    looker("registers-incidents", admin)
    row.get_by_role("button").click()
    dialog.locator("[name=assessment]").select_option("breach")
    dialog.locator("[name=closed_on]").fill(day(0))
    page.click("#save-item")
    expect(page.locator(".message[data-code=notices_owed]").first).to_be_visible()
    row.get_by_role("button").click()
    dialog.locator("[name=assessment]").select_option("no_breach")
    dialog.locator("[name=closed_on]").fill(day(0))
    page.click("#save-item")
    expect(row.locator(".chip.warn")).to_have_count(0)
    page.locator("#tab-incidents").press("ArrowRight" if language == "en" else "ArrowLeft")
    page.wait_for_selector("#items .row")
    looker("registers-findings", admin)
    with page.expect_download() as left:
        page.click("a[download='findings.csv']")
    assert left.value.suggested_filename == "findings.csv"
    assert words_missing(page.inner_text("body")) == []
    assert "registers." not in page.inner_text("main")
    assert not looker.violations, "\n".join(looker.violations)
