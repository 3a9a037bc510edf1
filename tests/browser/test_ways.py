"""Where the clinic says so no browser learns of another; where the relay cannot be had, two people still talk."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser.clinic import Clinic
from tests.browser.crowd import CLINICIAN, GUEST, PATIENT, SMALL, comes, equip, equipped_call, own_id, perceives
from tests.browser.test_turning import goes

pytestmark = pytest.mark.browser

SETTINGS = {"MEDIA__DIRECT": "never"}

# Every address a page is told of, whoever tells it.
KEEP_CANDIDATES = """window.told = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  setRemoteDescription(description) {
    window.told.push(...(description.sdp.match(/^a=candidate:.*$/gm) ?? []));
    return super.setRemoteDescription(description);
  }
  addIceCandidate(candidate) { window.told.push(candidate?.candidate ?? ""); return super.addIceCandidate(candidate); }
};"""

# A machine that holds its breath for two seconds has ICE restarted; that is an offer of its own.
COUNT_OFFERS = """window.offered = 0;
window.restarted = 0;
window.RTCPeerConnection = class extends RTCPeerConnection {
  restartIce() { window.restarted += 1; super.restartIce(); }
  setLocalDescription(...given) { window.offered += 1; return super.setLocalDescription(...given); }
};"""


def test_where_direct_is_forbidden_two_see_and_hear_each_other_and_learn_no_address(at: Clinic) -> None:
    clinician, patient = equipped_call(at, scripts=(KEEP_CANDIDATES,))
    ids = own_id(clinician), own_id(patient)
    for who, other, look in ((clinician, ids[1], PATIENT), (patient, ids[0], CLINICIAN)):
        goes(who, "relay settled")
        perceives(who, other, look)
        told = who.page.evaluate("() => window.told")
        assert told
        assert {one.split()[5] for one in told} == {str(at.house.media_port)}, json.dumps(told)
        expect(who.page.locator(".protect")).to_contain_text("to the clinic's server")


def test_who_comes_and_goes_and_shares_costs_the_others_no_offer(at: Clinic) -> None:
    booked = at.book()
    clinician, patient = equipped_call(at, booked, scripts=(COUNT_OFFERS,))
    for who in (clinician, patient):
        goes(who, "relay settled")
    guest = comes(at, at.invite(booked), equip(at.patient(**SMALL), GUEST))
    clinician.page.click(".admit")
    for _ in range(2):
        guest.page.wait_for_selector(".controls")
        seen = own_id(guest)
        for who in (clinician, patient):
            perceives(who, seen, GUEST)
        guest.page.click("#cam")
        guest.page.click("#cam")
        guest.page.click("#share")
        guest.page.click("#share-go")
        for who in (clinician, patient):
            expect(who.page.locator("#far-screen")).to_be_visible()
        guest.page.reload()
    guest.page.wait_for_selector(".controls")
    guest.page.click("#leave")
    for who in (clinician, patient):
        expect(who.page.locator(".tile")).to_have_count(1)
        offered, restarted = who.page.evaluate("() => [window.offered, window.restarted]")
        assert 1 <= offered <= 1 + restarted
