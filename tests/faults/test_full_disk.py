"""The disk for recordings fills up during a visit: the recording ends aloud, the visit goes on."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.faults.call import call
from tests.faults.server import Server
from tests.stories.scenes import decode

pytestmark = pytest.mark.browser


def test_a_full_disk_stops_the_recording_with_an_alarm_and_leaves_the_call_alone(tmp_path: Path) -> None:
    with Server(tmp_path, main="tests.faults.full_disk_build") as house, call(house) as held:
        held.record()
        for page in held.pages:
            expect(page.locator("#fault")).to_contain_text("the server's disk is full", timeout=20_000)
            expect(page.locator("#fault")).to_be_visible()
            expect(page.locator("#light")).to_be_hidden()
        held.goes_on()
        assert {"alarm.recording_fault", "recording.fault"} <= house.events()
        faults = [line for line in house.logged() if line["event"] == "alarm.recording_fault"]
        assert [line["code"] for line in faults] == ["disk_full"], "one alarm, with its reason"
        assert held.clinic.figure("media_legs") == 0
        assert held.clinic.recordings()[0]["state"] in ("interrupted", "sealing")
        (tmp_path / "room").touch()
        recording = held.clinic.recording_in("sealed", 15)
        assert recording["interrupted"] is True
        assert recording["stop_reason"] in ("disk_full", "vault_full")
        for role, webm in held.clinic.tracks(recording).items():
            assert len(decode(webm, ()).pictures) > 5, role
        held.record()
        held.goes_on()
        assert house.command("audit", "verify")["exit"] == 0
        assert not held.errors
