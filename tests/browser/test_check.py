"""The page /check says which way to the server works, in networks that let through less and less."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.clinic import CAMERAS, Clinic, clinic
from tests.browser.firewall import NO_UDP, TRUSTING
from tests.browser.looking import Looker, words_missing
from tests.chromium import WHOLE
from tests.partners.coturn import Coturn
from tests.stories.people import Patient, chromium

pytestmark = pytest.mark.browser
OUTCOMES = """() => Object.fromEntries([...document.querySelectorAll("[data-check]")]
  .map((row) => [row.dataset.check, row.dataset.outcome]))"""


@pytest.fixture(scope="module")
def coturn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn]:
    made = Coturn(tmp_path_factory.mktemp("coturn"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def open_clinic(coturn: Coturn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with clinic(tmp_path_factory.mktemp("clinic"), coturn.settings) as opened:
        yield opened


@contextmanager
def behind(at: Clinic, *flags: str) -> Iterator[Browser]:
    with chromium(at.playwright, flags=[*CAMERAS, TRUSTING, *flags], program=WHOLE) as browser:
        yield browser


def ran(page: Page, at: Clinic) -> dict[str, str]:
    """Run the test to its end; how each line ended."""
    page.goto(f"{at.house.url}/check")
    page.click("#start")
    page.wait_for_selector("[data-step=done]", timeout=40_000)
    assert words_missing(page.inner_text("body")) == []
    outcomes: dict[str, str] = page.evaluate(OUTCOMES)
    return outcomes


def verdict(page: Page) -> tuple[str | None, str | None]:
    said = page.locator("#verdict [data-verdict]")
    return said.get_attribute("data-verdict"), said.get_attribute("data-by")


def invited(at: Clinic, browser: Browser | None = None, **context: object) -> Patient:
    """A patient's browser that opened its link, and has the code still before it."""
    patient = at.patient(browser, **context)
    patient.open_link(at.book().url)
    return patient


@pytest.mark.parametrize("language", ["en", pytest.param("ar", marks=pytest.mark.slow)])
def test_in_an_open_network_everything_works_and_the_fast_way_is_taken(at: Clinic, language: str) -> None:
    looker = Looker(language)
    with behind(at) as browser:
        patient = invited(at, browser, locale={"en": "en-GB", "ar": "ar-EG"}[language])
        patient.page.goto(f"{at.house.url}/check")
        patient.page.wait_for_selector("#start")
        looker("check-begin", patient)
        found = ran(patient.page, at)
        assert found == dict.fromkeys(("microphone", "camera", "server", "udp", "tcp", "turn", "turns"), "works")
        assert verdict(patient.page) == ("good", "udp")
        looker("check-done", patient)
        at.go_home()
    assert not looker.violations, "\n".join(looker.violations)


def test_a_stranger_is_told_what_was_not_tested(at: Clinic) -> None:
    stranger = at.patient()
    found = ran(stranger.page, at)
    assert (found["udp"], found["turn"], found["turns"]) == ("works", "unasked", "unasked")


def test_where_udp_is_blocked_tcp_is_found_and_said(at: Clinic) -> None:
    with behind(at, NO_UDP) as browser:
        patient = invited(at, browser)
        found = ran(patient.page, at)
        assert (found["udp"], found["tcp"], found["turn"], found["turns"]) == ("fails", "works", "works", "works")
        assert verdict(patient.page) == ("detour", "tcp")
        expect(patient.page.locator("[data-tip=detour]")).to_be_visible()
        Looker("en")("check-detour", patient)
        at.go_home()


def test_the_code_that_is_read_out_tells_staff_the_same(at: Clinic) -> None:
    with behind(at, NO_UDP) as browser:
        patient = invited(at, browser)
        ran(patient.page, at)
        code = patient.page.inner_text("#support-code")
        at.go_home()
    page = at.staff().page
    page.goto(f"{at.house.url}/check")
    page.click("summary")
    page.fill("#spoken", code.lower().replace("-", " "))
    expect(page.locator("#decoded [data-verdict]")).to_have_attribute("data-verdict", "detour")
    expect(page.locator("#decoded [data-check=udp]")).to_have_attribute("data-outcome", "fails")
    expect(page.locator("#decoded [data-check=tcp]")).to_have_attribute("data-outcome", "works")
    page.fill("#spoken", "7777-7777")
    expect(page.locator("#decoded .error")).to_be_visible()


def test_a_microphone_that_is_not_allowed_is_told_and_the_ways_are_tested_all_the_same(at: Clinic) -> None:
    patient = invited(at, permissions=[])
    patient.page.add_init_script(
        "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotAllowedError'); };"
    )
    found = ran(patient.page, at)
    assert (found["microphone"], found["camera"], found["udp"]) == ("blocked", "blocked", "works")
    assert verdict(patient.page) == ("listen", "udp")
    expect(patient.page.locator("[data-tip='microphone.blocked']")).to_be_visible()


def test_nothing_of_a_test_stays_on_the_server(at: Clinic) -> None:
    with behind(at) as browser:
        patient = invited(at, browser)
        ran(patient.page, at)
        code = patient.page.inner_text("#support-code")
        gone = "async () => /^telehealth_media_legs 0/m.test(await (await fetch('/metrics')).text())"
        patient.wait_for(gone)
        at.go_home()
    assert not any(code.encode() in content for _, content in at.house.files())
