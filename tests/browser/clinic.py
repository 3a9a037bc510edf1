"""A clinic for behaviour tests: one server, one browser, people who sign in by API so that each test starts fast."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyotp
from playwright.sync_api import APIResponse, Browser, Error, Page, Playwright, WebSocketRoute, expect, sync_playwright

from tests.chromium import flags
from tests.stories.house import House
from tests.stories.people import Patient, Staff, chromium

DESK = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB"}
PHONE = {"viewport": {"width": 412, "height": 915}, "locale": "en-GB"}
# The page opens at the minute of the visit, so that "too early" is a matter of seconds.
SETTINGS = {"VISITS__EARLY_MINUTES": "0"}
# Chromium's second invented camera is a depth sensor; the third has colours again.
CAMERAS = flags("device-count=3,fps=20")


@dataclass(frozen=True, slots=True)
class Booked:
    """A visit and its first link."""

    visit: str
    link: str
    url: str
    passcode: str


class Clinic:
    """Books by API, opens pages; what it opened is closed by `go_home`."""

    def __init__(self, house: House, playwright: Playwright, browser: Browser) -> None:
        self.house = house
        self.playwright = playwright
        self.browser = browser
        self.present: list[Patient | Staff] = []
        self.admin_state = self._enrolled(house.said(r"(http://\S+/setup#\S+)"), "Admin", "admin")
        self.admin = self.staff(self.admin_state)
        invited = self.send(self.admin, "POST", "/users", name="Dr. Day", login="day", role="clinician").json()
        self.clinician_state = self._enrolled(invited["enrolment_url"])
        self.desk = self.staff(self.clinician_state)  # books; its page is free
        self.present.clear()

    def _enrolled(self, link: str, name: str = "", login: str = "") -> Any:
        """Do by API what the set-up page does; the cookies that come of it."""
        context = self.browser.new_context()
        headers = {"Origin": self.house.url}
        token = link.split("#")[1]
        offer = context.request.post(
            f"{self.house.url}/api/v1/enrolment", data={"token": token}, headers=headers
        ).json()
        names = {"name": name, "login": login} if name else {}
        code = pyotp.TOTP(offer["totp_secret"]).now()
        body = {"token": token, "password": "a sentence nobody would guess", "code": code} | names
        done = context.request.post(f"{self.house.url}/api/v1/enrolment/finish", data=body, headers=headers)
        assert done.ok, done.text()
        state = context.storage_state()
        context.close()
        return state

    def send(self, who: Staff, method: str, path: str, **body: object) -> APIResponse:
        """A request as a page would make it."""
        return who.context.request.fetch(
            f"{self.house.url}/api/v1{path}",
            method=method,
            headers={"Origin": self.house.url, "Content-Type": "application/json"},
            data=json.dumps(body) if body else None,
        )

    def book(self, name: str = "Pat Example", contact: str | None = None, **wishes: object) -> Booked:
        patient = {"name": name} | ({"contact": contact} if contact else {})
        answer = self.send(self.desk, "POST", "/visits", patient=patient, **wishes)
        assert answer.status == 201, answer.text()
        made = answer.json()
        link = made["link"]
        return Booked(made["visit"]["id"], link["id"], link["url"], link.get("passcode") or "")

    def invite(self, booked: Booked, role: str = "interpreter", name: str = "Ivy Interpreter") -> Booked:
        """A guest of a visit."""
        answer = self.send(self.desk, "POST", f"/visits/{booked.visit}/guests", role=role, name=name)
        assert answer.status == 201, answer.text()
        link = answer.json()["link"]
        return Booked(booked.visit, link["id"], link["url"], link.get("passcode") or "")

    def staff(self, state: Any = None, browser: Browser | None = None, **context: Any) -> Staff:
        """Somebody at a desk, signed in."""
        context = DESK | {"storage_state": state or self.clinician_state} | context
        person = Staff(browser or self.browser, self.house.url, **context)
        self.present.append(person)
        return person

    def patient(self, browser: Browser | None = None, **context: Any) -> Patient:
        person = Patient(browser or self.browser, self.house.url, **PHONE | context)
        self.present.append(person)
        return person

    def waiting(self, booked: Booked, patient: Patient | None = None) -> Patient:
        """A patient in the waiting room."""
        patient = patient or self.patient()
        patient.open_link(booked.url)
        patient.type_code(booked.passcode)
        patient.get_ready()
        patient.page.wait_for_selector("#waiting-status")
        return patient

    def opened(self, booked: Booked, **context: Any) -> Staff:
        """The clinician on the page of a visit."""
        clinician = self.staff(**context)
        clinician.page.goto(f"{self.house.url}/call/{booked.visit}")
        clinician.page.wait_for_selector(".controls")
        return clinician

    def call(self, booked: Booked | None = None, patient: Patient | None = None) -> tuple[Staff, Patient]:
        """A call that runs."""
        booked = booked or self.book()
        patient = self.waiting(booked, patient)
        clinician = self.opened(booked)
        clinician.page.click(".admit")
        patient.page.wait_for_selector(".controls")
        expect(clinician.page.locator("#location")).to_be_visible()
        return clinician, patient

    def entries(self, visit: str, action: str) -> list[dict[str, Any]]:
        """What the log holds of one visit."""
        found = self.send(self.admin, "GET", f"/audit/entries?visit={visit}&action={action}&limit=200").json()
        items: list[dict[str, Any]] = found["items"]
        return items

    def go_home(self) -> None:
        """Everybody leaves; no page may have thrown an error."""
        errors = [error for person in self.present for error in person.errors]
        for person in self.present:
            with suppress(Error):  # a page on its way elsewhere: Chromium may never close what holds it
                person.page.goto("about:blank")
            person.close()
        self.present.clear()
        assert not errors, errors


def own_address() -> str:
    """An address of this machine that is not loopback, where there is one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def deaf_to(event: str) -> Callable[[WebSocketRoute], None]:
    """A line that loses one kind of event on its way to the server."""

    def carry(line: WebSocketRoute) -> None:
        server = line.connect_to_server()
        line.on_message(lambda message: None if f'["{event}"' in str(message) else server.send(message))

    return carry


def reloaded(page: Page) -> None:
    """Reload, and be back in the call without asking."""
    page.reload()
    page.wait_for_selector(".controls")


@contextmanager
def clinic(folder: Path, settings: dict[str, str] | None = None) -> Iterator[Clinic]:
    with ExitStack() as stack:
        house = stack.enter_context(House(folder, SETTINGS | (settings or {})))
        playwright = stack.enter_context(sync_playwright())
        browser = stack.enter_context(chromium(playwright, flags=CAMERAS))
        yield Clinic(house, playwright, browser)
