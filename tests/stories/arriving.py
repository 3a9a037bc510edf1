"""People get accounts, a visit is booked, the patient comes in by the link."""

from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect

from tests.stories.scenes import ORANGE, near
from tests.stories.telling import CANARY, Telling


class Arriving(Telling):
    """From the set-up link to the waiting room."""

    def people_enrol(self) -> None:
        with self.steps.step("the set-up link makes the first admin, with a second factor"):
            link = self.house.said(r"(http://\S+/setup#\S+)")
            self.admin.enrol(link, "correct horse battery staple", name="Site Administrator", login="admin")
            self.admin.page.wait_for_url("**/visits")
        with self.steps.step("the set-up link works once"):
            again = self.admin.context.new_page()
            again.goto(link)
            expect(again.get_by_role("alert")).to_be_visible()
            again.close()
        with self.steps.step("the admin invites a clinician, who enrols"):
            link = self.admin.add_person("Dr. Clinician", "clinician", "clinician")
            self.clinician.enrol(link, "another long enough sentence")
            self.clinician.page.wait_for_url("**/visits")
        self.look("visits-empty", self.clinician)
        self.patient.page.goto(self.house.url)
        self.patient.page.wait_for_selector("input[name=login]")
        self.look("sign-in", self.patient)

    def visit_is_booked(self) -> tuple[str, str]:
        with self.steps.step("the clinician books a visit and gets link and passcode, once"):
            link, passcode = self.clinician.book(CANARY)
            assert "#" in link
            assert len(passcode) >= 8
            row = self.clinician.page.locator("li.row", has_text=CANARY)
            self.visit = row.get_attribute("data-visit") or ""
            assert self.visit.startswith("vis_")
        self.look("visits", self.clinician)
        row.get_by_role("button").last.click()
        self.look("visits-edit", self.clinician)
        self.clinician.page.keyboard.press("Escape")
        row.get_by_role("button").first.click()
        self.look("visits-link", self.clinician)
        self.clinician.page.keyboard.press("Escape")
        return link, passcode

    def doors_that_stay_shut(self) -> None:
        page = self.patient.page
        with self.steps.step("an unknown link opens nothing and says what to do"):
            page.goto(f"{self.house.url}/join#{'x' * 43}")
            page.wait_for_selector("[data-step=unknown]")
        self.look("join-unknown", self.patient)
        with self.steps.step("an early one says when, in the patient's time zone"):
            soon = datetime.now(UTC) + timedelta(hours=5)
            booked = self.clinician.context.request.post(
                f"{self.house.url}/api/v1/visits",
                data={"patient": {"name": "Somebody Early"}, "scheduled_at": soon.isoformat(timespec="milliseconds")},
                headers={"Origin": self.house.url},
            ).json()
            page.goto("about:blank")
            page.goto(booked["link"]["url"])
            page.wait_for_selector("[data-step=early]")
        self.look("join-early", self.patient)
        page.goto("about:blank")

    def patient_enters(self, link: str, passcode: str) -> None:
        page = self.patient.page
        with self.steps.step("the patient opens the link: no name is shown, the secret leaves the address bar"):
            self.patient.open_link(link)
            assert "#" not in page.url
            assert CANARY not in page.content()
        self.look("join-code", self.patient)
        with self.steps.step("a wrong code is refused and counted"):
            self.patient.type_code("not-the-passcode")
            expect(page.locator("#code-error")).not_to_be_empty()
        self.look("join-code-wrong", self.patient)
        with self.steps.step("the right code opens the device check, with picture and level"):
            self.patient.type_code(passcode)
            page.wait_for_selector("#where")
            page.click("summary")
            self.patient.wait_for("() => document.querySelector('.preview video')?.videoWidth > 0")
            seen = self.patient.see(".preview video")
            assert seen is not None
            assert near(seen["colour"], ORANGE), seen
            self.patient.wait_for(
                "() => Number(document.querySelector('[role=meter]').getAttribute('aria-valuenow')) > 0"
            )
        self.look("join-devices", self.patient)
        with self.steps.step("the patient says where they are and waits"):
            self.patient.get_ready(where="Harbour Street 4", callback="+1 555 0100")
            page.wait_for_selector("#waiting-status")
        self.look("join-waiting", self.patient)
        with self.steps.step("the clinician's day shows who waits since when"):
            expect(self.clinician.page.locator("li.row.waiting")).to_have_count(1)
            assert self.clinician.page.title().startswith("(1)")
        self.look("visits-waiting", self.clinician)
