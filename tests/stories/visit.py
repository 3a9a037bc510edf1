"""One visit, from link to certified deletion, in real browsers. `make story` runs it and prints every step."""

import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.stories.afterwards import Afterwards
from tests.stories.arriving import Arriving
from tests.stories.calling import Calling
from tests.stories.house import House
from tests.stories.people import Patient, Person, Staff, chromium
from tests.stories.scenes import BLUE, ORANGE, write_picture, write_tone
from tests.stories.telling import CLINICIAN_TONE, PATIENT_TONE, Steps


class Story(Arriving, Calling, Afterwards):
    """The whole of it."""


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
