"""Taking a recording out: the admin's export, and the copy that the patient asked for."""

import io
import json
from pathlib import Path

import av
import pyrage
import pytest
from playwright.sync_api import expect

from tests.browser.clinic import PHONE, Clinic
from tests.browser.looking import Looker
from tests.stories.people import Person, Staff

pytestmark = pytest.mark.browser

SETTINGS = {"EXPORT__ALLOW_PLAIN": "true"}
PASSPHRASE = "one two three four"


def decoded(data: bytes) -> tuple[int, int]:
    """Pictures and sound frames of a whole file."""
    with av.open(io.BytesIO(data)) as container:
        frames = [type(frame).__name__ for frame in container.decode()]
    return frames.count("VideoFrame"), frames.count("AudioFrame")


def recorded(at: Clinic) -> tuple[str, Person]:
    """A short recorded visit that has ended; the recording, and the patient on the last page of the visit."""
    booked = at.book()
    clinician, patient = at.call(booked)
    clinician.ask_to_record()
    for person in (clinician, patient):
        person.page.click("#consent-yes")
    for person in (clinician, patient):
        expect(person.page.locator("#light[data-state=recording]")).to_be_visible()
    patient.page.wait_for_timeout(1500)
    clinician.page.click("#end")
    clinician.page.click("#end-go")
    patient.page.wait_for_selector("[data-step=over]")
    sealed = at.send(at.admin, "GET", f"/recordings?visit={booked.visit}").json()["items"]
    while sealed[0]["state"] != "sealed":
        patient.page.wait_for_timeout(50)
        sealed = at.send(at.admin, "GET", f"/recordings?visit={booked.visit}").json()["items"]
    return sealed[0]["id"], patient


def in_arabic(who: Person) -> None:
    who.page.evaluate("() => localStorage.setItem('language', 'ar')")
    who.page.reload()


def export(admin: Staff, recording: str, looks: tuple[Looker, Looker]) -> bytes:
    """Made in the dialog, encrypted to a passphrase, downloaded."""
    page = admin.page
    page.click("#export")
    page.fill("#export-whom", "The district court, 1 Main Street")
    page.fill("#export-passphrase", PASSPHRASE)
    looks[0]("export-dialog", admin)
    page.click("#export-go")
    ready = page.locator("#exports [data-state=ready]")
    expect(ready).to_be_visible(timeout=30_000)
    looks[0]("export-ready", admin)
    with page.expect_download() as waiting:
        ready.locator("a").click()
    return Path(waiting.value.path()).read_bytes()


def approved(admin: Staff) -> tuple[str, str]:
    """The link and the code that the admin hands over, since this server cannot send."""
    page = admin.page
    page.click("#copies [data-state=asked] button.primary")
    page.click("#approve-go")
    expect(page.locator("#copies [data-state=ready]")).to_be_visible(timeout=30_000)
    page.click("#copies [data-state=ready] button >> nth=0")
    link = page.input_value("#copy-link")
    page.click("dialog button.primary")
    page.click("#copies [data-state=ready] button >> nth=1")
    code = page.text_content("#copy-code") or ""
    page.click("dialog button.primary")
    return link, code


def test_an_admin_exports_and_the_patient_gets_the_copy_they_asked_for(at: Clinic) -> None:
    english, arabic = looks = Looker("en"), Looker("ar")
    recording, patient = recorded(at)
    patient.page.click("[data-own]")
    expect(patient.page.locator("#own [role=status]")).to_contain_text("Asked for")
    english("own-copy", patient)
    admin = at.staff(at.admin_state)
    admin.page.goto(f"{at.house.url}/recordings/{recording}")
    film = pyrage.passphrase.decrypt(export(admin, recording, looks), PASSPHRASE)
    pictures, sounds = decoded(film)
    assert pictures > 10
    assert sounds > 50
    link, code = approved(admin)
    english("copies-ready", admin)
    at_home = at.patient(**PHONE)
    at_home.page.goto(link)
    at_home.page.wait_for_selector("[data-step=code]")
    assert "#" not in at_home.page.url
    english("copy-code", at_home)
    at_home.page.fill("#code", "000000" if code != "000000" else "111111")
    at_home.page.click("#go")
    expect(at_home.page.locator(".error")).to_contain_text("4")
    at_home.page.fill("#code", code)
    at_home.page.click("#go")
    at_home.page.wait_for_selector("[data-step=ready]")
    english("copy-ready", at_home)
    with at_home.page.expect_download() as waiting:
        at_home.page.click("#download")
    copy = Path(waiting.value.path()).read_bytes()
    expect(at_home.page.locator("[role=status]")).to_contain_text("Done")
    pictures, sounds = decoded(copy)
    assert pictures > 10
    assert sounds > 50
    in_arabic(at_home)
    at_home.page.wait_for_selector("[data-step=unknown]")
    arabic("copy-unknown", at_home)
    at_home.page.goto(link)
    at_home.page.wait_for_selector("[data-step=code]")
    arabic("copy-code", at_home)
    in_arabic(admin)
    expect(admin.page.locator("#exports .row").first).to_be_visible()
    admin.page.click("#export")
    admin.page.select_option("#export-protection", "plain")
    arabic("export-dialog", admin)
    admin.page.click("dialog button[type=button]")
    arabic("copies-ready", admin)
    assert not english.violations + arabic.violations, "\n".join(english.violations + arabic.violations)
    report = at.send(at.admin, "GET", f"/audit/entries?recording={recording}&limit=200").json()["items"]
    steps = [entry["action"] for entry in report]
    for step in ("recording.export", "recording.download", "copy.ask", "copy.approve", "copy.send", "copy.code"):
        assert step in steps, json.dumps(sorted(set(steps)))
