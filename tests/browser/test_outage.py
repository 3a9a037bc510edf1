"""The network is gone for a while: the page notices that nothing comes, and both are back when it is back."""

import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.browser.clinic import clinic
from tests.browser.rebinding import Router
from tests.browser.test_turning import goes
from tests.partners.process import free_port

pytestmark = pytest.mark.browser

COUNT_RESTARTS = """window.restarts = 0;
window.RTCPeerConnection = class extends RTCPeerConnection {
  restartIce() { window.restarts += 1; return super.restartIce(); }
};"""


class Cable(Router):
    """A router whose cable may be pulled."""

    pulled = False

    def _pass(self, ready: socket.socket) -> None:
        if not self.pulled:
            super()._pass(ready)
            return
        with suppress(OSError):
            ready.recvfrom(2048)


def test_a_leg_on_which_nothing_comes_is_restarted_and_the_call_goes_on(tmp_path: Path) -> None:
    port = free_port()
    settings = {
        "MEDIA__DIRECT": "never",
        "MEDIA__HOST": "127.0.0.2",
        "MEDIA__PUBLIC_ADDRESSES": "127.0.0.1",
        "MEDIA__PORT": str(port),
        "MEDIA__TCP": "false",
    }
    with ExitStack() as stack:
        cable = Cable(("127.0.0.1", port), ("127.0.0.2", port))
        stack.callback(cable.close)
        at = stack.enter_context(clinic(tmp_path, settings))
        patient = at.patient()
        patient.context.add_init_script(COUNT_RESTARTS)
        clinician, patient = at.call(patient=patient)
        for who in (clinician, patient):
            goes(who, "relay settled")
            who.sees()
        cable.pulled = True
        patient.wait_for("() => window.restarts > 0")
        cable.pulled = False
        for who in (clinician, patient):
            who.sees()
        at.go_home()
