"""What patients are told about what is kept: in their language and with the clinic's own terms."""

import pytest
from playwright.sync_api import expect

from tests.browser.clinic import PHONE, Clinic
from tests.browser.looking import Looker, words_missing

pytestmark = pytest.mark.browser
SETTINGS = {"PRIVACY__IDENTITY_DAYS": "90", "RECORDING__RETENTION_DAYS": "3650"}


@pytest.mark.parametrize(("language", "terms"), [("en", ("3 months", "10 years")), ("ar", ("3 شهرًا", "10 سنوات"))])
def test_a_patient_reads_what_is_kept_how_long_and_who_sees_it(
    at: Clinic, language: str, terms: tuple[str, str]
) -> None:
    patient = at.patient(**PHONE | {"locale": {"en": "en-GB", "ar": "ar-EG"}[language]})
    page, looker = patient.page, Looker(language)
    page.goto(at.book().url)
    page.wait_for_selector("#code")
    page.click("footer a[href='/privacy']")
    page.wait_for_url("**/privacy")
    expect(page.locator("main section")).to_have_count(5)
    for term in terms:
        expect(page.locator("main")).to_contain_text(term)
    expect(page.locator("footer")).to_have_count(0)
    looker("privacy", patient)
    assert words_missing(page.inner_text("body")) == []
    assert not looker.violations, "\n".join(looker.violations)
    page.go_back()
    page.wait_for_selector("#code")  # the link still stands in this browser
