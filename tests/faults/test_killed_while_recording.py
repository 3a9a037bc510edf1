"""The server is killed in the middle of a recording: what was shown as recorded is kept, and nobody is cut off."""

import signal
import sqlite3
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.faults.call import Call, call
from tests.faults.server import Server
from tests.stories.house import House
from tests.stories.people import Person
from tests.stories.scenes import BLUE, FRAMES, RATE, READ_VIDEO, Track, decode, write_picture, write_tone

pytestmark = pytest.mark.browser

SEALED_WITHIN = 5.0  # seconds after the server answers again
LOST_AT_MOST = 1.0  # seconds before the kill
EARLIEST = -0.2  # a picture cannot be younger than the kill, but the camera's clock is read through a screen
LOOP = FRAMES / RATE
TONE = 500


def test_a_kill_while_recording_loses_a_second_at_most_and_cuts_nobody_off(tmp_path: Path) -> None:
    picture, tone = write_picture(tmp_path / "camera.y4m", BLUE), write_tone(tmp_path / "camera.wav", TONE)
    with Server(tmp_path) as house, call(house, picture=picture, tone=tone) as held:
        for page in held.pages:
            page.evaluate("() => { window.loaded = 'once'; }")
        held.record()
        clocks = {"clinician": frame_zero(held, "clinician"), "patient": frame_zero(held, "patient")}
        before = participants(house)
        held.clinician.page.wait_for_timeout(2000)
        lags = {role: lag(held, role, zero) for role, zero in clocks.items()}
        killed = time.time()
        assert house.stop(signal.SIGKILL) == -signal.SIGKILL
        held.goes_on(20)  # nobody answers on the server's ports meanwhile
        house.start()
        recording = held.clinic.recording_in("sealed", SEALED_WITHIN)
        assert recording["interrupted"] is True
        tracks = held.clinic.tracks(recording)
        assert set(tracks) == set(clocks)
        for role, webm in tracks.items():
            reaches_to_the_kill(decode(webm, (TONE,)), killed - clocks[role], lags[role])
        everybody_is_back(held)
        assert participants(house) == before
        assert all(page.evaluate("() => window.loaded") == "once" for page in held.pages)
        held.goes_on()
        assert house.command("audit", "verify")["exit"] == 0
        assert not held.errors


def reaches_to_the_kill(track: Track, since_zero: float, behind: float) -> None:
    """`since_zero`: seconds from the camera's frame 0 to the kill, modulo its loop. `behind`: the call's own lag."""
    last = next(seen.index for _, seen in reversed(track.pictures) if seen.index is not None)
    lost = (since_zero - last / RATE - EARLIEST) % LOOP + EARLIEST
    assert lost - behind <= LOST_AT_MOST, (lost, behind)
    assert track.pictures[-1][0] > 2.5
    assert abs(track.audio_seconds - track.pictures[-1][0]) < LOST_AT_MOST
    assert track.loudness[TONE] > 0


def everybody_is_back(held: Call) -> None:
    """Both sockets work: nobody is shown as recorded, and a new question reaches both and is answered by both."""
    for page in held.pages:
        expect(page.locator("#light")).to_be_hidden(timeout=10_000)
    held.record()
    held.clinician.page.click("#record")
    for page in held.pages:
        expect(page.locator("#light")).to_be_hidden(timeout=10_000)


def participants(house: House) -> list[tuple[str, str]]:
    """Everybody's id and state, as the database has them."""
    with sqlite3.connect(f"file:{house.folder / 'telehealth.db'}?mode=ro", uri=True) as connection:
        found = connection.execute("SELECT id, state FROM participants ORDER BY id").fetchall()
    connection.close()
    return found


def frame_zero(held: Call, role: str) -> float:
    """When, on the wall, this person's camera showed the frame numbered 0 (modulo the loop)."""
    return zero_in(held.clinician if role == "clinician" else held.patient, "#self")


def lag(held: Call, role: str, zero: float) -> float:
    """Seconds by which the other person sees this one later: what a busy machine takes to encode and send."""
    seen = zero_in(held.patient if role == "clinician" else held.clinician, "#far")
    return max(0.0, (seen - zero + LOOP / 2) % LOOP - LOOP / 2)


def zero_in(who: Person, video: str) -> float:
    """When, on the wall, the frame numbered 0 was in this picture (modulo the loop): the median of some looks."""
    began: list[float] = []
    while len(began) < 15:
        seen = who.page.locator(video).evaluate(READ_VIDEO)
        if seen and seen["index"] is not None:
            began.append(seen["wall"] / 1000 - seen["index"] / RATE)
        who.page.wait_for_timeout(25)
    shifted = sorted((one - began[0] + LOOP / 2) % LOOP - LOOP / 2 for one in began)
    return began[0] + shifted[len(shifted) // 2]
