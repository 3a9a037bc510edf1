"""The recording: sealed, played, aligned, held, deleted with a certificate; the log holds every step."""

import time
from typing import Any

from playwright.sync_api import expect

from tests.stories.scenes import BLUE, FRAMES, ORANGE, RATE, READ_VIDEO, Track, decode, near
from tests.stories.telling import (
    ALIGNED_WITHIN,
    CANARY,
    CLINICIAN_TONE,
    PATIENT_TONE,
    SINCE_CLOCKS_WERE_READ,
    Telling,
    promptest,
)

EVERY_STEP = [
    *("user.create", "mfa.enrol", "signin.ok", "visit.create", "link.issue", "link.open", "code.try:refused"),
    *("identity.verified", "join", "admit", "consent.ask", "consent.refuse", "consent.answer", "recording.start"),
    *("consent.withdraw", "recording.stop", "recording.seal", "playback.grant", "playback.close", "hold.set"),
    *("hold.release", "recording.delete", "certificate.read", "visit.end"),
]


class Afterwards(Telling):
    """What the admin does with it."""

    def recording_is_sealed(self) -> dict[str, Any]:
        with self.steps.step("the recording is sealed and found by the patient's name"):
            page = self.admin.page
            page.goto(f"{self.house.url}/recordings")
            page.fill("input[name=patient]", CANARY.upper())
            deadline = time.monotonic() + 10
            while True:
                page.click("form button[type=submit]")
                page.wait_for_timeout(200)
                row = page.locator("tr[data-recording]")
                if row.count() == 1 and row.first.get_attribute("data-state") == "sealed":
                    break
                assert time.monotonic() < deadline, row.all_text_contents()
            self.recording = row.first.get_attribute("data-recording") or ""
        self.look("recordings", self.admin)
        return self.shown()

    def shown(self) -> dict[str, Any]:
        answer = self.admin.context.request.get(f"{self.house.url}/api/v1/recordings/{self.recording}")
        assert answer.ok, answer.text()
        shown: dict[str, Any] = answer.json()
        return shown

    def admin_plays(self) -> dict[str, Track]:
        page = self.admin.page
        with self.steps.step("the admin plays it in the browser, tracks side by side"):
            page.goto(f"{self.house.url}/recordings/{self.recording}")
            page.wait_for_selector("#play")
            self.look("recording", self.admin)
            page.click("#play")
            self.admin.wait_for(
                "() => { const all = [...document.querySelectorAll('.players video')];"
                " return all.length === 2 && all.every((v) => v.currentTime > 1); }",
                seconds=20,
            )
        with self.steps.step("and seeks: right colours, in step"):
            page.click("#toggle")
            page.evaluate(
                "() => { const p = document.querySelector('#position'); p.value = '6';"
                " p.dispatchEvent(new Event('input')); }"
            )
            self.admin.wait_for(
                "() => [...document.querySelectorAll('.players video')]"
                ".every((v) => !v.seeking && v.readyState >= 2 && v.currentTime > 4)"
            )
            page.wait_for_timeout(300)
            for role, colour in (("patient", ORANGE), ("clinician", BLUE)):
                seen = page.locator(f"video[data-role={role}]").evaluate(READ_VIDEO)
                assert seen, role
                assert near(seen["colour"], colour), (role, seen)
        self.look("recording-playing", self.admin)
        return self.tracks_decode()

    def tracks_decode(self) -> dict[str, Track]:
        request = self.admin.context.request
        with self.steps.step("the tracks decode elsewhere: right colours and tones, about ten seconds"):
            shown = self.shown()
            grant = request.post(
                f"{self.house.url}/api/v1/recordings/{self.recording}/grants",
                data={"purpose": "quality"},
                headers=self.admin.headers(),
            ).json()
            urls = {one["id"]: one["url"] for one in grant["tracks"]}
            tracks: dict[str, Track] = {}
            for one in shown["tracks"]:
                body = request.get(
                    f"{self.house.url}{urls[one['id']]}" if urls[one["id"]].startswith("/") else urls[one["id"]]
                )
                assert body.status == 200
                tracks[one["role"]] = decode(body.body(), (CLINICIAN_TONE, PATIENT_TONE))
            for role, colour, own, other in (
                ("clinician", BLUE, CLINICIAN_TONE, PATIENT_TONE),
                ("patient", ORANGE, PATIENT_TONE, CLINICIAN_TONE),
            ):
                track = tracks[role]
                assert len(track.pictures) > 100, (role, len(track.pictures))
                assert all(near(seen.colour, colour) for _, seen in track.pictures), role
                assert track.loudness[own] > 20 * track.loudness[other], (role, track.loudness)
                assert abs(track.audio_seconds - self.recorded) < 3, (role, track.audio_seconds, self.recorded)
        with self.steps.step(f"the tracks are aligned within {ALIGNED_WITHIN * 1000:.0f} ms"):
            offsets = {one["role"]: one["offset_ms"] / 1000 for one in shown["tracks"]}
            apart = self.misalignment(tracks, offsets)
            self.steps.say(f"     apart by {apart * 1000:.0f} ms")
            assert abs(apart) <= ALIGNED_WITHIN, apart
        return tracks

    def misalignment(self, tracks: dict[str, Track], offsets: dict[str, float]) -> float:
        """How far the common timeline puts the two apart, measured by the numbers in the pictures. Seconds."""
        loop = FRAMES / RATE
        zero: dict[str, float] = {}
        for role, track in tracks.items():
            since = track.pictures[-1][0] - SINCE_CLOCKS_WERE_READ
            starts = [
                (offsets[role] + at - seen.index / RATE) % loop
                for at, seen in track.pictures
                if seen.index is not None and at > since
            ]
            zero[role] = promptest(starts, loop)
        recorded = zero["clinician"] - zero["patient"]
        real = self.clocks["clinician"] - self.clocks["patient"]
        return (recorded - real + loop / 2) % loop - loop / 2

    def hold_and_deletion(self) -> None:
        page = self.admin.page
        page.goto(f"{self.house.url}/recordings/{self.recording}")
        with self.steps.step("a hold blocks deletion"):
            page.click("#hold")
            page.fill("#hold-reason", "Case 12")
            self.look("recording-hold", self.admin)
            page.click("dialog button[type=submit]")
            page.wait_for_selector("#release")
            page.click("#delete")
            page.click("#delete-go")
            expect(page.locator(".message[data-code=held]")).to_be_visible()
        with self.steps.step("released, it is deleted: the key first, then the files"):
            page.click("#release")
            page.wait_for_selector("#hold")
            page.click("#delete")
            self.look("recording-delete", self.admin)
            page.click("#delete-go")
            page.wait_for_selector("#certificate")
            assert not any((self.house.folder / "recordings").rglob("fil_*"))
        self.look("recording-deleted", self.admin)
        with self.steps.step("the certificate verifies offline, a changed one does not"):
            with page.expect_download() as arriving:
                page.click("#certificate")
            path = self.house.folder / "certificate.json"
            arriving.value.save_as(path)
            assert self.house.command("recording", "verify-certificate", str(path))["exit"] == 0
            kept = path.read_text()
            changed = self.house.folder / "changed.json"
            for old, new in ((self.recording, f"rec_{'a' * 26}"), ('"destroyed_at":"20', '"destroyed_at":"19')):
                assert old in kept
                changed.write_text(kept.replace(old, new))
                assert self.house.command("recording", "verify-certificate", str(changed), check=False)["exit"] != 0
            changed.unlink()
        with self.steps.step("playback is refused"):
            answer = self.admin.context.request.post(
                f"{self.house.url}/api/v1/recordings/{self.recording}/grants",
                data={"purpose": "quality"},
                headers=self.admin.headers(),
            )
            assert answer.status in (404, 409, 410), answer.status

    def log_holds_everything(self) -> None:
        with self.steps.step("the audit log verifies and holds every step"):
            assert self.house.command("audit", "verify")["exit"] == 0
            entered: set[str] = set()
            after = None
            while True:
                found = self.admin.context.request.get(
                    f"{self.house.url}/api/v1/audit/entries",
                    params={"limit": 200} | ({"after": after} if after else {}),
                ).json()
                entered |= {f"{one['action']}:{one['outcome']}" for one in found["items"]}
                after = found["next"]
                if not after:
                    break
            missing = [step for step in EVERY_STEP if not any(one.startswith(step) for one in entered)]
            assert not missing, (missing, sorted(entered))
        with self.steps.step("the patient's name is in no log, leaf, file name or metric"):
            for words in (CANARY, "Vantongeren", "Harbour Street 4"):
                for path, content in self.house.files():
                    assert words not in path.name
                    assert words.encode() not in content, path
            metrics = self.admin.context.request.get(f"{self.house.url}/metrics").text()
            assert "Vantongeren" not in metrics
        self.admin.page.goto(f"{self.house.url}/audit")
        self.admin.page.wait_for_selector("tbody tr")
        self.look("audit", self.admin)
        with self.steps.step("no page threw an error"):
            assert not (self.admin.errors + self.clinician.errors + self.patient.errors)
