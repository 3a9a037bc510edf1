"""The process that carries a call dies: the pages have each other again by themselves, and go on being recorded."""

import os
import signal
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.clinic import clinic
from tests.browser.outage import Pair
from tests.browser.test_turning import goes
from tests.faults.lost_worker import carrier

pytestmark = pytest.mark.browser


def test_both_see_and_hear_each_other_again_on_the_same_page_and_the_recording_goes_on(tmp_path: Path) -> None:
    with clinic(tmp_path, {"MEDIA__WORKERS": "1", "MEDIA__DIRECT": "never"}) as at:
        pair = Pair(at)
        pair.people[0].ask_to_record()
        for who in pair.people:
            who.page.click("#consent-yes")
        for who in pair.people:
            expect(who.page.locator("#light")).to_be_visible()
            who.page.evaluate("window.same = true")
        for _ in range(2):
            os.kill(carrier(at.house), signal.SIGKILL)
            pair.people[0].page.wait_for_timeout(1500)  # nobody is to take the last picture for a new one
            pair.perceive()
        for who in pair.people:
            goes(who, "relay settled")
            expect(who.page.locator("#light")).to_be_visible()
            assert who.page.evaluate("window.same")
        at.go_home()
