"""A call between two real browsers, set up without walking every page on the way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from tests.faults.clinic import Booked, Clinic
from tests.stories.house import House
from tests.stories.people import Patient, Staff, chromium


class Call:
    """A clinician and an admitted patient, each on their page."""

    def __init__(self, clinic: Clinic, visit: Booked, clinician: Staff, patient: Patient) -> None:
        self.clinic = clinic
        self.visit = visit
        self.clinician = clinician
        self.patient = patient

    @property
    def pages(self) -> tuple[Page, Page]:
        return self.clinician.page, self.patient.page

    def begin(self) -> None:
        """Waiting room, admission, picture both ways."""
        patient, clinician = self.patient.page, self.clinician.page
        patient.goto(f"{self.clinic.house.url}/join")
        self.patient.get_ready()
        clinician.goto(f"{self.clinic.house.url}/call/{self.visit.id}")
        clinician.click(".admit")
        for who in (self.clinician, self.patient):
            who.sees()

    def ask(self) -> None:
        """The clinician asks; both see the question."""
        self.clinician.ask_to_record()
        for page in self.pages:
            expect(page.locator("#consent-yes")).to_be_visible()

    def record(self) -> None:
        """Asked, agreed, and shown as recording to both."""
        self.ask()
        for page in self.pages:
            page.click("#consent-yes")
        for page in self.pages:
            expect(page.locator("#light[data-state=recording]")).to_be_visible(timeout=10_000)

    def goes_on(self, frames: int = 15) -> None:
        """Both go on decoding the other's picture."""
        for who in (self.clinician, self.patient):
            who.sees(frames, seconds=10)

    @property
    def errors(self) -> list[str]:
        return self.clinician.errors + self.patient.errors


@contextmanager
def call(
    house: House,
    *,
    script: str = "",
    prepare: Callable[[Page], None] = lambda page: None,
    picture: Path | None = None,
    tone: Path | None = None,
) -> Iterator[Call]:
    """A call that runs. `script`: runs first in both pages. `picture`, `tone`: both people's camera and microphone."""
    clinic = Clinic(house)
    visit = clinic.book()
    with sync_playwright() as playwright, chromium(playwright, picture, tone) as browser:
        people: dict[type, Any] = {}
        for kind, client in ((Staff, clinic.clinician), (Patient, clinic.verified(visit, details=False))):
            person = people[kind] = kind(browser, house.url, viewport={"width": 1000, "height": 700}, locale="en-GB")
            person.context.add_cookies(client.crumbs)
            prepare(person.page)
            person.page.add_init_script(script)
        held = Call(clinic, visit, people[Staff], people[Patient])
        try:
            held.begin()
            yield held
        except BaseException:
            for name, page in zip(("clinician", "patient"), held.pages, strict=True):
                page.screenshot(path=str(house.folder / f"failed-{name}.png"))
            raise
