"""The same call with Firefox on the patient's side: media both ways, consent, recording of both."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.clinic import own_address
from tests.stories.house import ROOT, House
from tests.stories.people import Staff, chromium
from tests.stories.scenes import BLUE, decode, write_picture, write_tone

pytestmark = pytest.mark.browser


class FirefoxPatient:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def do(self, command: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline() or '{"step": "gone"}')
        assert answer["step"] not in ("failed", "gone"), answer
        return answer


@contextmanager
def firefox(link: str, passcode: str) -> Iterator[FirefoxPatient]:
    process = subprocess.Popen(
        ["node", "tests/browser/firefox_patient.mjs", str(shutil.which("firefox-esr")), link, passcode],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield FirefoxPatient(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()


def test_a_patient_in_firefox_is_seen_heard_and_recorded(tmp_path: Path) -> None:
    media = {
        "MEDIA__HOST": "0.0.0.0",
        "MEDIA__PUBLIC_ADDRESSES": own_address(),
    }  # Firefox gathers no loopback candidates
    with House(tmp_path, media) as house, sync_playwright() as playwright:
        picture, tone = write_picture(tmp_path / "blue.y4m", BLUE), write_tone(tmp_path / "blue.wav", 500)
        with chromium(playwright, picture, tone) as browser:
            admin, clinician = Staff(browser, house.url), Staff(browser, house.url)
            admin.enrol(
                house.said(r"(http://\S+/setup#\S+)"), "correct horse battery staple", name="Admin", login="admin"
            )
            admin.page.wait_for_url("**/visits")
            link = admin.add_person("Clinician", "clinician", "clinician")
            clinician.enrol(link, "another long enough sentence")
            clinician.page.wait_for_url("**/visits")
            with firefox(*clinician.book("Patient In Firefox")) as patient:
                checked = patient.do("check")["outcomes"]
                assert {checked[what] for what in ("camera", "server", "udp", "tcp")} == {"works"}
                assert checked["microphone"] in ("works", "unheard")  # without a loudspeaker Firefox listens to nothing
                patient.do("join")
                visit = clinician.page.locator("li.row.waiting").get_attribute("data-visit")
                clinician.page.goto(f"{house.url}/call/{visit}")
                clinician.page.click(".admit")
                patient.do("call")
                clinician.wait_for(
                    "() => document.querySelector('#far')?.getVideoPlaybackQuality().totalVideoFrames > 30", seconds=30
                )
                clinician.ask_to_record()
                clinician.page.click("#consent-yes")
                patient.do("consent")
                clinician.page.wait_for_timeout(4000)
                clinician.page.click("#end")
                clinician.page.click("#end-go")
                assert patient.do("over")["errors"] == []
            tracks = sealed_tracks(house, admin)
            assert {role for role, _ in tracks} == {"clinician", "patient"}
            for role, webm in tracks:
                track = decode(webm, ())
                assert len(track.pictures) > 20, role
                assert track.audio_seconds > 2, role


def sealed_tracks(house: House, admin: Staff) -> list[tuple[str, bytes]]:
    """Wait for the seal and read every track as a program would."""
    request = admin.context.request
    for _ in range(100):
        items = request.get(f"{house.url}/api/v1/recordings").json()["items"]
        if items and items[0]["state"] == "sealed":
            break
        admin.page.wait_for_timeout(100)
    expect(admin.page.locator("body")).to_be_visible()
    recording = items[0]
    grant = request.post(
        f"{house.url}/api/v1/recordings/{recording['id']}/grants",
        data={"purpose": "quality"}, headers=admin.headers(),
    ).json()  # fmt: skip
    urls = {one["id"]: one["url"] for one in grant["tracks"]}
    found = []
    for one in recording["tracks"]:
        url = urls[one["id"]]
        found.append((one["role"], request.get(url if url.startswith("http") else house.url + url).body()))
    return found
