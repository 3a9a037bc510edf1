"""Before the last yes nothing of what was sent is kept, not even for who holds every key. And the test can fail."""

import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.faults.call import Call, call
from tests.faults.open_everything import open_everything
from tests.faults.sent_frames import SCRIPT, Sample, present_in, sampled, serve_worker
from tests.faults.server import Server

pytestmark = pytest.mark.browser

ENOUGH = 150  # frames sampled of each side before the check means anything


def test_before_the_last_yes_no_octet_of_a_sent_frame_is_kept(tmp_path: Path) -> None:
    with Server(tmp_path / "house") as house, call(house, script=SCRIPT, prepare=serve_worker) as held:
        one_yes_of_two(held)
        nothing_is_kept(held, tmp_path / "copy")
        last_yes = time.time()
        held.patient.page.click("#consent-yes")
        expect(held.patient.page.locator("#light[data-state=recording]")).to_be_visible()
        held.patient.page.wait_for_timeout(2000)
        held.clinician.page.click("#record")
        held.clinic.recording_in("sealed", 10)
        only_what_came_after_is_kept(held, tmp_path / "copy", last_yes)
        assert not held.errors


def test_a_build_that_records_from_the_question_on_fails_the_same_check(tmp_path: Path) -> None:
    early = Server(tmp_path / "house", main="tests.faults.early_build")
    with early as house, call(house, script=SCRIPT, prepare=serve_worker) as held:
        one_yes_of_two(held)
        with pytest.raises(AssertionError, match="sent frames are kept"):
            nothing_is_kept(held, tmp_path / "copy")


def one_yes_of_two(held: Call) -> None:
    """Both send, the question is put, one says yes, the other does not answer."""
    for who in (held.clinician, held.patient):
        who.wait_for("([n]) => window.sent.length > n", [ENOUGH], seconds=30)
    held.ask()
    held.clinician.page.click("#consent-yes")
    held.patient.page.wait_for_timeout(1500)
    expect(held.patient.page.locator("#consent-yes")).to_be_visible()


def nothing_is_kept(held: Call, copy: Path) -> None:
    """Open everything there is, and look for every frame that was sent."""
    frames = sent(held)
    house = held.clinic.house
    kept = open_everything(house, copy)
    found = present_in((one.octets for one in frames), kept.contents)
    assert not found, f"{len(found)} of {len(frames)} sent frames are kept"
    assert not kept.plain
    assert not list((house.folder / "recordings").glob("fil_*"))
    assert held.clinic.recordings() == []
    assert held.clinic.figure("media_legs") == 0


def only_what_came_after_is_kept(held: Call, copy: Path, last_yes: float) -> None:
    """The check finds frames where there are some; of those sent before the last yes there are none."""
    frames = sent(held)
    after = {one.octets for one in frames if one.wall >= last_yes}
    before = {one.octets for one in frames if one.wall < last_yes} - after  # what is sent again says nothing
    to_server = {one.octets for one in frames if one.leg}
    assert all(one.wall >= last_yes for one in frames if one.leg)
    assert len(before) > 2 * ENOUGH
    kept = open_everything(held.clinic.house, copy)
    assert len(present_in(to_server, kept.plain.values())) > len(to_server) / 2 > 30
    assert not present_in(to_server, kept.raw.values()), "in clear on disk"
    assert not present_in(before, kept.contents)


def sent(held: Call) -> list[Sample]:
    """What either page has sent so far."""
    frames = [one for page in held.pages for one in sampled(page)]
    assert len(frames) > 2 * ENOUGH
    return frames
