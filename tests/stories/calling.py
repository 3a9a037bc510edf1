"""The call: both ways, screen, chat, consent, ten recorded seconds, the end."""

import time

from playwright.sync_api import expect

from tests.stories.scenes import BLUE, FRAMES, ORANGE, RATE, near
from tests.stories.telling import Telling, promptest


class Calling(Telling):
    """From admission to the end of the visit."""

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
                who.sees(20)
        with self.steps.step("sound goes both ways"):
            for who in (self.clinician, self.patient):
                who.wait_for(HEARD, seconds=15)
        with self.steps.step("the clinician sees where the patient is and whom to call back"):
            expect(clinician.locator("#location")).to_have_text("Harbour Street 4")
            expect(clinician.locator("#callback")).to_have_text("+1 555 0100")
        self.look("call-clinician", self.clinician)
        self.look("call-patient", self.patient)

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
        patient.wait_for_selector("dialog[open]")
        self.look("call-devices", self.patient)
        patient.keyboard.press("Escape")
        expect(patient.locator("dialog")).to_have_count(0)

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
            self.clinician.sees(20)
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
            for page in (patient, clinician):
                page.evaluate(WATCH_LIGHT)
            ended = time.monotonic()
            patient.click("#withdraw")
            for page in (patient, clinician):
                expect(page.locator("#light")).to_be_hidden()
            tapped = patient.evaluate("() => window.tapped")
            for page in (patient, clinician):
                took = page.evaluate("() => window.dark") - tapped
                self.steps.say(f"     light out after {took:.0f} ms")
                assert took <= 1000 * self.steps.patience, took
            self.recorded = ended - recording_since
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

    def visit_ends(self) -> None:
        with self.steps.step("the clinician ends the visit for both"):
            self.clinician.page.click("#end")
            self.clinician.page.click("#end-go")
            self.patient.page.wait_for_selector("[data-step=over]")
            self.look("join-over", self.patient)
            self.clinician.page.wait_for_url("**/visits")


# Wall milliseconds of the tap and of the light going out, noted where they happen.
WATCH_LIGHT = """() => {
  const wall = () => performance.timeOrigin + performance.now();
  const light = document.querySelector("#light");
  new MutationObserver(() => { if (light.hidden) window.dark ??= wall(); }).observe(light, { attributes: true });
  document.querySelector("#withdraw").addEventListener("click", () => { window.tapped = wall(); }, { capture: true });
}"""

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
