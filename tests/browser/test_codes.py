"""The code reaches the patient by text message, e-mail or telephone; links are re-issued and revoked."""

import json
import queue
import re
import threading
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from playwright.sync_api import expect

from tests.browser.clinic import Booked, Clinic
from tests.partners.process import free_port

pytestmark = pytest.mark.browser

SMS_PORT, MAIL_PORT = free_port(), free_port()
SETTINGS = {
    "SMS__URL": f"http://127.0.0.1:{SMS_PORT}/send",
    "MAIL__HOST": "127.0.0.1",
    "MAIL__PORT": str(MAIL_PORT),
    "MAIL__SENDER": "clinic@clinic.example",
    "MAIL__SECURITY": "none",
}
PHONE = "+43 699 12345678"


@pytest.fixture(scope="module")
def texts() -> Iterator["queue.Queue[dict[str, Any]]"]:
    """What the gateway was given."""
    taken: queue.Queue[dict[str, Any]] = queue.Queue(maxsize=100)

    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", SMS_PORT), Gateway)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield taken
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def letters() -> Iterator["queue.Queue[Message]"]:
    """What the mail server took."""
    taken: queue.Queue[Message] = queue.Queue(maxsize=100)

    class Letterbox:
        async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:
            taken.put_nowait(message_from_bytes(envelope.content))
            return "250 OK"

    controller = Controller(Letterbox(), hostname="127.0.0.1", port=MAIL_PORT)
    controller.start()
    yield taken
    controller.stop()


def digits(text: str) -> str:
    found = re.search(r"\b(\d{6,8})\b", text)
    assert found, text
    return found.group(1)


def parts(letter: Message) -> dict[str, str]:
    """Text of every part by its type."""
    found = {}
    for part in letter.walk():
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            found[part.get_content_type()] = payload.decode()
    return found


def test_a_code_by_text_message_opens_the_door(at: Clinic, texts: "queue.Queue[dict[str, Any]]") -> None:
    booked = at.book("Tex Tmessage", PHONE, channel="sms")
    patient = at.patient()
    patient.open_link(booked.url)
    assert texts.empty()  # nothing is sent before the patient asks
    patient.page.click("#send-code")
    sent = texts.get(timeout=10)
    assert sent["to"] == "+4369912345678"
    assert "Tmessage" not in sent["text"]
    expect(patient.page.locator("#send-code")).to_contain_text("Sent.")
    patient.page.fill("#confirm", "T. T.")
    patient.type_code(digits(sent["text"]))
    patient.page.wait_for_selector("#where")


def test_link_and_code_by_e_mail_with_a_calendar_file(at: Clinic, letters: "queue.Queue[Message]") -> None:
    booked = at.book("Ema Ilpatient", "ema@patients.example", channel="email", send="email")
    invitation = letters.get(timeout=10)
    said = parts(invitation)
    assert booked.url in said["text/plain"].replace("\r\n", "\n")
    assert "BEGIN:VCALENDAR" in said["text/calendar"]
    assert "Ilpatient" not in str(said)
    patient = at.patient()
    patient.open_link(booked.url)
    patient.page.click("#send-code")
    patient.page.fill("#confirm", "ei")
    patient.type_code(digits(parts(letters.get(timeout=10))["text/plain"]))
    patient.page.wait_for_selector("#where")


def test_a_spoken_code_stands_on_the_clinicians_page_until_it_is_used(at: Clinic) -> None:
    booked = at.book("Spo Ken", channel="spoken")
    clinician, patient = at.staff(), at.patient()
    clinician.page.goto(f"{at.house.url}/visits")
    clinician.page.wait_for_selector(f"li[data-visit={booked.visit}]")
    patient.open_link(booked.url)
    patient.page.click("#send-code")
    code = clinician.page.locator(".note .big-clock")
    expect(code).to_have_text(re.compile(r"^\d{6,8}$"))
    expect(clinician.page.locator(".note")).to_contain_text("Spo Ken")
    patient.type_code(code.text_content() or "")
    patient.page.wait_for_selector("#where")
    expect(code).to_have_count(0)


def test_a_new_link_puts_out_whoever_holds_the_old_one(at: Clinic) -> None:
    booked = at.book()
    old = at.waiting(booked)
    clinician = at.staff()
    clinician.page.goto(f"{at.house.url}/visits")
    row = clinician.page.locator(f"li[data-visit={booked.visit}]")
    row.get_by_role("button", name="Link").click()
    clinician.page.get_by_role("button", name="Make a new link").click()
    url, passcode = clinician.page.input_value("#link-url"), clinician.page.input_value("#link-passcode")
    expect(old.page.locator("[data-step=over]")).to_contain_text("no longer works")
    fresh = at.waiting(Booked(booked.visit, "", url, passcode))
    expect(fresh.page.locator("#waiting-status")).to_be_visible()


def test_a_revoked_link_closes_the_call_and_the_page_says_so(at: Clinic) -> None:
    booked = at.book()
    clinician, patient = at.call(booked)
    desk = at.staff()
    desk.page.goto(f"{at.house.url}/visits")
    desk.page.locator(f"li[data-visit={booked.visit}]").get_by_role("button", name="Link").click()
    desk.page.get_by_role("button", name="Revoke").click()
    expect(desk.page.get_by_role("dialog").get_by_role("status")).to_contain_text("revoked")
    expect(patient.page.locator("[data-step=over]")).to_contain_text("no longer works")
    expect(clinician.page.locator("#location")).to_have_count(0)
    patient.page.goto("about:blank")
    patient.page.goto(booked.url)
    patient.page.wait_for_selector("[data-step=unknown]")
