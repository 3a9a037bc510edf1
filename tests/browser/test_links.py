"""Scanners that open links, links that were lost, answers that are confirmed, faces that are compared."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.clinic import Clinic
from tests.browser.looking import Looker
from tests.browser.scanning import scan
from tests.browser.test_codes import MAIL_PORT, SETTINGS, Message, digits, letters, parts, queue, texts

__all__ = ["SETTINGS", "letters", "texts"]
pytestmark = pytest.mark.browser


def test_a_scanner_uses_nothing_up_and_keeps_nobody_out(at: Clinic) -> None:
    booked = at.book("Sca Nned", "sca@patients.example", channel="spoken")
    patient = at.patient()
    patient.open_link(booked.url)
    scan(at, booked, 100)
    visit = at.send(at.admin, "GET", f"/visits/{booked.visit}").json()
    assert visit["links"][0]["tries_left"] == 5
    assert visit["links"][0]["state"] == "live"
    assert at.entries(booked.visit, "identity.verified") == []
    assert at.entries(booked.visit, "join") == []
    clinician = at.staff()
    clinician.page.goto(f"{at.house.url}/visits")
    code = clinician.page.locator(".note .big-clock")
    expect(code).to_have_count(1)  # the scanner pressed the button too: the code is on the clinician's page alone
    patient.type_code(code.text_content() or "")  # and the page that was open before the scanner still passes
    patient.page.wait_for_selector("#where")


@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_lost_link_is_sent_once_more_and_the_page_says_the_same_to_strangers(
    at: Clinic, letters: "queue.Queue[Message]", language: str
) -> None:
    mail = f"lost-{language}@patients.example"
    booked = at.book("Lo St", mail, channel="email")
    look, said = Looker(language), []
    for contact in ("nobody@patients.example", mail):
        person = at.patient(locale=language)
        page = person.page
        page.goto(f"{at.house.url}/join#{'x' * 43}")
        page.wait_for_selector("[data-step=unknown] #lost")
        look("join-lost", person)
        page.fill("#lost-contact", contact)
        page.click("#lost-go")
        page.wait_for_selector("#lost-sent")
        look("join-lost-sent", person)
        said.append(page.locator("main").inner_text())
    assert said[0] == said[1]
    link = next(word for word in parts(letters.get(timeout=10))["text/plain"].split() if "/join#" in word)
    assert link != booked.url
    patient = at.patient(locale=language)
    patient.open_link(link)
    look("join-confirm", patient)
    patient.page.click("#send-code")
    code = digits(parts(letters.get(timeout=10))["text/plain"])
    patient.page.fill("#confirm", "XY")
    patient.type_code(code)
    expect(patient.page.locator("#code-error")).not_to_be_empty()
    look("join-confirm-wrong", patient)
    patient.page.fill("#confirm", "ls")
    patient.type_code(code)
    patient.page.wait_for_selector("#where")
    opened = [entry for entry in at.entries(booked.visit, "link.reissue") if entry["outcome"] == "done"]
    assert len(opened) == 1
    assert look.violations == []


def compare(page: Page) -> None:
    page.check("#identity input[name=photo_document]")
    page.select_option("#identity-document", "passport")
    page.check("#identity input[name=birth_date]")


def test_nothing_is_recorded_before_the_clinician_has_compared_the_face(at: Clinic) -> None:
    booked = at.book("Hi Gh", assurance="high")
    clinician, patient = at.call(booked)
    look = Looker("en")
    desk = clinician.page
    expect(desk.locator("#identity .note.warn")).to_be_visible()
    expect(desk.locator("#record")).to_be_disabled()
    expect(patient.page.locator(".call-tell")).to_contain_text("checking that it is you")
    look("call-identity", clinician)
    desk.check("#identity input[name=birth_date]")
    desk.click("#identity-same")
    expect(desk.locator("#identity .error")).to_contain_text("how you know the face")
    desk.click("#identity-unsure")
    expect(desk.locator("#identity .note.danger")).to_be_visible()
    expect(desk.locator("#record")).to_be_disabled()
    compare(desk)
    desk.click("#identity-same")
    expect(desk.locator("#identity .note")).to_contain_text("it is the patient")
    expect(desk.locator("#record")).to_be_enabled()
    look("call-identity-done", clinician)
    entered = at.entries(booked.visit, "identity.seen")
    assert [entry["detail"]["outcome"] for entry in entered if entry["outcome"] == "done"] == [
        "same",
        "unsure",
    ]  # newest first
    assert look.violations == []


def test_the_clinic_asks_its_own_question(at: Clinic) -> None:
    desk = at.staff()
    desk.page.goto(f"{at.house.url}/visits")
    desk.page.click("#new-visit")
    desk.page.fill("dialog input[name=name]", "Qu Estion")
    desk.page.select_option("dialog select[name=confirm]", "question")
    desk.page.fill("dialog input[name=question]", "Which street was our first visit in?")
    desk.page.fill("dialog input[name=answer]", "Lindengasse")
    look = Looker("en")
    look("visits-book-question", desk)
    desk.page.click("dialog button[type=submit]")
    url, passcode = desk.page.input_value("#link-url"), desk.page.input_value("#link-passcode")
    patient = at.patient()
    patient.open_link(url)
    expect(patient.page.locator("form")).to_contain_text("Which street was our first visit in?")
    patient.page.fill("#confirm", "lindengasse ")
    patient.type_code(passcode)
    patient.page.wait_for_selector("#where")
    assert look.violations == []
    assert MAIL_PORT
