"""Where the clinic says so no browser learns of another; where the relay cannot be had, two people still talk."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser.clinic import Clinic
from tests.browser.crowd import CLINICIAN, PATIENT, equipped_call, own_id, perceives
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
