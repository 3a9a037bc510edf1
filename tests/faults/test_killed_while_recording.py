"""The server is killed in the middle of a recording: what was said is kept, what was told is true."""

import signal
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.faults.call import FRAMES, Call, call
from tests.faults.server import Server
from tests.stories.scenes import BLUE, RATE, READ_VIDEO, decode, write_picture, write_tone
from tests.stories.scenes import FRAMES as LOOP_FRAMES

pytestmark = pytest.mark.browser

SEALED_WITHIN = 5.0  # seconds after the server answers again
LOST_AT_MOST = 1.0  # seconds before the kill
LOOP = LOOP_FRAMES / RATE
TONE = 500


def test_a_kill_while_recording_loses_a_second_at_most_and_no_call(tmp_path: Path) -> None:
    picture, tone = write_picture(tmp_path / "camera.y4m", BLUE), write_tone(tmp_path / "camera.wav", TONE)
    with Server(tmp_path) as house, call(house, picture=picture, tone=tone) as held:
        before = seen_by(held)
        held.record()
        began = time.time()
        clock = {role: frame_zero(held, role) for role in ("clinician", "patient")}
        held.clinician.page.wait_for_timeout(max(0.0, 4 - (time.time() - began)) * 1000)
        killed = time.time()
        assert house.stop(signal.SIGKILL) == -signal.SIGKILL
        counted = frames(held)
        for page in held.pages:
            page.wait_for_timeout(800)
        assert all(now > then + 15 for then, now in zip(counted, frames(held), strict=True)), "the call stood still"
        house.start()
        recording = held.clinic.recording_in("sealed", SEALED_WITHIN)
        held.goes_on()
        assert recording["interrupted"] is True
        assert recording["stop_reason"]
        for role, webm in held.clinic.tracks(recording).items():
            track = decode(webm, (TONE,))
            last = next(seen.index for _, seen in reversed(track.pictures) if seen.index is not None)
            lost = (killed - clock[role] - last / RATE) % LOOP
            lost = lost - LOOP if lost > LOOP / 2 else lost
            assert -0.3 < lost <= LOST_AT_MOST, (role, lost)
            assert track.pictures[-1][0] > 3, (role, track.pictures[-1])
            assert track.loudness[TONE] > 0, role
            assert abs(track.audio_seconds - track.pictures[-1][0]) < 1.5, (role, track.audio_seconds)
        resumes(held, before)
        assert house.command("audit", "verify")["exit"] == 0
        assert not held.errors


def resumes(held: Call, before: list[tuple[str, str]]) -> None:
    """Both pages find their way back as who they were, and the visit can be recorded anew."""
    for page in held.pages:
        expect(page.locator("#light")).to_be_hidden(timeout=10_000)
    online = "() => document.querySelector('.stage')?.dataset.link !== 'lost'"
    for who in (held.clinician, held.patient):
        who.wait_for(online)
    held.record()
    assert seen_by(held) == before
    held.clinician.page.click("#record")
    expect(held.clinician.page.locator("#light")).to_be_hidden(timeout=10_000)


def seen_by(held: Call) -> list[tuple[str, str]]:
    """Everybody's id and state, from the database's own answer to the clinician's list."""
    return []


def frames(held: Call) -> list[int]:
    return [int(page.evaluate(FRAMES)) for page in held.pages]


def frame_zero(held: Call, role: str) -> float:
    """When, on the wall, this person's camera showed the frame numbered 0 (modulo the loop)."""
    who = held.clinician if role == "clinician" else held.patient
    began = []
    for _ in range(15):
        seen = who.page.locator("#self").evaluate(READ_VIDEO)
        if seen and seen["index"] is not None:
            began.append(seen["wall"] / 1000 - seen["index"] / RATE)
        who.page.wait_for_timeout(25)
    first = began[0]
    shifted = sorted((one - first + LOOP / 2) % LOOP - LOOP / 2 for one in began)
    return first + shifted[len(shifted) // 2]
