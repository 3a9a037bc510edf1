"""One visit, from link to certified deletion, in real browsers. `make story` runs it and prints every step."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from tests.stories.house import House
from tests.stories.people import Patient, Person, Staff, chromium
from tests.stories.scenes import BLUE, FRAMES, ORANGE, RATE, READ_VIDEO, Track, decode, near, write_picture, write_tone

CANARY = "Quorra Vantongeren-Iñíguez"  # a name that is in no dictionary and must be in no log
CLINICIAN_TONE, PATIENT_TONE = 500, 900
ALIGNED_WITHIN = 0.080  # seconds
SINCE_CLOCKS_WERE_READ = 9.0  # seconds at the end of each track that are compared: a busy camera slips now and then


@dataclass
class Steps:
    """Counts what passed; the first failure ends the story."""

    passed: int = 0
    failed: int = 0
    say: Callable[[str], None] = print

    @contextmanager
    def step(self, words: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self.failed += 1
            self.say(f"FAILED {words}")
            raise
        self.passed += 1
        self.say(f"ok {self.passed:2} {words} ({time.monotonic() - began:.1f} s)")


@dataclass
class Story:
    """What the steps hand on to each other."""

    house: House
    steps: Steps
    clinician: Staff
    admin: Staff
    patient: Patient
    visit: str = ""
    recording: str = ""
    recorded: float = 0.0  # seconds between the light and the withdrawal
    look: Callable[[str, Person], None] = lambda name, who: None
    clocks: dict[str, float] = field(default_factory=dict)  # role → wall seconds when its frame 0 was before the camera

    # — people —

    def people_enrol(self) -> None:
        with self.steps.step("the set-up link makes the first admin, with a second factor"):
            link = self.house.said(r"(http://\S+/setup#\S+)")
            self.admin.enrol(link, "correct horse battery staple", name="Site Administrator", login="admin")
            self.admin.page.wait_for_url("**/visits")
        with self.steps.step("the set-up link works once"):
            again = self.admin.context.new_page()
            again.goto(link)
            expect(again.get_by_role("alert")).to_be_visible()
            again.close()
        with self.steps.step("the admin invites a clinician, who enrols"):
            link = self.admin.add_person("Dr. Clinician", "clinician", "clinician")
            self.clinician.enrol(link, "another long enough sentence")
            self.clinician.page.wait_for_url("**/visits")
        self.look("visits-empty", self.clinician)
        self.patient.page.goto(self.house.url)
        self.patient.page.wait_for_selector("input[name=login]")
        self.look("sign-in", self.patient)

    def visit_is_booked(self) -> tuple[str, str]:
        with self.steps.step("the clinician books a visit and gets link and passcode, once"):
            link, passcode = self.clinician.book(CANARY)
            assert "#" in link
            assert len(passcode) >= 8
            row = self.clinician.page.locator("li.row", has_text=CANARY)
            self.visit = row.get_attribute("data-visit") or ""
            assert self.visit.startswith("vis_")
        self.look("visits", self.clinician)
        row.get_by_role("button").last.click()
        self.look("visits-edit", self.clinician)
        self.clinician.page.keyboard.press("Escape")
        row.get_by_role("button").first.click()
        self.look("visits-link", self.clinician)
        self.clinician.page.keyboard.press("Escape")
        return link, passcode

    def doors_that_stay_shut(self) -> None:
        page = self.patient.page
        with self.steps.step("an unknown link opens nothing and says what to do"):
            page.goto(f"{self.house.url}/join#{'x' * 43}")
            page.wait_for_selector("[data-step=unknown]")
        self.look("join-unknown", self.patient)
        with self.steps.step("an early one says when, in the patient's time zone"):
            soon = datetime.now(UTC) + timedelta(hours=5)
            booked = self.clinician.context.request.post(
                f"{self.house.url}/api/v1/visits",
                data={"patient": {"name": "Somebody Early"}, "scheduled_at": soon.isoformat(timespec="milliseconds")},
                headers={"Origin": self.house.url},
            ).json()
            page.goto("about:blank")
            page.goto(booked["link"]["url"])
            page.wait_for_selector("[data-step=early]")
        self.look("join-early", self.patient)
        page.goto("about:blank")

    def patient_enters(self, link: str, passcode: str) -> None:
        page = self.patient.page
        with self.steps.step("the patient opens the link: no name is shown, the secret leaves the address bar"):
            self.patient.open_link(link)
            assert "#" not in page.url
            assert CANARY not in page.content()
        self.look("join-code", self.patient)
        with self.steps.step("a wrong code is refused and counted"):
            self.patient.type_code("not-the-passcode")
            expect(page.locator("#code-error")).not_to_be_empty()
        self.look("join-code-wrong", self.patient)
        with self.steps.step("the right code opens the device check, with picture and level"):
            self.patient.type_code(passcode)
            page.wait_for_selector("#where")
            page.click("summary")
            self.patient.wait_for("() => document.querySelector('.preview video')?.videoWidth > 0")
            seen = self.patient.see(".preview video")
            assert seen is not None
            assert near(seen["colour"], ORANGE), seen
            self.patient.wait_for(
                "() => Number(document.querySelector('[role=meter]').getAttribute('aria-valuenow')) > 0"
            )
        self.look("join-devices", self.patient)
        with self.steps.step("the patient says where they are and waits"):
            self.patient.get_ready(where="Harbour Street 4", callback="+1 555 0100")
            page.wait_for_selector("#waiting-status")
        self.look("join-waiting", self.patient)
        with self.steps.step("the clinician's day shows who waits since when"):
            expect(self.clinician.page.locator("li.row.waiting")).to_have_count(1)
            assert self.clinician.page.title().startswith("(1)")
        self.look("visits-waiting", self.clinician)

    def call_runs(self) -> None:
        clinician, patient = self.clinician.page, self.patient.page
        with self.steps.step("the clinician opens the visit and admits the patient"):
            clinician.goto(f"{self.house.url}/call/{self.visit}")
            clinician.wait_for_selector(".admit")
            self.look("call-knock", self.clinician)
            clinician.click(".admit")
            patient.wait_for_selector(".controls")
        with self.steps.step("picture goes both ways, in the right colours, frame after frame"):
            for who, colour in ((self.clinician, ORANGE), (self.patient, BLUE)):
                seen = self.far_picture(who)
                assert near(seen["colour"], colour), seen
                before = self.decoded(who.page)
                who.wait_for(
                    "([n]) => document.querySelector('#far').getVideoPlaybackQuality().totalVideoFrames > n + 20",
                    [before],
                )
        with self.steps.step("sound goes both ways"):
            for who in (self.clinician, self.patient):
                who.wait_for(HEARD, seconds=15)
        with self.steps.step("the clinician sees where the patient is and whom to call back"):
            expect(clinician.locator("#location")).to_have_text("Harbour Street 4")
            expect(clinician.locator("#callback")).to_have_text("+1 555 0100")
        self.look("call-clinician", self.clinician)
        self.look("call-patient", self.patient)

    def far_picture(self, who: Staff | Patient) -> dict[str, Any]:
        who.wait_for("() => document.querySelector('#far')?.videoWidth > 0")
        deadline = time.monotonic() + 10
        while True:
            seen = who.see("#far")
            if seen and seen["index"] is not None:
                return seen
            assert time.monotonic() < deadline, f"no readable picture: {seen}"
            who.page.wait_for_timeout(50)

    def decoded(self, page: Page) -> int:
        return int(page.evaluate("() => document.querySelector('#far').getVideoPlaybackQuality().totalVideoFrames"))

    def screen_and_chat(self) -> None:
        clinician, patient = self.clinician.page, self.patient.page
        with self.steps.step("the clinician shares the screen after a preview, with a frame while it runs"):
            clinician.click("#share")
            clinician.wait_for_selector("#share-go")
            self.look("call-share-preview", self.clinician)
            clinician.click("#share-go")
            expect(clinician.locator(".sharing-frame")).to_be_visible()
            self.patient.wait_for("() => document.querySelector('#far-screen')?.videoWidth >= 640", seconds=20)
        self.look("call-sharing", self.clinician)
        self.look("call-screen", self.patient)
        with self.steps.step("sharing stops, the camera stays"):
            clinician.click("#stop-share")
            expect(patient.locator("#far-screen")).to_be_hidden()
            assert near(self.far_picture(self.patient)["colour"], BLUE)
        with self.steps.step("the clinician forbids sharing, the patient cannot"):
            clinician.click("#forbid")
            expect(patient.locator("#share")).to_be_disabled()
            clinician.click("#forbid")
            expect(patient.locator("#share")).to_be_enabled()
        with self.steps.step("chat goes both ways over the data channel"):
            for writer, reader, words in (
                (clinician, patient, "Good morning"),
                (patient, clinician, "Can you hear me?"),
            ):
                for page in (writer, reader):
                    if not page.locator("#chat-text").is_visible():
                        page.click("#chat")
                writer.fill("#chat-text", words)
                writer.keyboard.press("Enter")
                expect(reader.locator(".chat-lines li").last).to_contain_text(words)
            self.look("call-chat", self.patient)
            for page in (clinician, patient):
                page.click(".panel header button")
            clinician.click("#people")
        patient.click("#devices")
        self.look("call-devices", self.patient)
        patient.keyboard.press("Escape")

    def consent_and_recording(self) -> None:
        clinician, patient = self.clinician.page, self.patient.page
        with self.steps.step("asked and refused: the call goes on, nothing is on disk"):
            clinician.click("#record")
            self.look("call-ask", self.clinician)
            clinician.click("#ask-go")
            clinician.click("#consent-yes")
            expect(patient.locator("#consent-text")).to_be_visible()
            self.look("call-consent", self.patient)
            patient.click("#consent-no")
            expect(patient.locator("#light")).to_be_hidden()
            expect(clinician.locator("#light")).to_be_hidden()
            before = self.decoded(clinician)
            self.clinician.wait_for(
                "([n]) => document.querySelector('#far').getVideoPlaybackQuality().totalVideoFrames > n + 20", [before]
            )
            assert not any(path.stat().st_size for path in (self.house.folder / "recordings").rglob("fil_*"))
        with self.steps.step("asked again, both say yes: recording is shown to both, after it is stored"):
            self.clinician.ask_to_record()
            clinician.click("#consent-yes")
            patient.click("#consent-yes")
            for page in (clinician, patient):
                expect(page.locator("#light[data-state=recording]")).to_be_visible()
            assert any(path.stat().st_size for path in (self.house.folder / "recordings").rglob("fil_*"))
        recording_since = time.monotonic()
        self.look("call-recording", self.patient)
        self.look("call-recording-clinician", self.clinician)
        with self.steps.step("ten seconds are recorded"):
            self.read_clocks(10)
        with self.steps.step("the patient withdraws: both screens say so within a second"):
            tapped = time.monotonic()
            patient.click("#withdraw")
            for page in (patient, clinician):
                expect(page.locator("#light")).to_be_hidden(timeout=5000)
            assert time.monotonic() - tapped < 1.5, time.monotonic() - tapped
            self.recorded = tapped - recording_since
            assert self.far_picture(self.clinician)["index"] is not None

    def read_clocks(self, seconds: float) -> None:
        """When, on the wall, each camera showed its frame 0: read off each person's own picture for a while."""
        began: dict[str, list[float]] = {"clinician": [], "patient": []}
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for role, who in (("clinician", self.clinician), ("patient", self.patient)):
                seen = who.see("#self")
                if seen and seen["index"] is not None:
                    began[role].append(seen["wall"] / 1000 - seen["index"] / RATE)
            self.clinician.page.wait_for_timeout(100)
        loop = FRAMES / RATE
        for role, times in began.items():
            self.clocks[role] = promptest(times, loop)

    # — afterwards —

    def visit_ends(self) -> None:
        with self.steps.step("the clinician ends the visit for both"):
            self.clinician.page.click("#end")
            self.clinician.page.click("#end-go")
            self.patient.page.wait_for_selector("[data-step=over]")
            self.look("join-over", self.patient)
            self.clinician.page.wait_for_url("**/visits")

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
                for path in self.house.files():
                    assert words not in path.name
                    assert words.encode() not in path.read_bytes(), path
            metrics = self.admin.context.request.get(f"{self.house.url}/metrics").text()
            assert "Vantongeren" not in metrics
        self.admin.page.goto(f"{self.house.url}/audit")
        self.admin.page.wait_for_selector("tbody tr")
        self.look("audit", self.admin)
        with self.steps.step("no page threw an error"):
            assert not (self.admin.errors + self.clinician.errors + self.patient.errors)


def promptest(starts: list[float], loop: float) -> float:
    """When a looped film began, judged by the twentieth of its pictures that came with the least delay."""
    shifted = sorted((one - starts[0] + loop / 2) % loop - loop / 2 for one in starts)
    return starts[0] + shifted[len(shifted) // 20]


HEARD = """async () => {
  const stream = document.querySelector('#far')?.srcObject;
  if (!stream || !stream.getAudioTracks().length) return false;
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(new MediaStream(stream.getAudioTracks())).connect(analyser);
  const data = new Float32Array(analyser.fftSize);
  let loudest = 0;
  for (let n = 0; n < 10; n += 1) {
    await new Promise((done) => setTimeout(done, 60));
    analyser.getFloatTimeDomainData(data);
    loudest = Math.max(loudest, ...data.map(Math.abs));
  }
  await context.close();
  return loudest > 0.01;
}"""

EVERY_STEP = [
    *("user.create", "mfa.enrol", "signin.ok", "visit.create", "link.issue", "link.open", "code.try:refused"),
    *("identity.verified", "join", "admit", "consent.ask", "consent.refuse", "consent.answer", "recording.start"),
    *("consent.withdraw", "recording.stop", "recording.seal", "playback.grant", "playback.close", "hold.set"),
    *("hold.release", "recording.delete", "certificate.read", "visit.end"),
]


def run(
    folder: Path,
    steps: Steps,
    *,
    language: str = "en",
    look: Callable[[str, Person], None] = lambda name, who: None,
) -> None:
    """The whole story in `folder`, counted in `steps`. Raises at the first failure."""
    with ExitStack() as stack:
        house = stack.enter_context(House(folder))
        playwright = stack.enter_context(sync_playwright())
        blue = stack.enter_context(
            chromium(
                playwright, write_picture(folder / "blue.y4m", BLUE), write_tone(folder / "blue.wav", CLINICIAN_TONE)
            )
        )
        orange = stack.enter_context(
            chromium(
                playwright,
                write_picture(folder / "orange.y4m", ORANGE),
                write_tone(folder / "orange.wav", PATIENT_TONE),
            )
        )
        locale = {"en": "en-GB", "ar": "ar-EG"}[language]
        desk = {"viewport": {"width": 1280, "height": 800}, "locale": locale}
        story = Story(
            house,
            steps,
            clinician=Staff(blue, house.url, **desk),
            admin=Staff(blue, house.url, accept_downloads=True, **desk),
            patient=Patient(orange, house.url, viewport={"width": 412, "height": 915}, locale=locale),
            look=look,
        )
        for person in (story.clinician, story.admin, story.patient):
            person.look = look
        try:
            tell(story)
        except BaseException:
            for name in ("clinician", "admin", "patient"):
                getattr(story, name).page.screenshot(path=str(folder / f"failed-{name}.png"))
            raise


def tell(story: Story) -> None:
    story.people_enrol()
    link, passcode = story.visit_is_booked()
    story.doors_that_stay_shut()
    story.patient_enters(link, passcode)
    story.call_runs()
    story.screen_and_chat()
    story.consent_and_recording()
    story.visit_ends()
    story.recording_is_sealed()
    story.admin_plays()
    story.hold_and_deletion()
    story.log_holds_everything()


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="story-") as folder:
        steps = Steps()
        try:
            run(Path(folder), steps)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # the last line must come whatever broke
            steps.failed = steps.failed or 1
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            print((Path(folder) / "server.log").read_text()[-3000:], file=sys.stderr)
    print(f"story: {steps.passed} steps passed, {steps.failed} failed")
    return 1 if steps.failed else 0


if __name__ == "__main__":
    sys.exit(main())
