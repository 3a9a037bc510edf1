"""Where no leg can be had two people talk on, browser to browser, and a recording says that it was cut short."""

import pytest
from playwright.sync_api import expect

from tests.browser.clinic import Clinic, deaf_to
from tests.browser.test_turning import goes

pytestmark = pytest.mark.browser


def test_a_call_goes_on_directly_when_the_relay_cannot_be_had(at: Clinic) -> None:
    patient = at.patient()
    patient.context.route_web_socket("**/socket.io/**", deaf_to("leg.offer"))
    clinician, patient = at.call(patient=patient)
    for who in (clinician, patient):
        goes(who, "direct settled")
    clinician.ask_to_record()
    for who in (clinician, patient):
        who.page.click("#consent-yes")
    for who in (clinician, patient):
        goes(who, "relay")
        who.sees()  # by the old way, until the new one stands
    for who in (clinician, patient):
        goes(who, "direct settled")
        expect(who.page.locator("#fault")).to_be_visible()
        expect(who.page.locator("#light")).to_be_hidden()
        who.sees()
