"""The server is killed in the middle of a recording: what was shown as recorded is kept, and nobody is cut off."""

import signal
import sqlite3
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.faults.call import Call, call
from tests.faults.sent_frames import SCRIPT, Sample, present_in, sampled, serve_worker
from tests.faults.server import Server
from tests.stories.house import House
from tests.stories.scenes import BLUE, Track, decode, write_picture, write_tone

pytestmark = pytest.mark.browser

SEALED_WITHIN = 5.0  # seconds after the server answers again
LOST_AT_MOST = 1.0  # seconds before the kill
TONE = 500


def test_a_kill_while_recording_loses_a_second_at_most_and_cuts_nobody_off(tmp_path: Path) -> None:
    picture, tone = write_picture(tmp_path / "camera.y4m", BLUE), write_tone(tmp_path / "camera.wav", TONE)
    with (
        Server(tmp_path) as house,
        call(house, picture=picture, tone=tone, script=SCRIPT, prepare=serve_worker) as held,
    ):
        for page in held.pages:
            page.evaluate("() => { window.loaded = 'once'; }")
        held.record()
        before = participants(house)
        held.clinician.page.wait_for_timeout(2000)
        killed = time.time()
        assert house.stop(signal.SIGKILL) == -signal.SIGKILL
        # What is recorded goes through the server: without it the pages take to the line they kept to each other.
        for page in held.pages:
            expect(page.locator(".stage[data-media~=straight]")).to_be_visible(timeout=30_000)
            expect(page.locator("#light[data-state=cut]")).to_be_visible()
            expect(page.locator(".call-tell")).to_contain_text("directly; nothing is being recorded")
        held.goes_on(20)  # nobody answers on the server's ports meanwhile
        house.start()
        recording = held.clinic.recording_in("sealed", SEALED_WITHIN)
        assert recording["interrupted"] is True
        tracks = held.clinic.tracks(recording)
        assert set(tracks) == {"clinician", "patient"}
        for role, page in zip(("clinician", "patient"), held.pages, strict=True):
            reaches_to_the_kill(decode(tracks[role], (TONE,)), tracks[role], sampled(page), killed)
        everybody_is_back(held)
        assert participants(house) == before
        assert all(page.evaluate("() => window.loaded") == "once" for page in held.pages)
        held.goes_on()
        assert house.command("audit", "verify")["exit"] == 0
        assert not held.errors


def reaches_to_the_kill(track: Track, webm: bytes, sent: list[Sample], killed: float) -> None:
    """What the page sent to the server until the kill is there but for a second: of its own frames, whenever encoded.

    Measured against what left the browser: what still waited in its camera or encoder never reached the server.
    """
    ours = [one for one in sent if one.leg and one.wall <= killed]
    kept = present_in((one.octets for one in ours), [webm])
    lost = max(one.wall for one in ours) - max(one.wall for one in ours if one.octets in kept)
    assert lost <= LOST_AT_MOST, lost
    assert track.pictures[-1][0] > 1.0
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
