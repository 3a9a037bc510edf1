"""The network is gone for a while: the page notices that nothing comes, and sound and picture come back with it."""

from pathlib import Path

import pytest

from tests.browser.outage import STEADY, Pair, cabled

pytestmark = pytest.mark.browser

COUNT_RESTARTS = """window.restarts = 0;
window.RTCPeerConnection = class extends RTCPeerConnection {
  restartIce() { window.restarts += 1; return super.restartIce(); }
};"""


def test_a_leg_on_which_nothing_comes_is_restarted_and_the_call_goes_on(tmp_path: Path) -> None:
    with cabled(tmp_path) as (at, cable):
        pair = Pair(at, COUNT_RESTARTS)
        cable.pulled = True
        for who in pair.people:
            who.wait_for("() => window.restarts > 0")
        cable.pulled = False
        pair.perceive()
        at.go_home()


@pytest.mark.slow
def test_after_ten_seconds_without_a_network_both_hear_and_see_each_other_on_the_same_page(tmp_path: Path) -> None:
    with cabled(tmp_path) as (at, cable):
        pair = Pair(at)
        for recovered in pair.after(cable, 10):  # how soon: benchmarks/media_page.py
            assert recovered < STEADY - 1
        pair.perceive()
        at.go_home()
