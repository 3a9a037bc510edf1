"""From the clinician's click on Admit to the first decoded picture on the patient's screen, in real Chromium.

Both pages run in one browser on one machine, so that their wall clocks are the same.
"""

import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks.figure import Figure, measured, percentile, said, say, wished
from tests.stories.house import House
from tests.stories.people import Patient, Staff, chromium

# Runs in the clinician's page: notes the wall clock, in ms, at the next click.
NOTE_CLICK = """
() => {
  window.clicked = null;
  const note = () => { window.clicked ??= performance.timeOrigin + performance.now(); };
  document.addEventListener("click", note, { capture: true, once: true });
}
"""

# Runs in the patient's page: notes the wall clock, in ms, when the far side's first picture is presented.
NOTE_PICTURE = """
() => {
  window.pictured = null;
  const note = (now) => { window.pictured ??= performance.timeOrigin + now; };
  const look = setInterval(() => {
    const far = document.querySelector("#far");
    if (!far) return;
    clearInterval(look);
    far.requestVideoFrameCallback(note);
  }, 2);
}
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """A server and a clinician who has signed in."""

    house: House
    browser: Browser
    clinician: Staff


def run(seed: int) -> Iterator[Figure]:
    """A visit of its own for each sample: book, join, wait, admit, end."""
    count = wished(10)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR"))))
        house = stack.enter_context(House(folder))
        browser = stack.enter_context(chromium(stack.enter_context(sync_playwright())))
        scene = Scene(house, browser, _clinician(house, browser))
        _one_visit(scene, 0)  # the first one warms up caches of server and browser
        samples = [_one_visit(scene, number + 1) for number in range(count)]
    say(f"  {min(samples):.0f}–{max(samples):.0f} ms")
    name, n = "visit.admit_to_first_remote_frame", len(samples)
    yield measured(f"{name}_median", statistics.median(samples), "ms", n=n, seed=seed)
    yield measured(f"{name}_p95", percentile(samples, 0.95), "ms", n=n, seed=seed)


def _clinician(house: House, browser: Browser) -> Staff:
    """The first admin invites a clinician, who stays signed in."""
    admin, clinician = Staff(browser, house.url), Staff(browser, house.url)
    link = house.said(r"(http://\S+/setup#\S+)")
    admin.enrol(link, "correct horse battery staple", name="Site Administrator", login="admin")
    admin.page.wait_for_url("**/visits")
    clinician.enrol(admin.add_person("Dr. Clinician", "clinician", "clinician"), "another long enough sentence")
    clinician.page.wait_for_url("**/visits")
    admin.close()
    return clinician


def _one_visit(scene: Scene, number: int) -> float:
    """Milliseconds from the click to the picture."""
    clinician, page = scene.clinician, scene.clinician.page
    name = f"Patient {number}"
    link, passcode = clinician.book(name)
    visit = page.locator("li.row", has_text=name).first.get_attribute("data-visit")
    patient = Patient(scene.browser, scene.house.url)
    try:
        patient.open_link(link)
        patient.type_code(passcode)
        patient.get_ready()
        patient.page.wait_for_selector("#waiting-status")
        page.goto(f"{scene.house.url}/call/{visit}")
        page.wait_for_selector(".admit")
        patient.page.evaluate(NOTE_PICTURE)
        page.evaluate(NOTE_CLICK)
        page.click(".admit")
        pictured = patient.wait_for("() => window.pictured")
        clicked = page.evaluate("() => window.clicked")
        page.click("#end")
        page.click("#end-go")
        page.wait_for_url("**/visits")
    finally:
        patient.close()
    return float(pictured) - float(clicked)


if __name__ == "__main__":
    said(run)
