"""An admin reads the log: filter, story, report, paper; looked at in both languages."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from telehealth.audit import offline_verifier
from tests.browser.clinic import Booked, Clinic
from tests.browser.looking import SCREENSHOTS, Looker
from tests.stories.people import Staff

pytestmark = pytest.mark.browser
NAME = "Unmistakable Patientname"


@pytest.fixture(scope="module")
def visited(open_clinic: Clinic) -> Booked:
    """A visit that was looked at by an admin and a program, refused to an auditor, and came to an end."""
    at = open_clinic
    booked = at.book(NAME)
    at.call(booked)
    at.send(at.admin, "GET", f"/visits/{booked.visit}")
    at.send(at.admin, "POST", "/recordings/search", patient=NAME)
    at.send(at.desk, "POST", f"/visits/{booked.visit}/end")
    at.go_home()
    return booked


def admin(at: Clinic, language: str = "en") -> Staff:
    person = at.staff(at.admin_state)
    person.context.add_init_script(f"localStorage.setItem('language', '{language}')")
    return person


def asked_for(page: Page) -> None:
    page.wait_for_selector("tbody tr")


@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_log_is_filtered_told_and_reported(at: Clinic, visited: Booked, language: str) -> None:
    look, who = Looker(language), admin(at, language)
    page = who.page
    page.goto(f"{at.house.url}/audit")
    asked_for(page)
    look("audit", who)
    page.fill("input[name=patient]", NAME)
    page.select_option("select[name=action]", "admit")
    page.click("form button[type=submit]")
    expect(page.locator("tbody tr")).to_have_count(1)
    assert NAME not in page.url
    page.locator("tbody a").first.click()
    page.wait_for_selector(".story li")
    acts = page.locator(".story li").evaluate_all("(all) => all.map((one) => one.dataset.action)")
    wanted = ["visit.create", "link.issue", "link.open", "identity.verified", "join", "admit", "visit.end"]
    assert [acts.index(act) for act in wanted] == sorted(acts.index(act) for act in wanted)
    look("audit-story", who)
    page.goto(f"{at.house.url}/audit/report")
    page.fill("input[name=patient]", NAME)
    page.click("form button[type=submit]")
    seen = page.locator("section[data-meaning=seen] tbody tr")
    expect(seen.first).to_contain_text("Admin")
    assert "visit.read" in seen.evaluate_all("(all) => all.map((one) => one.dataset.action)")
    expect(seen.first).to_contain_text("127.0.0.1")
    look("audit-report", who)
    page.goto(f"{at.house.url}/audit/disclosures")
    page.wait_for_selector("article:not([hidden])")
    look("audit-disclosures", who)
    assert not look.violations, "\n".join(look.violations)


def test_an_answer_that_was_overtaken_is_not_shown(at: Clinic, visited: Booked) -> None:
    page, held = admin(at, "en").page, list[Route]()
    page.route("**/api/v1/audit/entries?*", lambda route: route.continue_() if held else held.append(route))
    page.goto(f"{at.house.url}/audit")
    page.fill("input[name=visit]", visited.visit)
    page.click("form button[type=submit]")
    rows = page.locator("tbody tr")
    expect(rows.filter(has_text=visited.visit).first).to_be_visible()
    others = rows.filter(has_not_text=visited.visit)
    expect(others).to_have_count(0)
    with page.expect_response(lambda one: "visit=" not in one.url) as late:
        held[0].continue_()
    assert {entry["visit"] for entry in late.value.json()["items"]} != {visited.visit}
    page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    expect(others).to_have_count(0)


def test_an_export_is_always_of_the_name_that_was_asked_for(at: Clinic, visited: Booked) -> None:
    page, names, exports = admin(at, "en").page, list[Route](), list[str]()

    def exported(route: Route) -> None:
        exports.append(route.request.url)
        route.fulfill(status=204)

    page.goto(f"{at.house.url}/audit")
    asked_for(page)
    page.route("**/api/v1/audit/patients", lambda route: names.append(route))
    page.route("**/api/v1/audit/export?*", exported)
    page.fill("input[name=patient]", NAME)
    for number in (1, 2):  # again, before the first is answered
        page.get_by_role("button", name="Export what is found").click()
        while len(names) < number:
            page.wait_for_timeout(20)
    for route in names:
        route.continue_()
    while len(exports) < 2:
        page.wait_for_timeout(20)
    assert all("patient=" in url for url in exports)


@pytest.mark.parametrize("language", ["en", "ar"])
def test_people_of_one_name_are_chosen_from_never_mixed(at: Clinic, visited: Booked, language: str) -> None:
    look, who = Looker(language), admin(at, language)
    page, shared = who.page, f"Shared Name {language}"
    people = [
        {"birth_date": "1980-02-29"},
        {"birth_date": "1941-03-17", "record": f"A-4711-{language}"},
        {"record": f"A-4712-{language}"},
    ]
    visits = [
        at.send(at.desk, "POST", "/visits", patient={"name": shared, **one}).json()["visit"]["id"] for one in people
    ]
    page.goto(f"{at.house.url}/audit/report")
    page.fill("input[name=patient]", shared)
    page.click("form button[type=submit]")
    expect(page.locator(".namesakes button")).to_have_count(3)
    look("audit-namesakes", who)
    with page.expect_response(lambda one: "/audit/report?" in one.url) as report:
        page.locator(".namesakes button", has_text="A-4711").click()
    expect(page.locator(".paper .whose")).to_contain_text("A-4711")
    assert {act["visit"] for act in report.value.json()["acts"] if act["visit"]} == {visits[1]}
    page.goto(f"{at.house.url}/audit")
    page.fill("input[name=patient]", shared)
    page.click("form button[type=submit]")
    which = page.locator("select[name=which]")
    expect(which.locator("option")).to_have_count(3)
    page.select_option(
        "select[name=which]", index=[one.count("A-4712") for one in which.locator("option").all_inner_texts()].index(1)
    )
    expect(page.locator("tbody tr", has_text=visits[2]).first).to_be_visible()
    expect(page.locator("tbody tr", has_text=visits[1])).to_have_count(0)
    look("audit-which", who)
    assert not look.violations, "\n".join(look.violations)


def test_the_report_on_paper_holds_everything_and_no_buttons(at: Clinic, visited: Booked, tmp_path: Path) -> None:
    page = admin(at).page
    page.goto(f"{at.house.url}/audit/report")
    page.fill("input[name=patient]", NAME)
    page.click("form button[type=submit]")
    page.wait_for_selector("section[data-meaning=seen]")
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    expect(page.locator("#print")).not_to_be_visible()
    expect(page.locator("nav").first).not_to_be_visible()
    expect(page.locator("section[data-meaning=took_part] tbody tr").first).to_be_visible()
    expect(page.locator(".paper .whose")).to_contain_text(NAME)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.set_viewport_size({"width": 794, "height": 1123})  # A4 at 96 dpi
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    page.screenshot(path=str(SCREENSHOTS / "audit-report-paper.png"))
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    page.emulate_media(media="screen")
    with page.expect_download() as download:
        page.click("#evidence")
    bundle = tmp_path / "evidence.json"
    download.value.save_as(bundle)
    key = at.house.command("audit", "verify")["key"]
    check = [sys.executable, offline_verifier.__file__, str(bundle), "--key", str(key)]
    assert subprocess.run(check, check=False).returncode == 0
    assert NAME not in json.dumps(json.loads(bundle.read_text()))


def test_what_is_found_is_taken_along(at: Clinic, visited: Booked) -> None:
    page = admin(at).page
    page.goto(f"{at.house.url}/audit")
    page.fill("input[name=visit]", visited.visit)
    page.select_option("select[name=format]", "csv")
    with page.expect_download() as download:
        page.click(".export-bar button:not([hidden])")
    assert visited.visit in Path(download.value.path()).read_text()
